//! A small file system, to be filled.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::user::{User, user};

/// A tmpfs in a mount namespace of this thread and of the processes that it starts.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts `mib` MiB at `path`; prints the reason and returns `None` without the permission.
    pub fn mount(path: &Path, mib: u32) -> Option<Self> {
        let User::Other { uid, gid } = user() else {
            eprintln!("left out: only root can mount a small disk");
            return None;
        };
        let options = format!("size={mib}m,mode=700,uid={uid},gid={gid}");
        let mounted = private_mounts() && mount("tmpfs", path, 0, &options);
        if !mounted {
            let error = std::io::Error::last_os_error();
            eprintln!("left out: a small disk cannot be mounted here: {error}");
            return None;
        }
        Some(Self {
            path: path.to_owned(),
        })
    }

    /// Fills the disk up to `mib` MiB of free space.
    pub fn leave(&self, mib: u64) {
        let size = self.free() - mib * 1024 * 1024;
        let filler = File::create(self.filler()).unwrap();
        rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, size).unwrap();
    }

    /// The free space, bytes.
    pub fn free(&self) -> u64 {
        let free = rustix::fs::statvfs(&self.path).unwrap();
        free.f_bavail * free.f_frsize
    }

    /// Frees the filled space.
    pub fn give_back(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

/// Moves this thread to its own mount namespace.
fn private_mounts() -> bool {
    // SAFETY: takes no pointers; the file system state of this thread alone is no longer shared.
    let unshared = unsafe { libc::unshare(libc::CLONE_FS | libc::CLONE_NEWNS) } == 0;
    unshared && mount("none", Path::new("/"), libc::MS_REC | libc::MS_PRIVATE, "")
}

fn mount(kind: &str, path: &Path, flags: libc::c_ulong, options: &str) -> bool {
    let kind = CString::new(kind).unwrap();
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let options = CString::new(options).unwrap();
    // SAFETY: all pointers are to texts that end with a zero and live until the call is over.
    unsafe {
        libc::mount(
            kind.as_ptr(),
            path.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        ) == 0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = CString::new(self.path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the pointer is to a text that ends with a zero and lives until the call is over.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}
