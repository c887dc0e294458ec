//! Timeline history files, `<8 digits>.history`.

use crate::error::{Error, ErrorKind, Result};
use crate::unit::{Lsn, Timeline, after, to_u64};

/// The history of a timeline: its ancestors, oldest first, and their switch points
/// (`readTimeLineHistory`, PostgreSQL 18 `timeline.c`).
///
/// The switch point of a timeline may lie before its start: recovery with target timeline 2 ended
/// on timeline 1, before the switch to 2, and the new timeline 3 has both in its history (`1
/// 0/3018108`, `2 0/30180A0`). Then timeline 3 begins at the second switch point, the history
/// includes timeline 1 up to there, and no WAL of timeline 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineHistory {
    timeline: Timeline,
    switches: Vec<Switch>,
}

/// One line of a history file: an ancestor and its switch point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The ancestor, which was left here.
    pub timeline: Timeline,
    /// The switch point: WAL of the timeline belongs to the history up to here.
    pub end: Lsn,
    /// The reason of the switch as PostgreSQL wrote it; informational.
    pub reason: String,
}

impl TimelineHistory {
    /// The maximum size of a history file in bytes: a line has about 50 bytes, a cluster at most
    /// some hundred timelines.
    pub const MAX_SIZE: u64 = 1 << 20;

    /// The maximum number of ancestors: some functions take a time proportional to its square.
    const MAX_SWITCHES: usize = 10_000;

    /// The history of timeline 1, which has no file and no ancestors.
    pub fn first() -> TimelineHistory {
        TimelineHistory {
            timeline: Timeline::FIRST,
            switches: Vec::new(),
        }
    }

    /// The history of a timeline whose ancestors are unknown.
    pub fn without_ancestors(timeline: Timeline) -> TimelineHistory {
        TimelineHistory {
            timeline,
            switches: Vec::new(),
        }
    }

    /// Parses the history file of `timeline` as PostgreSQL does. A line has a timeline, white
    /// space, a position, and a reason; empty lines and those that begin with `#` are ignored.
    /// Timeline numbers must increase; positions need not. In a file without entries the ancestors
    /// are unknown.
    pub fn parse(timeline: Timeline, content: &[u8]) -> Result<TimelineHistory> {
        let invalid = |what: String| {
            let name = timeline.history_name();
            Error::new(ErrorKind::Corrupt, format!("{name} is damaged: {what}"))
        };
        let size = to_u64(content.len());
        if size > TimelineHistory::MAX_SIZE {
            return Err(invalid(format!("it has {} bytes", content.len())));
        }
        let mut switches: Vec<Switch> = Vec::new();
        for (number, line) in (1..).zip(content.split(|&byte| byte == b'\n')) {
            let line = skip_space(c_string(line));
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let switch = Switch::parse(line)
                .ok_or_else(|| invalid(format!("line {number} has no timeline and position")))?;
            let last = switches.last();
            if last.is_some_and(|last| last.timeline >= switch.timeline) {
                return Err(invalid(format!(
                    "the timeline in line {number} is not higher than the one before"
                )));
            }
            if switches.len() == TimelineHistory::MAX_SWITCHES {
                let max = TimelineHistory::MAX_SWITCHES;
                return Err(invalid(format!("it has more than {max} timelines")));
            }
            switches.push(switch);
        }
        match switches.last() {
            Some(last) if last.timeline >= timeline => Err(invalid(format!(
                "timeline {} cannot be an ancestor of {timeline}",
                last.timeline
            ))),
            _ => Ok(TimelineHistory { timeline, switches }),
        }
    }

    /// Whether both can be true: they have the same history of the newest timeline that is in
    /// both.
    pub fn agrees_with(&self, other: &TimelineHistory) -> bool {
        let Some(common) = self.timelines().rev().find(|one| other.contains(*one)) else {
            return true;
        };
        let switches = |history: &TimelineHistory| -> Vec<(Timeline, Lsn)> {
            let history = history.up_to(common);
            let switches = history.switches.iter();
            switches
                .map(|switch| (switch.timeline, switch.end))
                .collect()
        };
        switches(self) == switches(other)
    }

    /// The timeline of this history.
    pub fn timeline(&self) -> Timeline {
        self.timeline
    }

    /// The ancestors and their switch points, oldest first.
    pub fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// The ancestors, oldest first, then the timeline itself.
    pub fn timelines(&self) -> impl DoubleEndedIterator<Item = Timeline> + '_ {
        let before = self.switches.iter().map(|switch| switch.timeline);
        before.chain([self.timeline])
    }

    /// The timeline listed after `timeline`; `None` if that is the last one or not in the history.
    /// Its range of WAL may be empty: see [`TimelineHistory::successor`].
    pub fn next_timeline(&self, timeline: Timeline) -> Option<Timeline> {
        let mut rest = self.timelines().skip_while(|one| *one != timeline);
        rest.nth(1)
    }

    /// Whether `timeline` is this timeline or an ancestor.
    pub fn contains(&self, timeline: Timeline) -> bool {
        timeline == self.timeline || self.end_of(timeline).is_some()
    }

    /// The end of the WAL of `timeline` in the history; `None` if it is not an ancestor. This is
    /// its switch point, or that of a later timeline that lies before it.
    pub fn end_of(&self, timeline: Timeline) -> Option<Lsn> {
        let mut all = self.switches.iter();
        all.find(|switch| switch.timeline == timeline)?;
        let later = self.switches.iter();
        let later = later.skip_while(|switch| switch.timeline != timeline);
        later.map(|switch| switch.end).min()
    }

    /// The start of `timeline`: the switch point of its parent. 0/0 for the oldest one; `None` if
    /// it is not in the history.
    pub fn begin_of(&self, timeline: Timeline) -> Option<Lsn> {
        let ends = self.switches.iter().map(|switch| switch.end);
        let begins = std::iter::once(Lsn::ZERO).chain(ends);
        let mut pairs = self.timelines().zip(begins);
        pairs
            .find(|(one, _)| *one == timeline)
            .map(|(_, begin)| begin)
    }

    /// The timeline that continues at the end of `timeline`; `None` if that is the last one or not
    /// in the history.
    pub fn successor(&self, timeline: Timeline) -> Option<Timeline> {
        self.end_of(timeline).map(|end| self.timeline_at(end))
    }

    /// The history of the ancestor `timeline`, as far as this history knows it; all of it for any
    /// other timeline.
    #[must_use]
    pub fn up_to(&self, timeline: Timeline) -> TimelineHistory {
        let mut switches = self.switches.iter();
        match switches.position(|switch| switch.timeline == timeline) {
            Some(count) => TimelineHistory {
                timeline,
                switches: self.switches.iter().take(count).cloned().collect(),
            },
            None => self.clone(),
        }
    }

    /// The timeline that wrote the byte at `position`: the newest one that began before it
    /// (`tliOfPointInHistory`).
    pub fn timeline_at(&self, position: Lsn) -> Timeline {
        // The timeline after the last switch point at or before the position.
        let before = self
            .switches
            .iter()
            .rposition(|switch| switch.end <= position);
        let index = before.map_or(0, |index| index + 1);
        let found = self.switches.get(index);
        found.map_or(self.timeline, |switch| switch.timeline)
    }

    /// The ancestors of `timeline`: the lines before its own, which are also in its own history
    /// file. `None` if it is not in this history.
    pub fn ancestors_of(&self, timeline: Timeline) -> Option<&[Switch]> {
        if timeline == self.timeline {
            return Some(&self.switches);
        }
        let mut all = self.switches.iter();
        let index = all.position(|switch| switch.timeline == timeline)?;
        self.switches.get(..index)
    }
}

impl Switch {
    /// Parses a line as `sscanf` does with `%u\t%X/%X`: any white space, or none, between the
    /// fields; the rest is the reason.
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

/// The text up to the first NUL, as in C. The C program leaves one at the end of the file.
fn c_string(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Skips white space (`isspace`).
fn skip_space(text: &[u8]) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let count = text.iter().take_while(|byte| space(byte)).count();
    after(text, count)
}

/// The leading number, and the rest of the text.
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
    fn the_ancestors_and_their_ranges_are_known() {
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
        assert_eq!(history.up_to(timeline(11)), history);
        assert_eq!(history.up_to(timeline(1)), TimelineHistory::first());
        let second = history.up_to(timeline(2));
        assert_eq!(second.timeline(), timeline(2));
        assert_eq!(second.switches(), &history.switches()[..1]);
        assert_eq!(history.timeline_at(Lsn(0x4FF_FFFF)), timeline(1));
        assert_eq!(history.timeline_at(Lsn(0x500_0000)), timeline(2));
        assert_eq!(history.timeline_at(Lsn(0x1_0000_00A0)), timeline(11));
    }

    #[test]
    fn a_trailing_nul_of_the_c_program_is_accepted() {
        let history = parse(2, "1\t0/3000148\tno recovery target specified\n\0").unwrap();
        assert_eq!(history.switches().len(), 1);
    }

    #[test]
    fn an_invalid_file_is_refused() {
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
        let lines = |count| -> String { (1..=count).map(|n| format!("{n}\t0/1\n")).collect() };
        assert!(parse(20_000, &lines(10_000)).is_ok());
        assert!(parse(20_000, &lines(10_001)).is_err());
    }

    #[test]
    fn decreasing_switch_points_are_accepted() {
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
            "after its end: its range is empty"
        );
        assert_eq!(history.begin_of(three), Some(left));
        assert_eq!(history.successor(one), Some(three));
        assert_eq!(history.successor(two), Some(three));
        assert!(history.contains(two));
        assert_eq!(history.ancestors_of(two).unwrap()[0].end, Lsn(0x301_8108));
    }

    #[test]
    fn the_lines_before_a_timeline_are_its_own_history() {
        let history = parse(11, "1\t0/500\tx\n3\t0/A0\ty\n").unwrap();
        let length = |number| history.ancestors_of(timeline(number)).map(<[Switch]>::len);
        assert_eq!(
            [length(1), length(3), length(11)],
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(length(2), None);
    }

    #[test]
    fn files_that_postgresql_accepts_are_accepted() {
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
        // The ancestors are unknown.
        for text in ["", "\0", "# lost\n"] {
            assert_eq!(
                parse(5, text).unwrap(),
                TimelineHistory::without_ancestors(timeline(5))
            );
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>, number in 1u32..) {
            let _ = TimelineHistory::parse(timeline(number), &bytes);
        }

        #[test]
        fn every_position_is_on_one_timeline(
            ends in prop::collection::btree_map(1u32..50, 1u64..1000, 1..8),
            at in 0u64..1200,
        ) {
            let lines = ends.iter().map(|(tli, end)| format!("{tli}\t{}\treason\n", Lsn(*end)));
            let text: String = lines.collect();
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
