//! Deleting backups of the C program.

use std::fs;
use std::path::Path;

use super::repository::{CRepository, rows};

/// How many links below a directory lead to a backup.
fn links_to(directory: &Path, label: &str) -> usize {
    let entries = fs::read_dir(directory).unwrap();
    let count = entries.map(|entry| {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            return links_to(&entry.path(), label);
        }
        let text = entry.path().read_link().unwrap_or_default();
        usize::from(text.iter().any(|name| name == label))
    });
    count.sum()
}

#[test]
fn an_older_backup_goes_and_the_newer_one_keeps_the_files_that_it_shared() {
    let repository = CRepository::new("15-none-none");
    let [old, new] = &repository.labels[..] else {
        panic!("{:?}", repository.labels)
    };
    let daemon = &repository.daemon;
    assert!(links_to(&repository.backup(new), old) > 100);
    daemon.cli(&["retain", "primary", new]).ok();
    daemon
        .cli(&["annotate", "primary", new, "add", "why", "a, b|c"])
        .ok();
    let info = daemon.cli(&["info", "primary", new]).ok();
    assert!(info.stdout.contains("a, b|c"), "{info}");
    daemon.cli(&["delete", "primary", old]).ok();
    assert!(!repository.backup(old).exists());
    assert_eq!(links_to(&repository.backup(new), old), 0);
    daemon.cli(&["verify", "primary", new]).ok();
    let cluster = repository.restored(new, "immediate");
    assert!(rows(&cluster).0 >= 1500);
    daemon
        .cli(&["delete", "primary", new])
        .fails(1, "is retained");
    daemon.cli(&["expunge", "primary", new]).ok();
    daemon
        .cli(&["delete", "primary", new])
        .fails(1, "last valid");
    daemon.cli(&["delete", "primary", new, "--force"]).ok();
    assert!(daemon.labels("primary").is_empty());
}
