//! Which backups are on the way to the timeline of the server.

use crate::error::Result;
use crate::format::TimelineHistory;
use crate::job::replay::contains_backup;
use crate::repository::{Backup, Repository};

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
        let history = match wal.zip(followed) {
            Some((wal, timeline)) => wal.histories()?.get(timeline).ok(),
            None => None,
        };
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
