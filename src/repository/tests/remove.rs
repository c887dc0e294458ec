//! Removing a backup.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::scratch::{Scratch, label};
use crate::error::ErrorKind;
use crate::repository::Repository;
use crate::storage::PinnedPaths;
use crate::sys::Stop;

const ONE: &str = "20260101000000";
const OTHER: &str = "20260102000000";

/// A backup with files in directories, and a link out of the repository.
fn add(scratch: &Scratch, label: &str) -> std::path::PathBuf {
    let path = scratch.add(label, "STATUS=1\n");
    fs::create_dir_all(path.join("data/base/1")).unwrap();
    fs::write(path.join("data/base/1/1"), "x").unwrap();
    symlink(scratch.1.wal_path(), path.join("data/pg_wal")).unwrap();
    path
}

fn remove(repository: &Repository, label: &str) -> crate::error::Result<()> {
    let backup = repository.find(label).unwrap();
    repository.remove_backup(&backup, &Stop::new().unwrap())
}

fn labels(repository: &Repository) -> Vec<String> {
    let backups = repository.backups().unwrap();
    let labels = backups.iter().map(|backup| backup.label.to_string());
    labels.collect()
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_removed_backup_is_gone_and_everything_else_is_there() {
    let scratch = Scratch::new("remove");
    let repository = &scratch.1;
    add(&scratch, ONE);
    add(&scratch, OTHER);
    repository.record_backups().unwrap();
    fs::write(repository.wal_path().join("kept"), "x").unwrap();
    remove(repository, ONE).unwrap();
    assert_eq!(labels(repository), [OTHER]);
    assert_eq!(names(&repository.backup_path()), [OTHER]);
    assert!(repository.path().join("backup.made").exists());
    let gone = repository.find(OTHER).unwrap();
    remove(repository, OTHER).unwrap();
    assert!(names(&repository.backup_path()).is_empty());
    assert!(!repository.path().join("backup.made").exists());
    assert!(repository.wal_path().join("kept").exists());
    let again = repository.remove_backup(&gone, &Stop::new().unwrap());
    assert_eq!(again.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_backup_of_the_c_program_is_removed_too() {
    let scratch = Scratch::new("remove-c");
    let own = add(&scratch, ONE);
    fs::create_dir(scratch.1.c_backup_path()).unwrap();
    fs::rename(own, scratch.1.c_backup_path().join(ONE)).unwrap();
    remove(&scratch.1, ONE).unwrap();
    assert!(names(&scratch.1.c_backup_path()).is_empty());
    assert!(names(&scratch.1.backup_path()).is_empty());
}

#[test]
fn nothing_is_removed_from_a_directory_that_was_replaced() {
    let scratch = Scratch::new("remove-pinned");
    let repository = &scratch.1;
    add(&scratch, ONE);
    let (here, away) = (repository.backup_path(), repository.path().join("away"));
    fs::rename(&here, &away).unwrap();
    add(&scratch, ONE);
    let refused = remove(repository, ONE).unwrap_err();
    assert!(refused.message().contains("not the one"), "{refused}");
    assert_eq!(labels(repository), [ONE]);
    fs::remove_dir_all(&here).unwrap();
    fs::rename(&away, &here).unwrap();
    remove(repository, ONE).unwrap();
}

#[test]
fn what_is_no_backup_of_the_server_is_not_removed() {
    let scratch = Scratch::new("remove-else");
    let other = Scratch::new("remove-other");
    let path = add(&other, ONE);
    let backup = other.1.find(ONE).unwrap();
    let refused = scratch.1.remove_backup(&backup, &Stop::new().unwrap());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Internal);
    assert!(path.join("backup.info").exists());
}

#[test]
fn a_backup_that_was_retained_meanwhile_is_not_removed() {
    let scratch = Scratch::new("remove-kept");
    let path = add(&scratch, ONE);
    let seen = scratch.1.find(ONE).unwrap();
    fs::write(path.join("backup.info"), "STATUS=1\nKEEP=1\n").unwrap();
    let stop = Stop::new().unwrap();
    let refused = scratch.1.remove_backup(&seen, &stop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert_eq!(labels(&scratch.1), [ONE]);
    // The caller knows that it is retained.
    let seen = scratch.1.find(ONE).unwrap();
    scratch.1.remove_backup(&seen, &stop).unwrap();
}

#[test]
fn a_removal_that_was_interrupted_is_finished_at_the_start() {
    let scratch = Scratch::new("remove-rest");
    let repository = &scratch.1;
    add(&scratch, ONE);
    repository.record_backups().unwrap();
    let stop = Stop::new().unwrap();
    stop.request();
    let backup = repository.find(ONE).unwrap();
    let failure = repository.remove_backup(&backup, &stop).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Stopped);
    assert!(failure.message().contains("is deleted, but"), "{failure}");
    assert!(labels(repository).is_empty());
    assert_eq!(names(&repository.backup_path()), [".del-20260101000000"]);
    assert_eq!(repository.sweep().unwrap(), 1);
    assert!(names(&repository.backup_path()).is_empty());
    assert_eq!(repository.sweep().unwrap(), 0);
}

/// At every instant of the removal of the last backup: its loss must not be reported.
#[test]
fn the_removal_of_the_last_backup_is_not_taken_for_a_loss() {
    let scratch = Scratch::new("remove-last");
    let repository = &scratch.1;
    let path = add(&scratch, ONE);
    repository.record_backups().unwrap();
    let open = || Repository::open(repository.path(), &PinnedPaths::default());
    open().unwrap();
    let removed = repository.backup_path().join(".del-20260101000000");
    fs::rename(&path, &removed).unwrap();
    open().unwrap().record_backups().unwrap();
    assert!(!repository.path().join("backup.made").exists());
    open().unwrap().sweep().unwrap();
    open().unwrap();
    // Without a trace of a removal it is a loss.
    add(&scratch, ONE);
    repository.record_backups().unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert!(open().is_err());
}

#[test]
fn the_rest_of_an_earlier_removal_does_not_prevent_another() {
    let scratch = Scratch::new("remove-again");
    let repository = &scratch.1;
    let rest = add(&scratch, ".del-20260101000000");
    add(&scratch, ONE);
    assert_eq!(labels(repository), [ONE]);
    assert_eq!(repository.newest_label().unwrap(), Some(label(ONE)));
    remove(repository, ONE).unwrap();
    assert!(!rest.exists() && labels(repository).is_empty());
}

#[test]
fn symbolic_links_in_the_place_of_directories_are_not_followed() {
    let scratch = Scratch::new("remove-link");
    let repository = &scratch.1;
    add(&scratch, ONE);
    let other = repository.path().with_file_name("other");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("file"), "x").unwrap();
    symlink(&other, repository.backup_path().join(format!(".del-{ONE}"))).unwrap();
    remove(repository, ONE).unwrap();
    assert!(names(&repository.backup_path()).is_empty());
    assert_eq!(names(&other), ["file"]);
    // A backup that was moved to another disk.
    let path = add(&scratch, ONE);
    let moved = other.join(ONE);
    fs::rename(&path, &moved).unwrap();
    symlink(&moved, &path).unwrap();
    assert_eq!(labels(repository), [ONE]);
    let refused = remove(repository, ONE).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.hint().is_some());
    assert!(moved.join("backup.info").exists() && path.is_symlink());
}
