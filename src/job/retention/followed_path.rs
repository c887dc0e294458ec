//! Which backups are on the way to the timeline of the server.

use crate::error::Result;
use crate::format::TimelineHistory;
use crate::job::replay::contains_backup;
use crate::repository::{Backup, Repository, WalDirectory};
use crate::unit::Timeline;

/// The path to the timeline that the WAL archive follows.
pub(crate) struct FollowedPath {
    /// `None` if the timeline or its history is not known.
    history: Option<TimelineHistory>,
}

impl FollowedPath {
    /// The path of the archive of a server.
    pub(crate) fn of(repository: &Repository) -> Result<FollowedPath> {
        let followed = repository.followed_timeline()?;
        let wal = repository.wal()?;
        let history = wal.zip(followed);
        let history = history.and_then(|(wal, timeline)| history_of(&wal, timeline));
        Ok(FollowedPath { history })
    }

    /// Whether the history is known.
    pub(super) fn is_known(&self) -> bool {
        self.history.is_some()
    }

    /// Whether a backup can be recovered along the path. Each one may be if it is not known.
    pub(crate) fn contains(&self, backup: &Backup) -> bool {
        let history = self.history.as_ref();
        history.is_none_or(|history| contains_backup(history, &backup.info))
    }
}

fn history_of(wal: &WalDirectory, timeline: Timeline) -> Option<TimelineHistory> {
    if timeline == Timeline::FIRST {
        return Some(TimelineHistory::first());
    }
    let content = wal.history(timeline).ok().flatten()?;
    TimelineHistory::parse(timeline, &content).ok()
}
