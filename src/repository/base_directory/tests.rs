//! What is found, what is made, and what is missed.

use super::*;
use std::fs;

/// A directory that is removed with the value.
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
fn a_repository_is_found_and_never_made_at_a_start() {
    let scratch = Scratch::new("found");
    let base = scratch.base();
    let refused = open(&base).unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
    let hint = refused.advice().unwrap();
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
    assert_eq!(open(&base).unwrap_err().kind(), Kind::Busy);
    opened.repository(&server()).unwrap().check_place().unwrap();
    drop(opened);
    assert!(open(&base).is_ok());
    assert_eq!(
        BaseDirectory::create(&base, &[]).unwrap_err().kind(),
        Kind::Usage
    );
}

#[test]
fn what_is_not_empty_is_a_repository_only_if_one_was_there() {
    let scratch = Scratch::new("used");
    let base = scratch.base();
    fs::create_dir_all(base.join("other/wal")).unwrap();
    fs::write(base.join("other/wal/000000010000000000000001"), "x").unwrap();
    assert!(BaseDirectory::create(&base, &[server()]).is_err());
    assert!(open(&base).is_err());
    // Empty directories may be there because something else is not mounted.
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
fn directories_of_a_server_are_made_once() {
    for lost in ["primary", "primary/wal", "primary/basebackup"] {
        let scratch = Scratch::new(&format!("once-{}", lost.len()));
        let base = scratch.made();
        base.repository(&server()).unwrap();
        let (here, away) = (scratch.base().join(lost), scratch.0.join("away"));
        fs::rename(&here, &away).unwrap();
        let gone = base.repository(&server()).unwrap_err();
        assert_eq!(gone.kind(), Kind::NotFound, "{lost}");
        assert!(gone.advice().unwrap().contains("wal begin primary"));
        fs::rename(&away, &here).unwrap();
        base.repository(&server()).unwrap();

        fs::rename(&here, &away).unwrap();
        drop(base);
        let base = open(&scratch.base()).unwrap();
        assert_eq!(
            base.repository(&server()).unwrap_err().kind(),
            Kind::NotFound
        );
        assert!(!here.exists(), "{lost} was made anew");
        // What a person asks for is done, and stays.
        let begun = base.begin(&server()).unwrap();
        assert!(
            here.exists()
                && begun
                    .places()
                    .same(base.repository(&server()).unwrap().places())
        );
    }
}

#[test]
fn an_empty_place_to_mount_backups_on_is_not_taken_for_them() {
    let scratch = Scratch::new("mount");
    let base = scratch.made();
    let repository = base.repository(&server()).unwrap();
    let backup = scratch.base().join("primary/basebackup");
    fs::create_dir(backup.join("20260101000000")).unwrap();
    repository.note_backups().unwrap();
    drop(base);
    fs::rename(&backup, scratch.0.join("away")).unwrap();
    fs::create_dir(&backup).unwrap();
    let base = open(&scratch.base()).unwrap();
    let refused = base.repository(&server()).unwrap_err();
    assert!(refused.message().contains("not mounted"), "{refused}");
    fs::remove_dir(&backup).unwrap();
    fs::rename(scratch.0.join("away"), &backup).unwrap();
    base.repository(&server()).unwrap();
    drop(base);
    // Those that a person gave up are not missed any more.
    fs::remove_dir(backup.join("20260101000000")).unwrap();
    let base = open(&scratch.base()).unwrap();
    assert!(base.repository(&server()).is_err());
    base.begin(&server()).unwrap();
    drop(base);
    let base = open(&scratch.base()).unwrap();
    base.repository(&server()).unwrap();
}

#[test]
fn a_base_dir_that_is_gone_is_missed() {
    let scratch = Scratch::new("gone");
    let base = scratch.made();
    let repository = base.repository(&server()).unwrap();
    let away = scratch.0.join("away");
    fs::rename(scratch.base(), &away).unwrap();
    fs::create_dir_all(scratch.base().join("primary/wal")).unwrap();
    for result in [
        base.repository(&server()).map(|_| ()),
        base.begin(&server()).map(|_| ()),
        repository.check_place(),
        repository
            .wal_of(crate::unit::SegmentSize::DEFAULT)
            .store_history(crate::unit::Timeline::FIRST, b""),
    ] {
        let failure = result.unwrap_err();
        assert_eq!(failure.kind(), Kind::NotFound, "{failure}");
    }
    assert!(!scratch.base().join("primary/basebackup").exists());
    fs::remove_dir_all(scratch.base()).unwrap();
    fs::rename(&away, scratch.base()).unwrap();
    base.repository(&server()).unwrap();
}

#[test]
fn the_lock_that_somebody_removed_is_missed() {
    let scratch = Scratch::new("lock");
    let base = scratch.made();
    fs::remove_file(scratch.base().join(".lock")).unwrap();
    assert!(base.repository(&server()).is_err());
}

#[test]
fn the_repository_of_version_0_1_0_is_taken_over() {
    let scratch = Scratch::new("earlier");
    let root = scratch.base().join("primary");
    fs::create_dir_all(root.join("wal")).unwrap();
    fs::create_dir(root.join("backup")).unwrap();
    fs::write(root.join("system.info"), "SYSTEM_IDENTIFIER=7\n").unwrap();
    fs::rename(root.join("wal"), root.join("away")).unwrap();
    let base = open(&scratch.base()).unwrap();
    assert_eq!(
        base.repository(&server()).unwrap_err().kind(),
        Kind::NotFound
    );
    assert!(!root.join("wal").exists() && !root.join("basebackup").exists());
    fs::rename(root.join("away"), root.join("wal")).unwrap();
    base.repository(&server()).unwrap();
    assert!(root.join("basebackup").exists());
}
