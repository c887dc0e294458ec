//! The identity of files: device and inode number.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The device and inode number of a file, the same for all of its hard links. They are unique as
/// long as the file is open.
///
/// On Linux the timestamps are not queried: since 6.13 a query makes the next write update them
/// with fine granularity (`fs/inode.c`, multigrain timestamps), and the next sync may have to write
/// the inode too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// The identity of an open file.
    pub fn fstat(file: &File) -> io::Result<FileIdentity> {
        query(file, "", Lookup::OpenFile).unwrap_or_else(|| file.metadata().map(FileIdentity::from))
    }

    /// The identity of the file at a path; symbolic links are followed.
    pub fn stat(path: &Path) -> io::Result<FileIdentity> {
        query(rustix::fs::CWD, path, Lookup::Follow)
            .unwrap_or_else(|| std::fs::metadata(path).map(FileIdentity::from))
    }

    /// The identity of the file at a path, of the link itself if it is a symbolic link.
    pub fn lstat(path: &Path) -> io::Result<FileIdentity> {
        query(rustix::fs::CWD, path, Lookup::NoFollow)
            .unwrap_or_else(|| std::fs::symlink_metadata(path).map(FileIdentity::from))
    }
}

impl From<std::fs::Metadata> for FileIdentity {
    fn from(metadata: std::fs::Metadata) -> FileIdentity {
        FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// How the path is looked up.
#[derive(Clone, Copy)]
enum Lookup {
    /// The open file, with an empty path.
    OpenFile,
    /// Symbolic links are followed.
    Follow,
    /// A final symbolic link is not followed.
    NoFollow,
}

/// Queries device and inode number only; `None` where statx(2) is not available.
#[cfg(target_os = "linux")]
fn query(
    directory: impl rustix::fd::AsFd,
    path: impl rustix::path::Arg,
    lookup: Lookup,
) -> Option<io::Result<FileIdentity>> {
    use rustix::fs::{AtFlags, StatxFlags, makedev, statx};
    let flags = match lookup {
        Lookup::OpenFile => AtFlags::EMPTY_PATH,
        Lookup::Follow => AtFlags::empty(),
        Lookup::NoFollow => AtFlags::SYMLINK_NOFOLLOW,
    };
    match statx(directory, path, flags, StatxFlags::INO) {
        Ok(found) => Some(Ok(FileIdentity {
            device: makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
        })),
        // Before Linux 4.11, and in sandboxes without statx(2).
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => None,
        Err(error) => Some(Err(error.into())),
    }
}

/// Always `None`: there is no statx(2).
#[cfg(not(target_os = "linux"))]
fn query(
    _directory: impl rustix::fd::AsFd,
    _path: impl rustix::path::Arg,
    _lookup: Lookup,
) -> Option<io::Result<FileIdentity>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn hard_links_have_the_same_identity() {
        let root = std::env::temp_dir().join(format!("pgmoneta-identity-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let [path, other, link] = ["file", "other", "link"].map(|name| root.join(name));
        let file = File::create(&path).unwrap();
        fs::hard_link(&path, &other).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let ours = FileIdentity::fstat(&file).unwrap();
        assert_eq!(ours, FileIdentity::from(file.metadata().unwrap()));
        for name in [&path, &other, &link] {
            assert_eq!(FileIdentity::stat(name).unwrap(), ours, "{name:?}");
        }
        assert_eq!(FileIdentity::lstat(&other).unwrap(), ours);
        assert_ne!(FileIdentity::lstat(&link).unwrap(), ours);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert_ne!(FileIdentity::stat(&path).unwrap(), ours);
        fs::remove_file(&path).unwrap();
        let gone = FileIdentity::stat(&path).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        fs::remove_dir_all(&root).unwrap();
    }
}
