//! Timeline history files, `<8 digits>.history`.

use crate::error::{Failure, Kind, Result};
use crate::unit::{Lsn, Timeline};

/// The history of a timeline: those before it, oldest first, and where each of them was left
/// (`readTimeLineHistory`, PostgreSQL 18 `timeline.c`).
///
/// Where a timeline was left may lie before the place where it began: recovery was to follow timeline 2 and ended on
/// timeline 1, before the two parted, and the new timeline 3 has both in its history (`1 0/3018108`, `2 0/30180A0`). Then
/// timeline 3 begins at the second place, timeline 1 counts up to it, and nothing of timeline 2 counts.
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
    /// The bytes of the largest history file that is read: a line is about 50 bytes, a cluster has some hundred timelines
    /// at most.
    pub const MAX_SIZE: u64 = 1 << 20;

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

    /// Reads the history file of `timeline` as PostgreSQL does. Lines are a timeline, white space, a position, and a
    /// reason that nothing depends on; empty ones and those that begin with `#` are comments. The numbers of timelines
    /// must rise; the positions need not. A file without a line says that nothing is known of what came before.
    pub fn parse(timeline: Timeline, content: &[u8]) -> Result<TimelineHistory> {
        let wrong = |what: String| {
            let name = timeline.history_name();
            Failure::new(Kind::Corrupt, format!("{name} is damaged: {what}"))
        };
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        if size > TimelineHistory::MAX_SIZE {
            return Err(wrong(format!("{} bytes are too many", content.len())));
        }
        let mut switches: Vec<Switch> = Vec::new();
        for (number, line) in (1..).zip(content.split(|&byte| byte == b'\n')) {
            let line = skip_space(c_string(line));
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let switch = Switch::parse(line)
                .ok_or_else(|| wrong(format!("line {number} has no timeline and position")))?;
            let last = switches.last();
            if last.is_some_and(|last| last.timeline >= switch.timeline) {
                return Err(wrong(format!(
                    "line {number} goes back to an earlier timeline"
                )));
            }
            switches.push(switch);
        }
        match switches.last() {
            Some(last) if last.timeline >= timeline => Err(wrong(format!(
                "timeline {} cannot be before {timeline}",
                last.timeline
            ))),
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

    /// All its timelines, oldest first, itself last.
    pub fn timelines(&self) -> impl DoubleEndedIterator<Item = Timeline> + '_ {
        let before = self.switches.iter().map(|switch| switch.timeline);
        before.chain([self.timeline])
    }

    /// The timeline that is named after `timeline`; `None` if that is the last one or not part of it. Its range of WAL may
    /// be empty: see [`TimelineHistory::successor`].
    pub fn following(&self, timeline: Timeline) -> Option<Timeline> {
        let mut rest = self.timelines().skip_while(|one| *one != timeline);
        rest.nth(1)
    }

    /// Whether WAL of `timeline` is part of it: one of those before, or the timeline itself.
    pub fn contains(&self, timeline: Timeline) -> bool {
        timeline == self.timeline || self.end_of(timeline).is_some()
    }

    /// Where `timeline` was left: its WAL counts up to there; `None` if it is not one of those before. A timeline that
    /// was left before it began ends where it was left, and the ones before it end there too.
    pub fn end_of(&self, timeline: Timeline) -> Option<Lsn> {
        let mut all = self.switches.iter();
        all.find(|switch| switch.timeline == timeline)?;
        let later = self.switches.iter();
        let later = later.skip_while(|switch| switch.timeline != timeline);
        later.map(|switch| switch.end).min()
    }

    /// Where `timeline` begins: the place where the one before it was left. 0/0 for the oldest one; `None` if it is not
    /// part of it.
    pub fn begin_of(&self, timeline: Timeline) -> Option<Lsn> {
        let ends = self.switches.iter().map(|switch| switch.end);
        let begins = std::iter::once(Lsn::ZERO).chain(ends);
        let mut pairs = self.timelines().zip(begins);
        pairs
            .find(|(one, _)| *one == timeline)
            .map(|(_, begin)| begin)
    }

    /// The timeline that goes on where `timeline` was left; `None` if it is the last one or not part of it.
    pub fn successor(&self, timeline: Timeline) -> Option<Timeline> {
        self.end_of(timeline).map(|end| self.timeline_at(end))
    }

    /// The part of it that ends with `timeline`, one of those before; else all of it.
    #[must_use]
    pub fn to(&self, timeline: Timeline) -> TimelineHistory {
        let mut switches = self.switches.iter();
        match switches.position(|switch| switch.timeline == timeline) {
            Some(count) => TimelineHistory {
                timeline,
                switches: self.switches.iter().take(count).cloned().collect(),
            },
            None => self.clone(),
        }
    }

    /// The timeline that wrote the byte at `position`: the newest one that began before it (`tliOfPointInHistory`).
    pub fn timeline_at(&self, position: Lsn) -> Timeline {
        // What comes after a switch that lies behind the position has begun.
        let behind = self
            .switches
            .iter()
            .rposition(|switch| switch.end <= position);
        let index = behind.map_or(0, |index| index + 1);
        let found = self.switches.get(index);
        found.map_or(self.timeline, |switch| switch.timeline)
    }

    /// What is known of how `timeline` came to be: the lines before its own, which are those of its own history file.
    /// `None` if it is not part of this history.
    pub fn before(&self, timeline: Timeline) -> Option<&[Switch]> {
        if timeline == self.timeline {
            return Some(&self.switches);
        }
        let mut all = self.switches.iter();
        let index = all.position(|switch| switch.timeline == timeline)?;
        self.switches.get(..index)
    }
}

impl Switch {
    /// Reads a line as `sscanf` does with `%u\t%X/%X`: any white space, or none, between the fields; what comes after
    /// them is the reason.
    fn parse(line: &[u8]) -> Option<Switch> {
        let (timeline, rest) = number(line, 10)?;
        let (high, rest) = number(skip_space(rest), 16)?;
        let (low, rest) = number(skip_space(rest.strip_prefix(b"/")?), 16)?;
        Some(Switch {
            timeline: Timeline::new(timeline)?,
            end: Lsn(u64::from(high) << 32 | u64::from(low)),
            reason: String::from_utf8_lossy(rest).trim().to_owned(),
        })
    }
}

/// What C takes for the text: up to the first NUL. The C program leaves one at the end of the file.
fn c_string(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// What is left after the white space of `isspace`.
fn skip_space(text: &[u8]) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let count = text.iter().take_while(|byte| space(byte)).count();
    text.get(count..).unwrap_or_default()
}

/// The number that the text begins with, and what is left after it.
fn number(text: &[u8], radix: u32) -> Option<(u32, &[u8])> {
    let digit = |byte: &&u8| char::from(**byte).is_digit(radix);
    let (digits, rest) = text.split_at_checked(text.iter().take_while(digit).count())?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u32::from_str_radix(digits, radix).ok()?, rest))
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
        assert_eq!(history.to(timeline(11)), history);
        assert_eq!(history.to(timeline(1)), TimelineHistory::first());
        let second = history.to(timeline(2));
        assert_eq!(second.timeline(), timeline(2));
        assert_eq!(second.switches(), &history.switches()[..1]);
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
            "1",
            "1\t",
            "1\t0/G",
            "x\t0/5",
            "0\t0/5",
            "4294967296\t0/5",
            "2\t0/5\t\n1\t0/6",
            "1\t0/5\n1\t0/6",
            "3\t0/5",
            "1 / 5",
            "1 0 /5",
            "-1\t0/5",
            "1\t0/100000000",
        ] {
            assert!(parse(3, text).is_err(), "{text:?}");
        }
        let longest = usize::try_from(TimelineHistory::MAX_SIZE).unwrap();
        let long = "#".repeat(longest + 1);
        assert!(parse(3, &long).is_err());
    }

    #[test]
    fn positions_that_go_back_are_taken_as_postgresql_writes_them() {
        // PostgreSQL 15, recovery to a moment on timeline 1 with recovery_target_timeline = 2.
        let text = "1\t0/3018108\tno recovery target specified\n\n2\t0/30180A0\tbefore 2026\n";
        let history = parse(3, text).unwrap();
        let (one, two, three) = (timeline(1), timeline(2), timeline(3));
        let left = Lsn(0x301_80A0);
        assert_eq!(history.timeline_at(Lsn(0x301_809F)), one);
        assert_eq!(history.timeline_at(left), three);
        assert_eq!(history.timeline_at(Lsn(0x301_8107)), three);
        assert_eq!(history.timeline_at(Lsn(0x301_8108)), three);
        assert_eq!(
            (history.end_of(one), history.end_of(two)),
            (Some(left), Some(left))
        );
        assert_eq!(
            history.begin_of(two),
            Some(Lsn(0x301_8108)),
            "after its end: nothing of it counts"
        );
        assert_eq!(history.begin_of(three), Some(left));
        assert_eq!(history.successor(one), Some(three));
        assert_eq!(history.successor(two), Some(three));
        assert!(history.contains(two));
        assert_eq!(history.before(two).unwrap()[0].end, Lsn(0x301_8108));
    }

    #[test]
    fn the_lines_before_a_timeline_are_its_own_history() {
        let history = parse(11, "1\t0/500\tx\n3\t0/A0\ty\n").unwrap();
        let length = |number| history.before(timeline(number)).map(<[Switch]>::len);
        assert_eq!(
            [length(1), length(3), length(11)],
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(length(2), None);
    }

    #[test]
    fn takes_what_postgresql_takes() {
        for text in [
            "1\t0/5\twhy",
            "1 0/5 why",
            "  1  \t 0/ 5",
            "1\t0/5why",
            "1\t0/00000005\tü",
            "# a comment\r\n \r\n\t# another\r\n1\t0/5\r\n",
            "\n1\t0/5\n\0\0",
            "1\t0/5\0 2 0/",
        ] {
            let history = parse(2, text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(history.end_of(Timeline::FIRST), Some(Lsn(5)), "{text:?}");
        }
        // Nothing is known of what came before.
        for text in ["", "\0", "# lost\n"] {
            assert_eq!(parse(5, text).unwrap(), TimelineHistory::alone(timeline(5)));
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, number in 1u32..) {
            let _ = TimelineHistory::parse(timeline(number), &bytes);
        }

        #[test]
        fn every_position_lies_on_one_timeline(ends in prop::collection::btree_map(1u32..50, 1u64..1000, 1..8), at in 0u64..1200) {
            let text: String = ends.iter().map(|(tli, end)| format!("{tli}\t{}\treason\n", Lsn(*end))).collect();
            let history = parse(50, &text).unwrap();
            let found = history.timeline_at(Lsn(at));
            let holds = |timeline: Timeline| {
                history.begin_of(timeline).unwrap() <= Lsn(at)
                    && history.end_of(timeline).is_none_or(|end| Lsn(at) < end)
            };
            let all = ends.keys().copied().chain([50]).map(timeline);
            prop_assert_eq!(all.filter(|timeline| holds(*timeline)).collect::<Vec<_>>(), [found]);
            for timeline in ends.keys().copied().map(timeline) {
                let end = history.end_of(timeline).unwrap();
                prop_assert_eq!(history.successor(timeline), Some(history.timeline_at(end)));
                prop_assert!(history.timeline_at(end) > timeline);
            }
        }
    }
}
