//! Listing and finding backups.

use super::scratch::{Scratch, label};
use crate::error::ErrorKind;

#[test]
fn complete_backups_are_listed_and_damaged_ones_are_not_valid() {
    let scratch = Scratch::new("list");
    assert!(scratch.1.backups().unwrap().is_empty());
    assert!(scratch.1.find("newest").is_err());
    scratch.add("20260103000000", "STATUS=1\n");
    scratch.add("20260101000000", "STATUS=1\n");
    scratch.add("20260104000000", "STATUS=");
    scratch.add(".new-20260105000000", "STATUS=1\n");
    scratch.add("lost+found", "");
    std::fs::write(scratch.1.backup_path().join("20260106000000"), "").unwrap();
    // It may be on another disk, which is away.
    let away = scratch.1.backup_path().join("20260102000000");
    std::os::unix::fs::symlink("/nowhere/20260102000000", away).unwrap();
    let backups = scratch.1.backups().unwrap();
    let listed: Vec<_> = backups
        .iter()
        .map(|b| (b.label.as_str(), b.info.valid))
        .collect();
    assert_eq!(
        listed,
        [
            ("20260101000000", true),
            ("20260102000000", false),
            ("20260103000000", true),
            ("20260104000000", false)
        ]
    );
    let newest = scratch.1.newest_label().unwrap();
    assert_eq!(newest, Some(label("20260105000000")));
    for (identifier, found) in [
        ("oldest", Some("20260101000000")),
        ("newest", Some("20260103000000")),
        ("latest", Some("20260103000000")),
        ("20260101", Some("20260101000000")),
        ("20260104000000", Some("20260104000000")),
        ("2026", None),
        ("20260105", None),
        ("", None),
        ("..", None),
    ] {
        let result = scratch.1.find(identifier).ok();
        assert_eq!(
            result.as_ref().map(|b| b.label.as_str()),
            found,
            "{identifier}"
        );
    }
    assert_eq!(scratch.1.find("2026").unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(scratch.1.find("1").unwrap_err().kind(), ErrorKind::NotFound);
}
