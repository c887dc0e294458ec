//! Timeline history files, `<8 digits>.history`.

use crate::error::{Failure, Kind, Result};
use crate::unit::{Lsn, Timeline};

/// The largest history file that is read: a line is about 50 bytes, a cluster has some hundred timelines at most.
const MAX_SIZE: usize = 1 << 20;

/// The history of a timeline: those before it, oldest first, and where each of them was left
/// (`readTimeLineHistory`, PostgreSQL `timeline.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineHistory {
    timeline: Timeline,
    switches: Vec<Switch>,
}

/// One line of a history file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The timeline that was left.
    pub timeline: Timeline,
    /// Where: its WAL counts up to here.
    pub end: Lsn,
    /// Why, in PostgreSQL's words.
    pub reason: String,
}

impl TimelineHistory {
    /// The history of timeline 1, which has no file: nothing is before it.
    pub fn first() -> TimelineHistory {
        TimelineHistory {
            timeline: Timeline::FIRST,
            switches: Vec::new(),
        }
    }

    /// A timeline of which nothing is known of what came before it.
    pub fn alone(timeline: Timeline) -> TimelineHistory {
        TimelineHistory {
            timeline,
            switches: Vec::new(),
        }
    }

    /// Reads the history file of `timeline`. Lines are `<timeline>\t<lsn>\t<reason>`; empty ones and those that begin with
    /// `#` are comments. One NUL at the end is taken too: the C program leaves it there.
    pub fn parse(timeline: Timeline, content: &[u8]) -> Result<TimelineHistory> {
        let wrong = |what: String| {
            let name = timeline.history_name();
            Failure::new(Kind::Corrupt, format!("{name} is damaged: {what}"))
        };
        if content.len() > MAX_SIZE {
            return Err(wrong(format!("{} bytes are too many", content.len())));
        }
        let content = content.strip_suffix(&[0]).unwrap_or(content);
        let mut switches: Vec<Switch> = Vec::new();
        for (number, line) in (1..).zip(content.split(|&byte| byte == b'\n')) {
            let line = String::from_utf8_lossy(line);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let switch = Switch::parse(line)
                .ok_or_else(|| wrong(format!("line {number} has no timeline and position")))?;
            if switches
                .last()
                .is_some_and(|last| last.timeline >= switch.timeline || last.end > switch.end)
            {
                return Err(wrong(format!("line {number} goes back")));
            }
            switches.push(switch);
        }
        match switches.last() {
            Some(last) if last.timeline >= timeline => Err(wrong(format!(
                "timeline {} cannot be before {timeline}",
                last.timeline
            ))),
            None if timeline != Timeline::FIRST => Err(wrong("it is empty".to_owned())),
            _ => Ok(TimelineHistory { timeline, switches }),
        }
    }

    /// The timeline whose history it is.
    pub fn timeline(&self) -> Timeline {
        self.timeline
    }

    /// The timelines before it, oldest first.
    pub fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// Whether WAL of `timeline` is part of it: one of those before, or the timeline itself.
    pub fn contains(&self, timeline: Timeline) -> bool {
        timeline == self.timeline || self.end_of(timeline).is_some()
    }

    /// Where `timeline` was left; `None` if it is not one of those before.
    pub fn end_of(&self, timeline: Timeline) -> Option<Lsn> {
        let mut switches = self.switches.iter();
        switches
            .find(|switch| switch.timeline == timeline)
            .map(|switch| switch.end)
    }

    /// Where `timeline` begins: the end of the one before it. 0/0 for the oldest one; `None` if it is not part of it.
    pub fn begin_of(&self, timeline: Timeline) -> Option<Lsn> {
        let ends = self.switches.iter().map(|switch| switch.end);
        let begins = std::iter::once(Lsn::ZERO).chain(ends);
        let all = self.switches.iter().map(|switch| switch.timeline);
        let mut pairs = all.chain([self.timeline]).zip(begins);
        pairs
            .find(|(one, _)| *one == timeline)
            .map(|(_, begin)| begin)
    }

    /// The timeline that came right after `timeline`; `None` if it is the last one or not part of it.
    pub fn successor(&self, timeline: Timeline) -> Option<Timeline> {
        let all = self.switches.iter().map(|switch| switch.timeline);
        let mut all = all
            .chain([self.timeline])
            .skip_while(|one| *one != timeline);
        all.nth(1)
    }

    /// The timeline that wrote the byte at `position`.
    pub fn timeline_at(&self, position: Lsn) -> Timeline {
        let mut switches = self.switches.iter();
        switches
            .find(|switch| position < switch.end)
            .map_or(self.timeline, |switch| switch.timeline)
    }
}

impl Switch {
    fn parse(line: &str) -> Option<Switch> {
        let mut fields = line.splitn(3, char::is_whitespace);
        Some(Switch {
            timeline: fields.next()?.parse().ok()?,
            end: fields.next()?.parse().ok()?,
            reason: fields.next().unwrap_or("").trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timeline(number: u32) -> Timeline {
        Timeline::new(number).unwrap()
    }

    fn parse(number: u32, text: &str) -> Result<TimelineHistory> {
        TimelineHistory::parse(timeline(number), text.as_bytes())
    }

    #[test]
    fn follows_the_line_from_the_first_timeline_to_the_last() {
        let text =
            "1\t0/5000000\tno recovery target specified\n\n# comment\n2\t1/A0\tbefore 2026\n";
        let history = parse(11, text).unwrap();
        assert_eq!(history.switches()[0].reason, "no recovery target specified");
        assert_eq!(history.end_of(timeline(1)), Some(Lsn(0x500_0000)));
        assert_eq!(history.end_of(timeline(11)), None);
        assert_eq!(history.begin_of(timeline(1)), Some(Lsn::ZERO));
        assert_eq!(history.begin_of(timeline(2)), Some(Lsn(0x500_0000)));
        assert_eq!(history.begin_of(timeline(11)), Some(Lsn(0x1_0000_00A0)));
        assert_eq!(history.begin_of(timeline(3)), None);
        assert_eq!(history.successor(timeline(1)), Some(timeline(2)));
        assert_eq!(history.successor(timeline(2)), Some(timeline(11)));
        assert_eq!(history.successor(timeline(11)), None);
        assert_eq!(history.successor(timeline(5)), None);
        assert!(history.contains(timeline(11)) && !history.contains(timeline(3)));
        assert_eq!(history.timeline_at(Lsn(0x4FF_FFFF)), timeline(1));
        assert_eq!(history.timeline_at(Lsn(0x500_0000)), timeline(2));
        assert_eq!(history.timeline_at(Lsn(0x1_0000_00A0)), timeline(11));
    }

    #[test]
    fn takes_the_nul_that_the_c_program_leaves() {
        let history = parse(2, "1\t0/3000148\tno recovery target specified\n\0").unwrap();
        assert_eq!(history.switches().len(), 1);
    }

    #[test]
    fn refuses_damage() {
        for text in [
            "",
            "\0",
            "1",
            "1\t",
            "1\t0/G",
            "x\t0/5",
            "0\t0/5",
            "4294967296\t0/5",
            "2\t0/5\t\n1\t0/6",
            "1\t0/6\t\n2\t0/5",
            "3\t0/5",
            "1\t0/5\n\0\0",
        ] {
            assert!(parse(3, text).is_err(), "{text:?}");
        }
        let long = "#".repeat(MAX_SIZE + 1);
        assert!(parse(3, &long).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, number in 1u32..) {
            let _ = TimelineHistory::parse(timeline(number), &bytes);
        }

        #[test]
        fn every_position_lies_on_one_timeline(mut ends in prop::collection::btree_map(1u32..50, 0u64..1000, 1..8), at in 0u64..1200) {
            let mut sorted: Vec<u64> = ends.values().copied().collect();
            sorted.sort_unstable();
            ends.values_mut().zip(sorted).for_each(|(end, value)| *end = value);
            let text: String = ends.iter().map(|(tli, end)| format!("{tli}\t{}\treason\n", Lsn(*end))).collect();
            let history = parse(50, &text).unwrap();
            let found = history.timeline_at(Lsn(at));
            prop_assert!(history.begin_of(found).unwrap() <= Lsn(at));
            prop_assert!(history.end_of(found).is_none_or(|end| Lsn(at) < end));
        }
    }
}
