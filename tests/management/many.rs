//! A thousand backups and a hundred thousand WAL segments.

use std::fs;

use crate::harness::{Scratch, many};

#[test]
fn a_thousand_backups_are_listed_with_little_memory_and_changes_by_hand_are_seen() {
    let scratch = Scratch::new("many");
    let mut daemon = many(&scratch, 1000, 100_000);
    daemon.start();
    let listed = daemon.listed("primary");
    assert_eq!(listed.len(), 1000);
    let info = daemon.cli(&["info", "primary", "newest", "--format", "json"]);
    assert_eq!(info.ok().json()["Response"]["Backup"], listed[999]);
    let status = daemon
        .cli(&["status", "details", "--format", "json"])
        .json();
    let server = &status["Response"]["Servers"][0];
    assert_eq!(server["Backups"].as_array().unwrap().len(), 1000);
    let gaps = &server["WalGaps"];
    assert!(gaps.as_array().is_none_or(Vec::is_empty), "{gaps}");

    let retention = daemon.cli(&["retention", "primary", "--format", "json"]);
    let retention = &retention.ok().json()["Response"];
    assert_eq!(retention["Backups"].as_array().unwrap().len(), 1000);
    assert_eq!(daemon.listed("primary"), listed);

    fs::remove_dir_all(daemon.backups("primary").join(&listed[500])).unwrap();
    let damaged = daemon
        .backups("primary")
        .join(&listed[501])
        .join("backup.info");
    fs::write(damaged, "STATUS=").unwrap();
    let left = daemon.listed("primary");
    assert_eq!(left.len(), 999);
    assert!(!left.contains(&listed[500]));
    daemon
        .cli(&["restore", "primary", &listed[501], "current", "/nowhere"])
        .fails(1, "is not valid");

    let pid = daemon.process().pid();
    let memory = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let resident = memory.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = resident
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(kib < 64 << 10, "{kib} KiB");
    daemon.stop();
}
