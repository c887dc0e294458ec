//! Reading files in directories where others may have put something else under their names.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file to read it; symbolic links are followed. Anything else is an error: a pipe would let us wait for
/// somebody who writes, and a device may never end.
pub fn open_file(path: &Path) -> io::Result<File> {
    let file = open_at_once(path)?;
    check_regular(&file)?;
    Ok(file)
}

/// Opens whatever it is, and does not wait for the other end of a pipe.
pub(super) fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = flags(OFlags::NONBLOCK);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Reads a regular file of at most `longest` bytes. A longer one is an error, and so is anything else than a file.
pub fn read_file(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut limited = open_file(path)?.take(longest.saturating_add(1));
    limited.read_to_end(&mut content)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > longest {
        let message = format!("it has more than {longest} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(content)
}

/// Opens a regular file to change it in its place. A symbolic link is an error too: it may lead to a file of ours that is
/// none of this directory.
pub(super) fn open_to_change(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags(OFlags::NONBLOCK | OFlags::NOFOLLOW))
        .open(path)?;
    check_regular(&file)?;
    Ok(file)
}

fn check_regular(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() {
        return Ok(());
    }
    let message = "it is not a regular file";
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// As the standard library wants them.
fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let name = format!("pgmoneta-regular-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("file"), b"12345").unwrap();
        symlink("file", directory.join("link")).unwrap();
        symlink("/dev/zero", directory.join("device")).unwrap();
        let pipe = directory.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let (sender, results) = mpsc::channel();
        let place = directory.clone();
        std::thread::spawn(move || {
            for name in ["file", "link", "device", "pipe", ".", "none"] {
                let _ = sender.send(read_file(&place.join(name), 5).map_err(|error| error.kind()));
            }
        });
        let next = || results.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(next().unwrap(), b"12345");
        assert_eq!(next().unwrap(), b"12345");
        for _ in ["device", "pipe", "directory"] {
            assert_eq!(next(), Err(io::ErrorKind::InvalidData));
        }
        assert_eq!(next(), Err(io::ErrorKind::NotFound));
        assert!(read_file(&directory.join("file"), 4).is_err());
        assert!(open_to_change(&directory.join("file")).is_ok());
        assert!(open_to_change(&directory.join("link")).is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
