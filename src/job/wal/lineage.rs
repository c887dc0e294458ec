//! The history of the server's timeline, and the archive's copies of it.

use super::trouble::{Trouble, is_removed};
use crate::error::{Failure, Kind};
use crate::format::TimelineHistory;
use crate::pg::Connection;
use crate::repository::WalDirectory;
use crate::unit::Timeline;

/// The history of a timeline as the server sent it.
pub(super) struct Lineage {
    history: TimelineHistory,
    content: Vec<u8>,
}

impl Lineage {
    /// Asks the server. Timeline 1 has no history file.
    pub(super) fn fetch(
        connection: &mut Connection,
        timeline: Timeline,
    ) -> Result<Lineage, Trouble> {
        if timeline == Timeline::FIRST {
            return Ok(Lineage {
                history: TimelineHistory::first(),
                content: Vec::new(),
            });
        }
        let content = connection.timeline_history(timeline)?;
        let history = TimelineHistory::parse(timeline, &content)?;
        Ok(Lineage { history, content })
    }

    pub(super) fn history(&self) -> &TimelineHistory {
        &self.history
    }

    /// Stores it and those of the timelines before it, durably, where the archive does not have them. Two clusters that
    /// were promoted apart may both have a timeline of the same number: the second one is refused.
    pub(super) fn store(
        &self,
        connection: &mut Connection,
        archive: &WalDirectory,
    ) -> Result<(), Trouble> {
        let before = self.history.switches().iter();
        for timeline in before.map(|switch| switch.timeline) {
            let missing = timeline != Timeline::FIRST
                && archive
                    .history(timeline)
                    .map_err(Trouble::archive)?
                    .is_none();
            if !missing {
                continue;
            }
            match connection.timeline_history(timeline) {
                Ok(content) => archive
                    .store_history(timeline, &content)
                    .map_err(Trouble::archive)?,
                // A server keeps old history files only if it had them; the newest one names all switches.
                Err(failure) if is_removed(&failure) => log::debug!("{failure}"),
                Err(failure) => return Err(failure.into()),
            }
        }
        let timeline = self.history.timeline();
        if timeline == Timeline::FIRST {
            return Ok(());
        }
        match archive.history(timeline).map_err(Trouble::archive)? {
            Some(known) => self.check_same(&known),
            None => archive
                .store_history(timeline, &self.content)
                .map_err(Trouble::archive),
        }
    }

    fn check_same(&self, known: &[u8]) -> Result<(), Trouble> {
        let timeline = self.history.timeline();
        let known = TimelineHistory::parse(timeline, known).map_err(Trouble::archive)?;
        let points = |history: &TimelineHistory| {
            let switches = history.switches().iter();
            switches
                .map(|switch| (switch.timeline, switch.end))
                .collect::<Vec<_>>()
        };
        if points(&known) == points(&self.history) {
            return Ok(());
        }
        let message = format!(
            "timeline {timeline} of the server is not the timeline {timeline} of the archive"
        );
        Err(Trouble::Lasting(Failure::new(Kind::Corrupt, message).hint(
            "two standbys were promoted apart; connect to the one that the archive follows, or give this one a section \
             of its own",
        )))
    }
}
