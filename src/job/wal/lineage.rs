//! The history of the server's timeline, and whether the archive's histories agree with it.

use super::trouble::{Trouble, is_removed};
use crate::error::{Failure, Kind};
use crate::format::{Switch, TimelineHistory};
use crate::pg::Connection;
use crate::repository::WalDirectory;
use crate::unit::{Lsn, Segment, Timeline};

/// The history of a timeline as the server sent it.
pub(super) struct Lineage {
    history: TimelineHistory,
    content: Option<Vec<u8>>,
}

impl Lineage {
    /// Asks the server. Timeline 1 has no history file; of another one that has none, nothing is known of what came
    /// before, as in `readTimeLineHistory` (PostgreSQL 18 `timeline.c`).
    pub(super) fn fetch(
        connection: &mut Connection,
        timeline: Timeline,
    ) -> Result<Lineage, Trouble> {
        let content = if timeline == Timeline::FIRST {
            None
        } else {
            history_of(connection, timeline)?
        };
        let history = match &content {
            Some(content) => TimelineHistory::parse(timeline, content)?,
            None => TimelineHistory::alone(timeline),
        };
        Ok(Lineage { history, content })
    }

    pub(super) fn history(&self) -> &TimelineHistory {
        &self.history
    }

    pub(super) fn into_history(self) -> TimelineHistory {
        self.history
    }

    /// Makes sure that each timeline which both the server and the archive know is the same one: clusters that were
    /// promoted apart may have timelines of the same number. What the archive's histories say of a timeline must be what
    /// the server's history says of it, and the archive must not have WAL of it from before it began.
    pub(super) fn check(&self, archive: &WalDirectory) -> Result<(), Trouble> {
        for timeline in archive.histories().map_err(Trouble::archive)? {
            let known = match known(archive, timeline) {
                Ok(known) => known,
                // The other branches do not matter here; the look for gaps tells of it.
                Err(_) if !self.history.contains(timeline) => continue,
                Err(failure) => return Err(Trouble::archive(failure)),
            };
            let known = known.unwrap_or_else(|| TimelineHistory::alone(timeline));
            if let Some(conflict) = self.conflict(&known) {
                return Err(conflict);
            }
        }
        self.check_begins(archive)
    }

    /// The oldest timeline of which the archive's history says something else than the server's.
    fn conflict(&self, known: &TimelineHistory) -> Option<Trouble> {
        for timeline in known.timelines() {
            if let (Some(theirs), Some(ours)) =
                (self.history.before(timeline), known.before(timeline))
                && !agree(theirs, ours)
            {
                let (name, theirs, ours) = (
                    known.timeline().history_name(),
                    describe(theirs),
                    describe(ours),
                );
                return Some(refuse(format!(
                    "timeline {timeline} of the server is not the timeline {timeline} of the archive: before it the \
                     server has {theirs}, and the archive ({name}) has {ours}"
                )));
            }
        }
        None
    }

    /// An archive may have WAL of a timeline without its history.
    fn check_begins(&self, archive: &WalDirectory) -> Result<(), Trouble> {
        let size = archive.segment_size();
        let segments = archive.segments().map_err(Trouble::archive)?;
        for switch in self.history.switches() {
            let Some(timeline) = self.history.following(switch.timeline) else {
                continue;
            };
            let begin = Segment::containing(timeline, switch.end, size);
            let mut own = segments.iter().map(|file| file.segment);
            let first = own.find(|segment| segment.timeline == timeline);
            if let Some(first) = first.filter(|first| first.number < begin.number) {
                let (there, begins) = (first.start(size), switch.end);
                return Err(refuse(format!(
                    "timeline {timeline} of the server is not the timeline {timeline} of the archive: the server's \
                     begins at {begins}, and the archive has WAL of it from {there} on"
                )));
            }
        }
        Ok(())
    }

    /// Stores it and those of the timelines before it, durably, where the archive does not have them, or has one that says
    /// less: another program wrote it, or a power cut left it empty.
    pub(super) fn store(
        &self,
        connection: &mut Connection,
        archive: &WalDirectory,
    ) -> Result<(), Trouble> {
        for timeline in self.history.timelines() {
            let known = known(archive, timeline).map_err(Trouble::archive)?;
            let known = known.map(|known| known.switches().len());
            let said = self.history.before(timeline).unwrap_or_default().len();
            if timeline == Timeline::FIRST || known >= Some(said) {
                continue;
            }
            let content = if timeline == self.history.timeline() {
                self.content.clone()
            } else {
                // A server keeps old history files only if it had them; the newest one names all switches.
                self.of_ancestor(connection, timeline)?
            };
            let says = |content: &Vec<u8>| -> usize {
                let history = TimelineHistory::parse(timeline, content);
                history.map_or(0, |history| history.switches().len())
            };
            if let Some(content) = content.filter(|content| known < Some(says(content))) {
                archive
                    .store_history(timeline, &content)
                    .map_err(Trouble::archive)?;
            }
        }
        Ok(())
    }

    /// The history of a timeline before it, unless the server has none or another one: PostgreSQL does not look at that
    /// file then.
    fn of_ancestor(
        &self,
        connection: &mut Connection,
        timeline: Timeline,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(content) = history_of(connection, timeline)? else {
            return Ok(None);
        };
        let before = self.history.before(timeline).unwrap_or_default();
        match TimelineHistory::parse(timeline, &content) {
            Ok(history) if agree(before, history.switches()) => Ok(Some(content)),
            _ => {
                let (file, newest) = (timeline.history_name(), self.history.timeline());
                log::warn!(
                    "{file} of the server does not agree with its history of timeline {newest} and is not archived"
                );
                Ok(None)
            }
        }
    }
}

/// The history of a timeline that the archive has, if it has its file.
pub(super) fn known(
    archive: &WalDirectory,
    timeline: Timeline,
) -> Result<Option<TimelineHistory>, Failure> {
    let content = archive.history(timeline)?;
    let history = content.map(|content| TimelineHistory::parse(timeline, &content));
    history.transpose()
}

/// Asks the server for the content of a history file, if it has it.
fn history_of(connection: &mut Connection, timeline: Timeline) -> Result<Option<Vec<u8>>, Trouble> {
    match connection.timeline_history(timeline) {
        Ok(content) => Ok(Some(content)),
        Err(failure) if is_removed(&failure) => {
            log::debug!("{failure}");
            Ok(None)
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Whether two histories of one timeline may both be right: the shorter one may know less of the beginning, since a
/// server that had no history file of a timeline begins a new one (`writeTimeLineHistory`, PostgreSQL 18 `timeline.c`).
fn agree(one: &[Switch], other: &[Switch]) -> bool {
    let point = |switch: &Switch| -> (Timeline, Lsn) { (switch.timeline, switch.end) };
    let (one, other) = (one.iter().rev().map(point), other.iter().rev().map(point));
    one.zip(other).all(|(one, other)| one == other)
}

/// The switches in words: `1 up to 0/3000148, 2 up to 0/5000060`.
fn describe(switches: &[Switch]) -> String {
    let all = switches.iter();
    let all = all.map(|switch| format!("{} up to {}", switch.timeline, switch.end));
    all.collect::<Vec<_>>().join(", ")
}

fn refuse(message: String) -> Trouble {
    Trouble::Lasting(Failure::new(Kind::Corrupt, message).hint(
        "two servers were promoted apart; nothing of this one is written; connect to the one that the archive follows, or \
         give this one a section of its own",
    ))
}

#[cfg(test)]
mod tests;
