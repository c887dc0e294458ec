//! Files of a cluster that are read while it is backed up or restored.

#![allow(clippy::unwrap_used)] // as in tests

use crate::format::server_configuration::ConfigurationLine;
use crate::format::{BackupLabel, ControlFile, IncrementHeader, TimelineHistory};
use crate::unit::{Lsn, Timeline, to_u64};

/// The bytes as each of these files.
pub fn cluster_files(input: &[u8]) {
    for number in [3, u32::MAX] {
        let timeline = Timeline::new(number).unwrap();
        if let Ok(history) = TimelineHistory::parse(timeline, input) {
            check_history(&history);
        }
    }
    if let Ok(label) = BackupLabel::parse(input) {
        let plain = crate::format::without_increment(input);
        let plain = BackupLabel::parse(&plain);
        // A line that follows `\r` is a line of its own only for one of both.
        if let Ok(plain) = plain {
            assert_eq!(plain.start, label.start);
        }
    }
    let _ = ControlFile::parse(input);
    let size = to_u64(input.len());
    for padding_error in [false, true] {
        let mut rest = input;
        if let Ok(header) = IncrementHeader::read(&mut rest, size, padding_error) {
            assert_eq!(
                rest.len(),
                header.blocks.len() * IncrementHeader::BLOCK_SIZE
            );
            assert!(header.blocks.is_sorted(), "{header:?}");
        }
    }
    for line in input.split(|byte| *byte == b'\n') {
        if let ConfigurationLine::Setting { value, .. } = ConfigurationLine::parse(line) {
            assert!(value.len() <= line.len(), "longer than its line");
        }
    }
}

fn check_history(history: &TimelineHistory) {
    let switches = history.switches();
    let line =
        |timeline: Timeline, end: Lsn, reason: &str| format!("{timeline}\t{end}\t{reason}\n");
    let lines = switches
        .iter()
        .map(|one| line(one.timeline, one.end, &one.reason));
    let text = lines.collect::<String>();
    let again = TimelineHistory::parse(history.timeline(), text.as_bytes()).unwrap();
    assert_eq!(again, *history);
    assert!(history.agrees_with(&again), "with itself");
    assert!(history.timelines().is_sorted(), "ancestors in order");
    for one in switches.iter().take(100) {
        let timeline = one.timeline;
        assert!(history.end_of(timeline).is_some_and(|end| end <= one.end));
        assert!(history.begin_of(timeline).is_some());
        assert!(history.up_to(timeline).timeline() == timeline);
        assert!(history.agrees_with(&history.up_to(timeline)));
        let at = history.timeline_at(one.end);
        assert!(at > timeline, "{at} wrote what follows {timeline}");
    }
}
