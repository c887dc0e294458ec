//! A position in time is found in the WAL, whatever clocks say of the end of a backup.

use super::story::Story;
use crate::harness::installed;

/// As if the end of a backup had been waited for until then.
fn ended_at(story: &Story, label: &str, micros: i64) {
    let path = story
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

/// The backup that is chosen for a position.
fn chosen(story: &Story, position: &str) -> String {
    let arguments = ["restore", "primary", "newest", position, "/tmp"];
    let arguments = [&arguments[..], &["--dry-run", "-F", "json"]].concat();
    let answer = story.daemon.cli(&arguments).ok().json();
    answer["Response"]["Backup"].as_str().unwrap().to_owned()
}

#[test]
fn a_time_between_the_end_of_a_backup_and_the_clock_at_its_end_is_reached() {
    for major in [13, 15, 18] {
        if installed(major).is_none() {
            continue;
        }
        let mut story = Story::new(major, "compression = zstd");
        let (a, b) = (story.a.clone(), story.b.clone());
        for label in [&a, &b] {
            ended_at(&story, label, 4_070_908_800_000_000);
        }
        let time = |story: &Story, row: usize| format!("time={}", story.of(row).time);
        assert_eq!(story.reaches("newest", &time(&story, 4), "4"), b);
        assert_eq!(story.reaches("newest", &time(&story, 2), "2"), a);
        let early = story.try_restore(&b, &time(&story, 2));
        let fits = format!("the backup {a} fits");
        early
            .fails(1, "before the end of the backup")
            .fails(1, &fits);

        // Nothing ends behind this backup, and nothing in it.
        let c = story.daemon.backup("primary");
        ended_at(&story, &c, 0);
        assert_eq!(chosen(&story, &time(&story, 4)), b);
        let late = story.try_restore("newest", &time(&story, 5));
        late.fails(1, "cannot be reached").fails(1, "`current`");
        let early = story.try_restore(&c, &time(&story, 4));
        early.fails(1, "before the end of the backup");
        story.step(6);
        story.cluster.wait_received("pgmoneta");
        assert_eq!(story.reaches(&c, &time(&story, 5), "5"), c);
        let early = story.try_restore(&c, &time(&story, 4));
        early.fails(1, "before the end of the backup");
        assert_eq!(chosen(&story, &time(&story, 4)), b);
    }
}
