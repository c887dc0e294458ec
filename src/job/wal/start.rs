//! Where to start: at the archive's end of WAL along the server's history, else at the slot's
//! `restart_lsn`, else at the server's current position.

use super::error::ReceiveError;
use crate::error::{Error, ErrorKind};
use crate::format::TimelineHistory;
use crate::pg::SystemIdentity;
use crate::repository::WalEnd;
use crate::unit::{Lsn, Segment, SegmentSize, Timeline, WalPosition};

/// The inputs of the choice.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartInputs<'a> {
    /// The archive's end of WAL on the path to the server's timeline.
    pub end: Option<&'a WalEnd>,
    /// The history of the timeline that the archive followed until now.
    pub followed: Option<&'a TimelineHistory>,
    /// The reply to IDENTIFY_SYSTEM.
    pub identity: &'a SystemIdentity,
    /// `pg_is_in_recovery()` of the server.
    pub in_recovery: bool,
    /// The history of the server's timeline; the archive's histories are consistent with it.
    pub history: &'a TimelineHistory,
    /// The `restart_lsn` of the slot.
    pub slot: Option<Lsn>,
    /// Where the server reported that its WAL was removed.
    pub removed: Option<WalPosition>,
    /// The WAL segment size of the cluster.
    pub size: SegmentSize,
}

/// The timeline and position to start streaming at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// The timeline to stream.
    pub timeline: Timeline,
    /// The start of a segment.
    pub position: Lsn,
    /// The next timeline and its start, where the client must end this timeline itself: its switch
    /// point in the history lies after a later one.
    pub leave: Option<WalPosition>,
    /// What to log about it.
    pub notices: Vec<StartNotice>,
}

/// What to log about a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartNotice {
    /// The archive has WAL of a timeline after the point where the server left it: the server was
    /// promoted without it. It is kept.
    Diverged {
        timeline: Timeline,
        /// The switch point.
        switch: Lsn,
        /// The end of the archived WAL of that timeline.
        end: Lsn,
    },
    /// The server's timeline does not descend from the one that the archive followed.
    Branch {
        followed: Timeline,
        timeline: Timeline,
        /// The newest common timeline and where they diverge, if known.
        fork: Option<WalPosition>,
    },
    /// The server is on an ancestor of the timeline that the archive followed.
    Failback {
        followed: Timeline,
        timeline: Timeline,
        /// Where the followed timeline left it.
        fork: Lsn,
    },
    /// The archive has WAL, but none on the path to the server's timeline.
    NoWalOnPath {
        timeline: Timeline,
        /// The position to receive WAL from.
        from: Lsn,
    },
    /// WAL is lost.
    Gap {
        /// The end of WAL before the gap.
        from: Lsn,
        /// Where WAL continues.
        to: Lsn,
    },
    /// Commits wait until the receiver has applied their WAL, which it never does.
    WaitsForApply,
}

impl StartInputs<'_> {
    /// Fails if the server's WAL does not continue the archive's.
    pub(super) fn choose(&self) -> Result<Start, ReceiveError> {
        let mut start = match self.end {
            Some(end) => self.skip_gap(self.resume(end)?),
            None => self.start_new(),
        };
        start.notices.extend(self.branch());
        Ok(start)
    }

    /// The archive has no WAL on the path.
    fn start_new(&self) -> Start {
        let position = self.slot.unwrap_or(self.identity.position);
        let mut start = self.at(self.history.timeline_at(position), position);
        if self.followed.is_some() {
            start.notices.push(StartNotice::NoWalOnPath {
                timeline: self.history.timeline(),
                from: start.position,
            });
        }
        start
    }

    /// A slot that begins later was created after the WAL was lost: an operator dropped the old
    /// one.
    fn skip_gap(&self, start: Start) -> Start {
        if self.removed == Some(start.timeline.at(start.position))
            && let Some(slot) = self.slot
            && self.segment_start(slot) > start.position
        {
            let mut later = self.at(self.history.timeline_at(slot), slot);
            later.notices.push(StartNotice::Gap {
                from: start.position,
                to: later.position,
            });
            return later;
        }
        start
    }

    fn resume(&self, end: &WalEnd) -> Result<Start, ReceiveError> {
        let server = self.identity;
        let Some(switch) = self.history.end_of(end.timeline) else {
            if end.received > server.position {
                return Err(self.behind(end));
            }
            return Ok(self.at(end.timeline, end.next));
        };
        let successor = self.history.successor(end.timeline);
        let next = successor.unwrap_or(server.timeline).at(switch);
        let index = self
            .history
            .ancestors_of(end.timeline)
            .unwrap_or_default()
            .len();
        let listed = self.history.switches().get(index).map(|switch| switch.end);
        // The server is not asked for WAL up to a switch point that a later one supersedes: it may
        // not have that segment.
        let leave = (listed != Some(switch)).then_some(next);
        let limit = leave.map_or(switch, |leave| self.segment_start(leave.lsn));
        let mut start = if end.next < limit {
            let start = self.at(end.timeline, end.next);
            Start { leave, ..start }
        } else {
            self.at(next.timeline, next.lsn)
        };
        if end.received > switch {
            start.notices.push(StartNotice::Diverged {
                timeline: end.timeline,
                switch,
                end: end.received,
            });
        }
        Ok(start)
    }

    /// The notice if the server is on another branch than the followed one.
    fn branch(&self) -> Option<StartNotice> {
        let followed = self.followed?;
        let timeline = self.history.timeline();
        if self.history.contains(followed.timeline()) {
            return None;
        }
        let fork = self.fork_point(followed);
        Some(match fork {
            Some(fork) if fork.timeline == timeline => StartNotice::Failback {
                followed: followed.timeline(),
                timeline,
                fork: fork.lsn,
            },
            _ => StartNotice::Branch {
                followed: followed.timeline(),
                timeline,
                fork,
            },
        })
    }

    /// The newest common timeline, and where the first of the two leaves it.
    fn fork_point(&self, followed: &TimelineHistory) -> Option<WalPosition> {
        let mut timelines = self.history.timelines().rev();
        let common = timelines.find(|timeline| followed.contains(*timeline))?;
        let ends = [self.history, followed].map(|history| history.end_of(common));
        Some(common.at(ends.into_iter().flatten().min()?))
    }

    fn behind(&self, end: &WalEnd) -> ReceiveError {
        let message = format!(
            "the server's WAL ends at {}, but the archive has it up to {}, in {}",
            self.identity.position,
            end.received,
            end.file.name()
        );
        if self.in_recovery {
            // A restarted standby replays its WAL and catches up.
            return ReceiveError::Transient(Error::new(ErrorKind::Server, message));
        }
        ReceiveError::NeedsOperator(Error::new(ErrorKind::Corrupt, message).with_hint(
            "the server was reset to an older state, or replaced by another copy of the cluster, \
             or that file was put into the archive by mistake; nothing is overwritten: if the file \
             does not belong there, remove it; to continue from the server's state, restore it \
             once more, and before its first start copy the .history files of the archive into its \
             pg_wal, set recovery_target_timeline = 'current', and create an empty file \
             standby.signal in its data directory; then promote it: it gets a new timeline, which \
             the archive follows; otherwise give this server a section of its own",
        ))
    }

    fn at(&self, timeline: Timeline, position: Lsn) -> Start {
        Start {
            timeline,
            position: self.segment_start(position),
            leave: None,
            notices: Vec::new(),
        }
    }

    /// The start of the segment that contains a position.
    fn segment_start(&self, position: Lsn) -> Lsn {
        Segment::containing(self.identity.timeline, position, self.size).start(self.size)
    }
}

#[cfg(test)]
mod tests;
