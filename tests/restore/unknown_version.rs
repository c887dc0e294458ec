//! WAL from an unknown version of PostgreSQL: targets that need no decoded record can be restored,
//! others are refused with that reason.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::scenario::Scenario;

/// Changes the page magic of the WAL in the repository to that of a later version; record checksums
/// do not cover it.
fn make_newer(scenario: &Scenario) {
    for entry in std::fs::read_dir(scenario.daemon.wal("primary")).unwrap() {
        let path = entry.unwrap().path();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        for page in (0..file.metadata().unwrap().len()).step_by(8192) {
            let mut magic = [0; 2];
            file.read_exact_at(&mut magic, page).unwrap();
            if magic != [0, 0] {
                file.write_all_at(&0xD134u16.to_le_bytes(), page).unwrap();
            }
        }
    }
}

#[test]
fn targets_that_need_records_of_an_unknown_version_are_refused_and_others_work() {
    let mut scenario = Scenario::new(crate::harness::server().0, "compression = none");
    let lsn = scenario.row(4).lsn;
    scenario.daemon.stop();
    scenario.cluster.stop();
    make_newer(&scenario);
    scenario.daemon.start();
    let dry = |backup: &str, position: &str| {
        let arguments = ["restore", "primary", backup, position, "/tmp", "--dry-run"];
        scenario.daemon.cli(&arguments)
    };
    for position in ["current", "immediate", &format!("lsn={lsn}")] {
        let output = dry("newest", position).ok();
        assert!(output.stdout.contains(&scenario.b), "{output}");
        assert!(output.stdout.contains("page magic D134"), "{output}");
    }
    for position in [
        format!("time={}", scenario.row(4).time),
        format!("xid={}", scenario.row(4).xid),
        "name=later".to_owned(),
    ] {
        for backup in ["newest", scenario.a.as_str()] {
            dry(backup, &position)
                .fails(1, "newer version of PostgreSQL")
                .fails(1, "lsn= it can be restored");
        }
    }
}
