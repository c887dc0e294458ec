//! Temporary directories: of one test, and one for all tests of the process.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::user::user;

/// A directory that belongs to the unprivileged user. Dropping it removes the directory, except
/// after a failed test outside of CI.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// `name` is part of the name of the directory; short, since the path of a Unix socket is
    /// limited to about 100 bytes.
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        shared(); // removes what killed runs left
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent().join(format!("pgm-{}-{number}-{name}", std::process::id()));
        make(&path);
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Creates a directory in it.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        make(&path);
        path
    }

    /// Writes a file in it, mode 0600.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        write_owned(&path, content);
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("CI").is_none() {
            eprintln!("kept for a look: {}", self.path.display());
        } else {
            discard(&self.path);
        }
    }
}

/// Frees the disk space of a directory: truncates its files, and removes them when the process
/// ends. For minutes after their removal ext4 does not reuse inodes, but checks each of them for
/// every new file, which took a third of the CPU time of all tests. If inodes are few, removes it
/// at once.
pub fn discard(path: &Path) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let away = shared().join(format!("discarded-{number}"));
    let few = rustix::fs::statvfs(path).is_ok_and(|it| it.f_favail < it.f_files / 2);
    let discarded = if few {
        fs::remove_dir_all(path)
    } else {
        fs::rename(path, &away).and_then(|()| empty_files(&away))
    };
    if let Err(error) = discarded {
        eprintln!("cannot remove {}: {error}", path.display());
    }
}

fn empty_files(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            empty_files(&entry.path())?;
        } else if metadata.is_file() && metadata.len() > 0 {
            File::options()
                .write(true)
                .truncate(true)
                .open(entry.path())?;
        }
    }
    Ok(())
}

/// Writes a file that belongs to the unprivileged user, mode 0600.
pub fn write_owned(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    user().chown(path);
}

/// Creates a directory that belongs to the unprivileged user, mode 0700.
pub fn make(path: &Path) {
    fs::create_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    user().chown(path);
}

/// The parent of the temporary directories: `PGMONETA_TEST_DIR`, else that of the system.
fn parent() -> PathBuf {
    if let Some(path) = std::env::var_os("PGMONETA_TEST_DIR") {
        return path.into();
    }
    let path = std::env::temp_dir();
    if path.as_os_str().len() <= 30 && user().can_access(&path.join("x")) {
        path
    } else {
        PathBuf::from("/tmp")
    }
}

/// The directory of all tests of this process: templates, copies of programs. Removed when the
/// process ends.
pub fn shared() -> &'static Path {
    static SHARED: OnceLock<PathBuf> = OnceLock::new();
    SHARED.get_or_init(|| {
        sweep();
        let path = parent().join(format!("pgm-{}", std::process::id()));
        make(&path);
        at_exit();
        path
    })
}

#[allow(unsafe_code)]
fn at_exit() {
    extern "C" fn remove() {
        if let Err(error) = fs::remove_dir_all(shared()) {
            eprintln!("cannot remove {}: {error}", shared().display());
        }
    }
    // SAFETY: the function is valid for the life of the process and does not unwind.
    let registered = unsafe { libc::atexit(remove) };
    assert_eq!(registered, 0);
}

/// Removes the directories of killed runs and of failed tests of earlier runs.
fn sweep() {
    for entry in fs::read_dir(parent()).unwrap().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix("pgm-")) else {
            continue;
        };
        let pid: Option<i32> = rest.split('-').next().and_then(|pid| pid.parse().ok());
        let alive = pid
            .and_then(rustix::process::Pid::from_raw)
            .is_none_or(|pid| rustix::process::test_kill_process(pid).is_ok());
        // In a container a killed run may have had the same process id.
        let alive = alive && pid != i32::try_from(std::process::id()).ok();
        if !alive {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The names in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
