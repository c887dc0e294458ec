//! Where to start: at our own end of WAL, else at the slot's restart position, else at the server's.

use super::trouble::Trouble;
use crate::error::{Failure, Kind};
use crate::format::TimelineHistory;
use crate::pg::SystemIdentity;
use crate::repository::WalEnd;
use crate::unit::{Lsn, Segment, SegmentSize, Timeline};

/// All that the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation<'a> {
    /// Where the archive ends.
    pub end: Option<&'a WalEnd>,
    /// What the server says of itself.
    pub identity: &'a SystemIdentity,
    /// Whether the server is a standby.
    pub in_recovery: bool,
    /// The history of its timeline.
    pub history: &'a TimelineHistory,
    /// The restart position of our slot.
    pub slot: Option<Lsn>,
    /// Where the server said that it has removed the WAL.
    pub removed: Option<(Timeline, Lsn)>,
    /// The size of segments.
    pub size: SegmentSize,
}

/// Where to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// On which timeline.
    pub timeline: Timeline,
    /// From where: the start of a segment.
    pub position: Lsn,
    /// What a person must know about it.
    pub note: Option<Note>,
}

/// What a person must know about a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// The archive has WAL of a timeline that the server left before the end of it: it was not part of what the server
    /// was promoted with. It is kept.
    LeftBehind {
        /// The timeline.
        timeline: Timeline,
        /// Where the server left it.
        switch: Lsn,
        /// Where the archive's WAL of it ends.
        end: Lsn,
    },
    /// WAL is missing for good.
    Gap {
        /// The end of the archive until now.
        from: Lsn,
        /// Where it goes on.
        to: Lsn,
    },
}

impl Situation<'_> {
    /// Chooses. A server whose WAL does not go on from the archive's is refused.
    pub(super) fn choose(&self) -> Result<Start, Trouble> {
        let Some(end) = self.end else {
            let position = self.slot.unwrap_or(self.identity.position);
            return Ok(self.at(self.history.timeline_at(position), position));
        };
        let start = self.after(end)?;
        // A slot that begins later was made after the WAL was lost: somebody dropped the old one, knowing that.
        if self.removed == Some((start.timeline, start.position))
            && let Some(slot) = self.slot
            && self.floor(slot) > start.position
        {
            let mut later = self.at(self.history.timeline_at(slot), slot);
            later.note = Some(Note::Gap {
                from: start.position,
                to: later.position,
            });
            return Ok(later);
        }
        Ok(start)
    }

    fn after(&self, end: &WalEnd) -> Result<Start, Trouble> {
        let server = self.identity;
        if end.timeline > server.timeline {
            return Err(self.refuse(format!(
                "the server is on timeline {}, the archive is on timeline {} already",
                server.timeline, end.timeline
            )));
        }
        if end.timeline == server.timeline {
            if end.received > server.position {
                return Err(self.behind(end));
            }
            return Ok(self.at(end.timeline, end.next));
        }
        let Some(switch) = self.history.end_of(end.timeline) else {
            return Err(self.refuse(format!(
                "timeline {} of the server does not come from timeline {}, on which the archive is",
                server.timeline, end.timeline
            )));
        };
        let mut start = if end.next < switch {
            self.at(end.timeline, end.next)
        } else {
            let next = self.history.successor(end.timeline);
            self.at(next.unwrap_or(server.timeline), switch)
        };
        if end.received > switch {
            start.note = Some(Note::LeftBehind {
                timeline: end.timeline,
                switch,
                end: end.received,
            });
        }
        Ok(start)
    }

    fn behind(&self, end: &WalEnd) -> Trouble {
        let message = format!(
            "the server's WAL ends at {}, the archive has it up to {} already",
            self.identity.position, end.received
        );
        if self.in_recovery {
            // A standby that was restarted replays what it has, and gets there.
            return Trouble::Passing(Failure::new(Kind::Server, message));
        }
        self.refuse(message)
    }

    fn refuse(&self, message: String) -> Trouble {
        Trouble::Lasting(Failure::new(Kind::Corrupt, message).hint(
            "the server went back to an older state, or another copy of the cluster took its place; nothing is \
             overwritten: if this server is the right one, move the WAL archive of this server away and take a new backup",
        ))
    }

    fn at(&self, timeline: Timeline, position: Lsn) -> Start {
        Start {
            timeline,
            position: self.floor(position),
            note: None,
        }
    }

    /// The start of the segment in which a position lies.
    fn floor(&self, position: Lsn) -> Lsn {
        Segment::containing(self.identity.timeline, position, self.size).start(self.size)
    }
}

#[cfg(test)]
mod tests;
