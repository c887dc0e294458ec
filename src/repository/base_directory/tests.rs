//! Opening, creating and missing repositories.

use super::*;
use std::fs;

use crate::sys::acquire_released;

/// A directory that is removed on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = format!("pgmoneta-base-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(path);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn base(&self) -> PathBuf {
        self.0.join("base")
    }

    fn made(&self) -> BaseDirectory {
        BaseDirectory::create(&self.base(), &[server()]).unwrap();
        BaseDirectory::open(&self.base(), &[server()]).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn server() -> ServerName {
    "primary".parse().unwrap()
}

fn open(base: &Path) -> Result<BaseDirectory> {
    BaseDirectory::open(base, &[server()])
}

#[test]
fn a_repository_is_opened_and_never_created_at_the_start() {
    let scratch = Scratch::new("found");
    let base = scratch.base();
    let refused = open(&base).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let hint = refused.hint().unwrap();
    assert!(hint.contains("mounted") && hint.contains("pgmoneta-admin repository create"));
    assert!(!base.exists());
    fs::create_dir(&base).unwrap();
    fs::create_dir(base.join("lost+found")).unwrap();
    assert!(
        open(&base)
            .unwrap_err()
            .message()
            .contains(RepositoryInfo::NAME)
    );
    assert_eq!(fs::read_dir(&base).unwrap().count(), 1);

    BaseDirectory::create(&base, &[]).unwrap();
    let opened = open(&base).unwrap();
    assert_eq!(open(&base).unwrap_err().kind(), ErrorKind::Busy);
    opened.repository(&server()).unwrap().check_paths().unwrap();
    drop(opened);
    acquire_released(|| open(&base));
    assert_eq!(
        BaseDirectory::create(&base, &[]).unwrap_err().kind(),
        ErrorKind::Usage
    );
}

#[test]
fn a_directory_with_files_is_a_repository_only_if_it_was_used() {
    let scratch = Scratch::new("used");
    let base = scratch.base();
    fs::create_dir_all(base.join("other/wal")).unwrap();
    fs::write(base.join("other/wal/000000010000000000000001"), "x").unwrap();
    assert!(BaseDirectory::create(&base, &[server()]).is_err());
    assert!(open(&base).is_err());
    // Empty directories may be mount points of file systems that are not mounted.
    fs::create_dir_all(base.join("primary/backup")).unwrap();
    fs::create_dir_all(base.join("primary/wal")).unwrap();
    assert!(open(&base).is_err());
    // The C program leaves no file of its own in base_dir.
    fs::create_dir(base.join("primary/backup/20260101000000")).unwrap();
    let opened = open(&base).unwrap();
    assert!(base.join(RepositoryInfo::NAME).exists());
    opened.repository(&server()).unwrap();
}

#[test]
fn directories_of_a_server_are_created_once() {
    for lost in ["primary", "primary/wal", "primary/basebackup"] {
        let scratch = Scratch::new(&format!("once-{}", lost.len()));
        let base = scratch.made();
        base.repository(&server()).unwrap();
        let (here, away) = (scratch.base().join(lost), scratch.0.join("away"));
        fs::rename(&here, &away).unwrap();
        let gone = base.repository(&server()).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{lost}");
        assert!(gone.hint().unwrap().contains("wal begin primary"));
        fs::rename(&away, &here).unwrap();
        base.repository(&server()).unwrap();

        fs::rename(&here, &away).unwrap();
        drop(base);
        let base = acquire_released(|| open(&scratch.base()));
        assert_eq!(
            base.repository(&server()).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert!(!here.exists(), "{lost} was created again");
        // What an operator creates is accepted from then on.
        let begun = base.create_server(&server()).unwrap();
        assert!(
            here.exists()
                && begun
                    .pinned_paths()
                    .is_same_as(base.repository(&server()).unwrap().pinned_paths())
        );
    }
}

#[test]
fn an_empty_mount_point_of_the_backups_is_an_error() {
    let scratch = Scratch::new("mount");
    let base = scratch.made();
    let repository = base.repository(&server()).unwrap();
    let backup = scratch.base().join("primary/basebackup");
    fs::create_dir(backup.join("20260101000000")).unwrap();
    repository.record_backups().unwrap();
    drop(base);
    fs::rename(&backup, scratch.0.join("away")).unwrap();
    fs::create_dir(&backup).unwrap();
    let base = acquire_released(|| open(&scratch.base()));
    let refused = base.repository(&server()).unwrap_err();
    assert!(refused.message().contains("not mounted"), "{refused}");
    fs::remove_dir(&backup).unwrap();
    fs::rename(scratch.0.join("away"), &backup).unwrap();
    base.repository(&server()).unwrap();
    drop(base);
    // After the operator has accepted the loss it is no longer an error.
    fs::remove_dir(backup.join("20260101000000")).unwrap();
    let base = acquire_released(|| open(&scratch.base()));
    assert!(base.repository(&server()).is_err());
    base.create_server(&server()).unwrap();
    drop(base);
    let base = acquire_released(|| open(&scratch.base()));
    base.repository(&server()).unwrap();
}

#[test]
fn a_removed_base_dir_is_an_error() {
    let scratch = Scratch::new("gone");
    let base = scratch.made();
    let repository = base.repository(&server()).unwrap();
    let away = scratch.0.join("away");
    fs::rename(scratch.base(), &away).unwrap();
    fs::create_dir_all(scratch.base().join("primary/wal")).unwrap();
    for result in [
        base.repository(&server()).map(|_| ()),
        base.create_server(&server()).map(|_| ()),
        repository.check_paths(),
        repository
            .wal_with_segment_size(crate::unit::SegmentSize::DEFAULT)
            .store_history(crate::unit::Timeline::FIRST, b""),
    ] {
        let failure = result.unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::NotFound, "{failure}");
    }
    assert!(!scratch.base().join("primary/basebackup").exists());
    fs::remove_dir_all(scratch.base()).unwrap();
    fs::rename(&away, scratch.base()).unwrap();
    base.repository(&server()).unwrap();
}

#[test]
fn a_removed_lock_file_is_an_error() {
    let scratch = Scratch::new("lock");
    let base = scratch.made();
    fs::remove_file(scratch.base().join(".lock")).unwrap();
    assert!(base.repository(&server()).is_err());
}

#[test]
fn the_repository_of_version_0_1_0_is_opened() {
    let scratch = Scratch::new("earlier");
    let root = scratch.base().join("primary");
    fs::create_dir_all(root.join("wal")).unwrap();
    fs::create_dir(root.join("backup")).unwrap();
    fs::write(root.join("system.info"), "SYSTEM_IDENTIFIER=7\n").unwrap();
    fs::rename(root.join("wal"), root.join("away")).unwrap();
    let base = acquire_released(|| open(&scratch.base()));
    assert_eq!(
        base.repository(&server()).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(!root.join("wal").exists() && !root.join("basebackup").exists());
    fs::rename(root.join("away"), root.join("wal")).unwrap();
    base.repository(&server()).unwrap();
    assert!(root.join("basebackup").exists());
}
