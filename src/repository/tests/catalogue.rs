//! The backups in memory, and when they are read again.

use std::os::unix::net::UnixListener;

use super::scratch::Scratch;
use crate::repository::Repository;

#[test]
fn backups_are_read_once_and_again_when_they_change_on_disk() {
    let scratch = Scratch::new("catalogue");
    for day in 1..=5 {
        scratch.add(&format!("2026010{day}000000"), "STATUS=1\nCOMMENTS=a\n");
    }
    let path = |day: u32| scratch.1.backup_path().join(format!("2026010{day}000000"));
    let seen = |repository: &Repository| {
        let before = repository.catalogue().reads;
        let backups = repository.backups().unwrap();
        let count = repository.catalogue().reads - before;
        let comments = backups.iter().map(|backup| backup.info.comments.clone());
        (count, comments.collect::<Vec<_>>().join(""))
    };
    assert_eq!(seen(&scratch.1), (5, "aaaaa".to_owned()));
    // Fresh files are read each time: their times may not tell a change.
    while seen(&scratch.1).0 > 0 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let clone = scratch.1.clone();
    assert_eq!(seen(&clone), (0, "aaaaa".to_owned()));
    scratch.1.find("newest").unwrap();
    assert_eq!(seen(&clone), (0, "aaaaa".to_owned()));

    std::fs::write(path(2).join("backup.info"), "STATUS=1\nCOMMENTS=b\n").unwrap();
    assert_eq!(seen(&clone), (1, "abaaa".to_owned()), "changed in place");
    std::fs::remove_dir_all(path(3)).unwrap();
    assert_eq!(seen(&clone).1, "abaa", "removed");
    scratch.add("20260109000000", "STATUS=1\nCOMMENTS=c\n");
    assert_eq!(seen(&clone).1, "abaac", "brought");
    std::fs::rename(path(1), path(8)).unwrap();
    assert_eq!(seen(&clone).1, "baaac", "moved");
    let damaged = |day: u32| {
        let backups = clone.backups().unwrap();
        let label = format!("2026010{day}000000");
        let found = backups.iter().find(|backup| backup.label.as_str() == label);
        found.unwrap().damage().is_some()
    };
    assert!(damaged(4), "there is no manifest");
    std::fs::write(path(4).join("backup.manifest"), "{}").unwrap();
    assert!(!damaged(4));
    std::fs::remove_file(path(4).join("backup.manifest")).unwrap();
    assert!(damaged(4));
    std::fs::write(path(5).join("backup.info"), "STATUS=").unwrap();
    let backups = clone.backups().unwrap();
    let valid = |text: &str| {
        let found = backups.iter().find(|backup| backup.label.as_str() == text);
        found.unwrap().info.valid
    };
    assert!(!valid("20260105000000") && valid("20260104000000"));
}

#[test]
fn a_backup_is_read_again_after_an_error_of_the_system() {
    let scratch = Scratch::new("catalogue-error");
    let unreadable = scratch.1.backup_path().join("20260102000000");
    std::fs::create_dir_all(&unreadable).unwrap();
    // open(2) of a socket is ENXIO.
    let _socket = UnixListener::bind(unreadable.join("backup.info")).unwrap();
    // The last one to be changed: when it is not read any more, the other one is not fresh either.
    scratch.add("20260101000000", "STATUS=1\n");
    let reads = || {
        let before = scratch.1.catalogue().reads;
        let backups = scratch.1.backups().unwrap();
        assert!(backups[0].info.valid && !backups[1].info.valid);
        scratch.1.catalogue().reads - before
    };
    while reads() > 1 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(reads(), 1);
    assert_eq!(reads(), 1);
}
