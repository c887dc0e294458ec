//! Where to start: at our own end of WAL along the server's history, else at the slot's restart position, else at the
//! server's.

use super::trouble::Trouble;
use crate::error::{Failure, Kind};
use crate::format::TimelineHistory;
use crate::pg::SystemIdentity;
use crate::repository::WalEnd;
use crate::unit::{Lsn, Segment, SegmentSize, Timeline};

/// All that the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation<'a> {
    /// Where the archive ends on the way to the server's timeline.
    pub end: Option<&'a WalEnd>,
    /// What is known of the timeline that the archive followed until now.
    pub followed: Option<&'a TimelineHistory>,
    /// What the server says of itself.
    pub identity: &'a SystemIdentity,
    /// Whether the server is a standby.
    pub in_recovery: bool,
    /// The history of its timeline, with which that of the archive agrees.
    pub history: &'a TimelineHistory,
    /// The restart position of our slot.
    pub slot: Option<Lsn>,
    /// Where the server said that it has removed the WAL.
    pub removed: Option<(Timeline, Lsn)>,
    /// The size of segments.
    pub size: SegmentSize,
}

/// Where to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// On which timeline.
    pub timeline: Timeline,
    /// From where: the start of a segment.
    pub position: Lsn,
    /// Where to go on, on which timeline, though the server would go on with this one: its history names a switch that
    /// lies behind a later one.
    pub leave: Option<(Timeline, Lsn)>,
    /// What a person must know about it.
    pub notes: Vec<Note>,
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
    /// The server is on another branch than the one that the archive followed.
    Branch {
        /// The timeline that the archive followed.
        followed: Timeline,
        /// The server's timeline.
        timeline: Timeline,
        /// Where the two part, and on which timeline, if they are known to have one in common.
        parted: Option<(Timeline, Lsn)>,
    },
    /// The server is on a timeline that the one which the archive followed comes from.
    TakenBack {
        /// The timeline that the archive followed.
        followed: Timeline,
        /// The server's timeline.
        timeline: Timeline,
        /// Where the first switch away from it is.
        parted: Lsn,
    },
    /// The archive has WAL, but nothing that comes before the server's.
    Unconnected {
        /// The server's timeline.
        timeline: Timeline,
        /// From where WAL is received.
        from: Lsn,
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
        let mut start = match self.end {
            Some(end) => self.or_after_gap(self.after(end)?),
            None => self.begin(),
        };
        start.notes.extend(self.branch());
        Ok(start)
    }

    /// Nothing is there to go on from.
    fn begin(&self) -> Start {
        let position = self.slot.unwrap_or(self.identity.position);
        let mut start = self.at(self.history.timeline_at(position), position);
        if self.followed.is_some() {
            start.notes.push(Note::Unconnected {
                timeline: self.history.timeline(),
                from: start.position,
            });
        }
        start
    }

    /// A slot that begins later was made after the WAL was lost: somebody dropped the old one, knowing that.
    fn or_after_gap(&self, start: Start) -> Start {
        if self.removed == Some((start.timeline, start.position))
            && let Some(slot) = self.slot
            && self.floor(slot) > start.position
        {
            let mut later = self.at(self.history.timeline_at(slot), slot);
            later.notes.push(Note::Gap {
                from: start.position,
                to: later.position,
            });
            return later;
        }
        start
    }

    fn after(&self, end: &WalEnd) -> Result<Start, Trouble> {
        let server = self.identity;
        let Some(switch) = self.history.end_of(end.timeline) else {
            if end.received > server.position {
                return Err(self.behind(end));
            }
            return Ok(self.at(end.timeline, end.next));
        };
        let successor = self.history.successor(end.timeline);
        let next = (successor.unwrap_or(server.timeline), switch);
        let own = self.history.before(end.timeline).unwrap_or_default().len();
        let said = self.history.switches().get(own).map(|own| own.end);
        // Up to a switch that is not the last word of the server it is not asked: it may not have that file.
        let leave = (said != Some(switch)).then_some(next);
        let limit = leave.map_or(switch, |(_, switch)| self.floor(switch));
        let mut start = if end.next < limit {
            let start = self.at(end.timeline, end.next);
            Start { leave, ..start }
        } else {
            self.at(next.0, next.1)
        };
        if end.received > switch {
            start.notes.push(Note::LeftBehind {
                timeline: end.timeline,
                switch,
                end: end.received,
            });
        }
        Ok(start)
    }

    /// Whether the server is on another branch than the one that was followed until now.
    fn branch(&self) -> Option<Note> {
        let followed = self.followed?;
        let timeline = self.history.timeline();
        if self.history.contains(followed.timeline()) {
            return None;
        }
        let parted = self.parted(followed);
        Some(match parted {
            Some((on, parted)) if on == timeline => Note::TakenBack {
                followed: followed.timeline(),
                timeline,
                parted,
            },
            _ => Note::Branch {
                followed: followed.timeline(),
                timeline,
                parted,
            },
        })
    }

    /// The newest timeline that both ways have, and where the first of them leaves it.
    fn parted(&self, followed: &TimelineHistory) -> Option<(Timeline, Lsn)> {
        let mut timelines = self.history.timelines().rev();
        let common = timelines.find(|timeline| followed.contains(*timeline))?;
        let ends = [self.history, followed].map(|history| history.end_of(common));
        Some((common, ends.into_iter().flatten().min()?))
    }

    fn behind(&self, end: &WalEnd) -> Trouble {
        let file = end.file.path.file_name().unwrap_or_default();
        let message = format!(
            "the server's WAL ends at {}, the archive has it up to {} already, in {}",
            self.identity.position,
            end.received,
            file.display()
        );
        if self.in_recovery {
            // A standby that was restarted replays what it has, and gets there.
            return Trouble::Passing(Failure::new(Kind::Server, message));
        }
        Trouble::Lasting(Failure::new(Kind::Corrupt, message).hint(
            "the server went back to an older state, or another copy of the cluster took its place, or somebody put that \
             file into the archive; nothing is overwritten: if the file does not belong there, take it out; if the server's \
             is the state to go on from, bring it back once more, and before its first start copy the .history files of \
             the archive into its pg_wal, set recovery_target_timeline = 'current', and make an empty file standby.signal \
             in its data directory; then promote it: it gets a timeline of its own, which the archive follows; else give \
             this server a section of its own",
        ))
    }

    fn at(&self, timeline: Timeline, position: Lsn) -> Start {
        Start {
            timeline,
            position: self.floor(position),
            leave: None,
            notes: Vec::new(),
        }
    }

    /// The start of the segment in which a position lies.
    fn floor(&self, position: Lsn) -> Lsn {
        Segment::containing(self.identity.timeline, position, self.size).start(self.size)
    }
}

#[cfg(test)]
mod tests;
