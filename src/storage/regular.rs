//! Opening regular files in directories to which others may write.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::unit::to_u64;
use rustix::fs::OFlags;

/// Opens a regular file for reading; symbolic links are followed. Anything else is an error: a pipe
/// would block until it is written to, and a device may never end.
pub fn open_file(path: &Path) -> io::Result<File> {
    let file = open_nonblocking(path)?;
    check_regular(&file)?;
    Ok(file)
}

/// As [`open_file`], and a symbolic link is an error too.
pub fn open_file_nofollow(path: &Path) -> io::Result<File> {
    let flags = flags(OFlags::NONBLOCK | OFlags::NOFOLLOW);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    check_regular(&file)?;
    Ok(file)
}

/// Opens any type of file without blocking on a pipe.
pub(super) fn open_nonblocking(path: &Path) -> io::Result<File> {
    let flags = flags(OFlags::NONBLOCK);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Reads a regular file of at most `max_size` bytes. A longer one is an error, and so is anything
/// else than a file.
pub fn read_file(path: &Path, max_size: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut limited = open_file(path)?.take(max_size.saturating_add(1));
    limited.read_to_end(&mut content)?;
    if to_u64(content.len()) > max_size {
        let message = format!("it has more than {max_size} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(content)
}

/// Opens a regular file for reading and writing. A symbolic link is an error too: it may lead out
/// of the directory.
pub(super) fn open_for_update(path: &Path) -> io::Result<File> {
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

/// As `custom_flags` takes them.
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
    fn special_files_are_rejected_at_once() {
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
        assert!(open_file_nofollow(&directory.join("file")).is_ok());
        assert!(open_file_nofollow(&directory.join("link")).is_err());
        assert!(open_for_update(&directory.join("file")).is_ok());
        assert!(open_for_update(&directory.join("link")).is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
