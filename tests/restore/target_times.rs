//! A target time is found in WAL, independent of the stop time of the backup.

use super::scenario::Scenario;
use crate::harness::installed;

/// Changes the stop time of a backup.
fn set_stop_time(scenario: &Scenario, label: &str, micros: i64) {
    let path = scenario
        .daemon
        .backups("primary")
        .join(label)
        .join("backup.info");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| match line.split_once('=') {
        Some(("STOP_TIME", _)) => format!("STOP_TIME={micros}\n"),
        _ => format!("{line}\n"),
    });
    let new: String = lines.collect();
    assert_ne!(new, text);
    crate::harness::write_owned(&path, new);
}

/// The backup that is chosen for a target.
fn chosen(scenario: &Scenario, position: &str) -> String {
    let arguments = ["restore", "primary", "newest", position, "/tmp"];
    let arguments = [&arguments[..], &["--dry-run", "-F", "json"]].concat();
    let answer = scenario.daemon.cli(&arguments).ok().json();
    answer["Response"]["Backup"].as_str().unwrap().to_owned()
}

#[test]
fn a_time_between_the_end_of_a_backup_and_the_clock_at_its_end_is_reached() {
    for major in [13, 15, 18] {
        if installed(major).is_none() {
            continue;
        }
        let mut scenario = Scenario::new(major, "compression = zstd");
        let (a, b) = (scenario.a.clone(), scenario.b.clone());
        for label in [&a, &b] {
            set_stop_time(&scenario, label, 4_070_908_800_000_000);
        }
        let time = |scenario: &Scenario, row: usize| format!("time={}", scenario.row(row).time);
        assert_eq!(scenario.reaches("newest", &time(&scenario, 4), "4"), b);
        assert_eq!(scenario.reaches("newest", &time(&scenario, 2), "2"), a);
        let early = scenario.try_restore(&b, &time(&scenario, 2));
        let fits = format!("use the backup {a}");
        early
            .fails(1, "before the end of the backup")
            .fails(1, &fits);

        // No transaction ends in this backup or after it.
        let c = scenario.daemon.backup("primary");
        set_stop_time(&scenario, &c, 0);
        assert_eq!(chosen(&scenario, &time(&scenario, 4)), b);
        let late = scenario.try_restore("newest", &time(&scenario, 5));
        late.fails(1, "cannot be reached").fails(1, "`current`");
        let early = scenario.try_restore(&c, &time(&scenario, 4));
        early.fails(1, "before the end of the backup");
        scenario.step(6);
        scenario.cluster.wait_received("pgmoneta");
        assert_eq!(scenario.reaches(&c, &time(&scenario, 5), "5"), c);
        let early = scenario.try_restore(&c, &time(&scenario, 4));
        early.fails(1, "before the end of the backup");
        assert_eq!(chosen(&scenario, &time(&scenario, 4)), b);
    }
}
