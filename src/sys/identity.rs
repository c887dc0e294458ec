//! Which file it is.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Which file it is, whatever its names are: its file system and its inode number there. As long as the file is open no
/// other one gets the same.
///
/// On Linux the times are not asked for: from 6.13 on a file whose times somebody has looked at gets new ones with its next
/// write at once (`fs/inode.c`, multigrain timestamps), and the next sync may have to write its inode too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// That of an open file.
    pub fn of(file: &File) -> io::Result<FileIdentity> {
        ask(file, "", What::Open).unwrap_or_else(|| file.metadata().map(FileIdentity::from))
    }

    /// That of what a path leads to.
    pub fn at(path: &Path) -> io::Result<FileIdentity> {
        ask(rustix::fs::CWD, path, What::Target)
            .unwrap_or_else(|| std::fs::metadata(path).map(FileIdentity::from))
    }

    /// That of what has a name, itself if it is a symbolic link.
    pub fn named(path: &Path) -> io::Result<FileIdentity> {
        ask(rustix::fs::CWD, path, What::Name)
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

/// What is asked for.
#[derive(Clone, Copy)]
enum What {
    /// The open file; the path is empty.
    Open,
    /// What the path leads to.
    Target,
    /// What has the name.
    Name,
}

/// Asks for nothing but the identity; `None` where that cannot be asked for.
#[cfg(target_os = "linux")]
fn ask(
    directory: impl rustix::fd::AsFd,
    path: impl rustix::path::Arg,
    what: What,
) -> Option<io::Result<FileIdentity>> {
    use rustix::fs::{AtFlags, StatxFlags, makedev, statx};
    let flags = match what {
        What::Open => AtFlags::EMPTY_PATH,
        What::Target => AtFlags::empty(),
        What::Name => AtFlags::SYMLINK_NOFOLLOW,
    };
    match statx(directory, path, flags, StatxFlags::INO) {
        Ok(found) => Some(Ok(FileIdentity {
            device: makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
        })),
        // Before Linux 4.11, and in sandboxes that know only older calls.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => None,
        Err(error) => Some(Err(error.into())),
    }
}

/// Asks for nothing but the identity: this cannot be asked for here.
#[cfg(not(target_os = "linux"))]
fn ask(
    _directory: impl rustix::fd::AsFd,
    _path: impl rustix::path::Arg,
    _what: What,
) -> Option<io::Result<FileIdentity>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn names_of_one_file_have_one_identity() {
        let root = std::env::temp_dir().join(format!("pgmoneta-identity-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let [path, other, link] = ["file", "other", "link"].map(|name| root.join(name));
        let file = File::create(&path).unwrap();
        fs::hard_link(&path, &other).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let ours = FileIdentity::of(&file).unwrap();
        assert_eq!(ours, FileIdentity::from(file.metadata().unwrap()));
        for name in [&path, &other, &link] {
            assert_eq!(FileIdentity::at(name).unwrap(), ours, "{name:?}");
        }
        assert_eq!(FileIdentity::named(&other).unwrap(), ours);
        assert_ne!(FileIdentity::named(&link).unwrap(), ours);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert_ne!(FileIdentity::at(&path).unwrap(), ours);
        fs::remove_file(&path).unwrap();
        let gone = FileIdentity::at(&path).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        fs::remove_dir_all(&root).unwrap();
    }
}
