//! The history of the server's timeline, and whether the archive's histories are consistent with
//! it.

use super::error::{ReceiveError, is_file_removed};
use crate::error::{Error, ErrorKind};
use crate::format::{Switch, TimelineHistory};
use crate::pg::Connection;
use crate::repository::WalDirectory;
use crate::unit::{Segment, Timeline};

/// A timeline history as the server sent it.
pub(super) struct ServerHistory {
    history: TimelineHistory,
    content: Option<Vec<u8>>,
}

impl ServerHistory {
    /// Asks the server. Timeline 1 has no history file; the ancestors of another timeline without
    /// one are unknown, as in `readTimeLineHistory` (PostgreSQL 18 `timeline.c`).
    pub(super) fn fetch(
        connection: &mut Connection,
        timeline: Timeline,
    ) -> Result<ServerHistory, ReceiveError> {
        let content = if timeline == Timeline::FIRST {
            None
        } else {
            fetch_history(connection, timeline)?
        };
        let history = match &content {
            Some(content) => TimelineHistory::parse(timeline, content)?,
            None => TimelineHistory::without_ancestors(timeline),
        };
        Ok(ServerHistory { history, content })
    }

    pub(super) fn history(&self) -> &TimelineHistory {
        &self.history
    }

    pub(super) fn into_history(self) -> TimelineHistory {
        self.history
    }

    /// Fails unless the timelines that both the server and the archive have are the same: clusters
    /// that were promoted independently may use the same timeline ID. The archive's histories must
    /// be consistent with the server's, and the archive must have no WAL of a timeline from before
    /// its start.
    pub(super) fn check(&self, archive: &WalDirectory) -> Result<(), ReceiveError> {
        for timeline in archive.history_timelines().map_err(ReceiveError::archive)? {
            let known = match archived_history(archive, timeline) {
                Ok(known) => known,
                // Other branches do not matter here; the gap check reports them.
                Err(_) if !self.history.contains(timeline) => continue,
                Err(failure) => return Err(ReceiveError::archive(failure)),
            };
            let known = known.unwrap_or_else(|| TimelineHistory::without_ancestors(timeline));
            if let Some(conflict) = self.conflict(&known) {
                return Err(conflict);
            }
        }
        self.check_timeline_starts(archive)
    }

    /// The error for the oldest timeline whose history in the archive differs from the server's.
    fn conflict(&self, known: &TimelineHistory) -> Option<ReceiveError> {
        for timeline in known.timelines() {
            if let (Some(theirs), Some(ours)) = (
                self.history.ancestors_of(timeline),
                known.ancestors_of(timeline),
            ) && !agree(theirs, ours)
            {
                let (name, theirs, ours) = (
                    known.timeline().history_name(),
                    describe(theirs),
                    describe(ours),
                );
                return Some(refuse(format!(
                    "timeline {timeline} of the server is not the timeline {timeline} of the \
                     archive: before it the server has {theirs}, and the archive ({name}) has \
                     {ours}"
                )));
            }
        }
        None
    }

    /// The archive may have WAL of a timeline without its history file.
    fn check_timeline_starts(&self, archive: &WalDirectory) -> Result<(), ReceiveError> {
        let size = archive.segment_size();
        let segments = archive.segments().map_err(ReceiveError::archive)?;
        for switch in self.history.switches() {
            let Some(timeline) = self.history.next_timeline(switch.timeline) else {
                continue;
            };
            let begin = Segment::containing(timeline, switch.end, size);
            let mut archived = segments.iter().map(|file| file.segment);
            let first = archived.find(|segment| segment.timeline == timeline);
            if let Some(first) = first.filter(|first| first.number < begin.number) {
                let (first, begins) = (first.start(size), switch.end);
                return Err(refuse(format!(
                    "timeline {timeline} of the server is not the timeline {timeline} of the \
                     archive: the server's begins at {begins}, and the archive has WAL of it from \
                     {first} on"
                )));
            }
        }
        Ok(())
    }

    /// Stores the history files of this timeline and its ancestors, durably, where the archive has
    /// none or one with fewer entries: another program wrote it, or a power failure left it empty.
    pub(super) fn store(
        &self,
        connection: &mut Connection,
        archive: &WalDirectory,
    ) -> Result<(), ReceiveError> {
        for timeline in self.history.timelines() {
            let known = archived_history(archive, timeline).map_err(ReceiveError::archive)?;
            let known = known.map(|known| known.switches().len());
            let listed = self
                .history
                .ancestors_of(timeline)
                .unwrap_or_default()
                .len();
            if timeline == Timeline::FIRST || known >= Some(listed) {
                continue;
            }
            let content = if timeline == self.history.timeline() {
                self.content.clone()
            } else {
                // A server may lack old history files; the newest one lists all switch points.
                self.ancestor_history(connection, timeline)?
            };
            let entries = |content: &Vec<u8>| -> usize {
                let history = TimelineHistory::parse(timeline, content);
                history.map_or(0, |history| history.switches().len())
            };
            if let Some(content) = content.filter(|content| known < Some(entries(content))) {
                archive
                    .store_history(timeline, &content)
                    .map_err(ReceiveError::archive)?;
            }
        }
        Ok(())
    }

    /// The history file of an ancestor, unless the server has none or an inconsistent one, which
    /// PostgreSQL does not read then.
    fn ancestor_history(
        &self,
        connection: &mut Connection,
        timeline: Timeline,
    ) -> Result<Option<Vec<u8>>, ReceiveError> {
        let Some(content) = fetch_history(connection, timeline)? else {
            return Ok(None);
        };
        let before = self.history.ancestors_of(timeline).unwrap_or_default();
        match TimelineHistory::parse(timeline, &content) {
            Ok(history) if agree(before, history.switches()) => Ok(Some(content)),
            _ => {
                let (file, newest) = (timeline.history_name(), self.history.timeline());
                log::warn!(
                    "{file} of the server is inconsistent with its history of timeline {newest} \
                     and is not archived"
                );
                Ok(None)
            }
        }
    }
}

/// The history of a timeline in the archive, if it has the file.
pub(super) fn archived_history(
    archive: &WalDirectory,
    timeline: Timeline,
) -> Result<Option<TimelineHistory>, Error> {
    let content = archive.history(timeline)?;
    let history = content.map(|content| TimelineHistory::parse(timeline, &content));
    history.transpose()
}

/// Fetches a history file from the server, if it has it.
fn fetch_history(
    connection: &mut Connection,
    timeline: Timeline,
) -> Result<Option<Vec<u8>>, ReceiveError> {
    match connection.timeline_history(timeline) {
        Ok(content) => Ok(Some(content)),
        Err(failure) if is_file_removed(&failure) => {
            log::debug!("{failure}");
            Ok(None)
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Whether two histories of a timeline are consistent: the shorter one may lack the oldest entries,
/// since a server without the history file of a timeline begins a new one (`writeTimeLineHistory`,
/// PostgreSQL 18 `timeline.c`).
fn agree(one: &[Switch], other: &[Switch]) -> bool {
    let point = |switch: &Switch| (switch.timeline, switch.end);
    let (one, other) = (one.iter().rev().map(point), other.iter().rev().map(point));
    one.zip(other).all(|(one, other)| one == other)
}

/// The switch points as text: `1 up to 0/3000148, 2 up to 0/5000060`.
fn describe(switches: &[Switch]) -> String {
    let all = switches.iter();
    let all = all.map(|switch| format!("{} up to {}", switch.timeline, switch.end));
    all.collect::<Vec<_>>().join(", ")
}

fn refuse(message: String) -> ReceiveError {
    ReceiveError::NeedsOperator(Error::new(ErrorKind::Corrupt, message).with_hint(
        "two servers were promoted independently; nothing of this one is written; connect to the \
         one that the archive follows, or give this one a section of its own",
    ))
}

#[cfg(test)]
mod tests;
