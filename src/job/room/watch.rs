//! Stops a running backup before it takes what is reserved for WAL.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::check::{exhausted, wal_stopped};
use crate::error::Result;
use crate::job::context::ServerContext;
use crate::storage::Filesystem;

/// How often the free space is looked at, at least: others write to the disk too.
const INTERVAL: Duration = Duration::from_millis(100);

/// How many bytes may be received between two looks. A quarter of what is left counts too.
const MIN_STEP: u64 = 1 << 20;
const MAX_STEP: u64 = 64 << 20;

/// Looks at the free space while a backup is received.
pub(crate) struct Watch {
    context: ServerContext,
    path: PathBuf,
    /// How many bytes may be received before the next look.
    left: u64,
    checked: Instant,
}

impl Watch {
    /// Watches the file system of the backup in `path`.
    pub(crate) fn new(context: &ServerContext, path: &Path) -> Watch {
        Watch {
            context: context.clone(),
            path: path.to_owned(),
            left: 0,
            checked: Instant::now(),
        }
    }

    /// Counts bytes that were received; [`crate::error::ErrorKind::NoSpace`] if the backup must
    /// stop.
    pub(crate) fn count(&mut self, bytes: u64) -> Result<()> {
        self.left = self.left.saturating_sub(bytes);
        if self.left > 0 && self.checked.elapsed() < INTERVAL {
            return Ok(());
        }
        wal_stopped(&self.context)?;
        let space = Filesystem::space(&self.path)?;
        let reserve = self.context.daemon.config.reserve_space.of(space.total);
        exhausted(space, reserve).map_err(|failure| failure.context("the backup was stopped"))?;
        self.left = step(space.free.saturating_sub(reserve));
        self.checked = Instant::now();
        Ok(())
    }
}

fn step(room: u64) -> u64 {
    (room / 4).clamp(MIN_STEP, MAX_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_room_there_is_the_more_often_it_is_looked_at() {
        let steps = [0, 8, 100, 1000].map(|room| step(room << 20) >> 20);
        assert_eq!(steps, [1, 2, 25, 64]);
    }
}
