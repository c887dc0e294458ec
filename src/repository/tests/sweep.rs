//! What a crash leaves.

use super::scratch::Scratch;
use crate::repository::SystemInfo;
use crate::unit::{PgVersion, SegmentSize};

#[test]
fn a_sweep_removes_incomplete_backups_and_nothing_else() {
    let scratch = Scratch::new("sweep");
    let kept = scratch.add("20260101000000", "STATUS=1\n");
    let building = scratch.add(".new-20260102000000", "STATUS=1\n");
    std::fs::create_dir_all(building.join("data/base/1")).unwrap();
    std::fs::write(building.join("data/base/1/1"), "x").unwrap();
    std::fs::write(kept.join(".backup.info.tmp"), "").unwrap();
    std::fs::write(kept.join("data"), "").unwrap();
    let system = SystemInfo {
        system_identifier: 7,
        version: PgVersion {
            major: 15,
            minor: 1,
        },
        segment_size: SegmentSize::DEFAULT,
    };
    scratch.1.bind(&system).unwrap();
    std::fs::write(scratch.1.wal_path().join(".0001.zstd.tmp"), "").unwrap();
    std::fs::write(scratch.1.wal_path().join("0001.partial"), "").unwrap();
    let foreign =
        [scratch.1.wal_path(), scratch.1.path().to_owned()].map(|path| path.join(".x.tmp"));
    for directory in &foreign {
        std::fs::create_dir(directory).unwrap();
    }
    assert_eq!(scratch.1.sweep().unwrap(), 3);
    assert!(foreign.iter().all(|directory| directory.exists()));
    assert!(!building.exists());
    assert!(kept.join("backup.info").exists() && kept.join("data").exists());
    assert!(scratch.1.wal_path().join("0001.partial").exists());
    assert_eq!(scratch.1.sweep().unwrap(), 0);
}
