//! Looks at the backups of a server, and at the room for it. Sizes are those of `backup.info`:
//! directories are not walked.

use std::time::Instant;

use super::archive;
use crate::error::Result;
use crate::job::catalogue::stored_size;
use crate::job::context::ServerContext;
use crate::repository::{Backup, Repository, VerificationInfo};
use crate::status::{Inventory, StoreDisk, StoredBackup};
use crate::storage::Filesystem;
use crate::unit::Timestamp;

/// What is on the disk for a server. WAL is measured again only if that is due.
pub(super) fn collect(context: &ServerContext, known: &Inventory) -> Result<Inventory> {
    let begun = Instant::now();
    let repository = context.repository()?;
    let backups = repository.backups()?;
    let verification = repository.verification();
    let mut found = Inventory {
        collected_at: Some(begun),
        backup_bytes: stored_size(backups.iter().map(|backup| &backup.info)),
        backups: stored_backups(&backups),
        disks: disks(context, &repository)?,
        base: Filesystem::space(&context.daemon.config.base_dir)?,
        backups_verified: oldest_verification(&backups, &verification),
        wal_verified: verification
            .wal
            .as_ref()
            .map(|found| Timestamp::from_seconds(found.begun)),
        ..known.clone()
    };
    let changed = known.changes != context.status.changes();
    if archive::is_due(&known.wal, changed) {
        archive::collect(context, (&repository, &backups, &verification), &mut found)?;
    }
    found.took = begun.elapsed();
    Ok(found)
}

fn stored_backups(backups: &[Backup]) -> Vec<StoredBackup> {
    let mut before = 0;
    let mut found = Vec::with_capacity(backups.len());
    for backup in backups {
        let info = &backup.info;
        let end = info.stop_time.map(Timestamp);
        found.push(StoredBackup {
            label: backup.label.clone(),
            valid: info.valid,
            retained: info.keep,
            version: info.version,
            stored_bytes: info.backup_size,
            plain_bytes: info.restore_size,
            growth: difference(info.restore_size, before),
            start: info.start,
            checkpoint: info.checkpoint,
            end: info.end,
            elapsed: info.elapsed,
            steps: info.steps.clone(),
            taken_at: end.or_else(|| backup.label.timestamp()),
        });
        before = info.restore_size;
    }
    found
}

fn difference(size: u64, before: u64) -> i64 {
    let difference = i128::from(size) - i128::from(before);
    i64::try_from(difference).unwrap_or(if size > before { i64::MAX } else { i64::MIN })
}

/// When the valid backup was verified whose last verification is the oldest; `None` if one was not
/// verified yet.
fn oldest_verification(backups: &[Backup], info: &VerificationInfo) -> Option<Timestamp> {
    let valid = backups.iter().filter(|backup| backup.info.valid);
    let times = valid.map(|backup| info.backup(&backup.label).map(|verified| verified.at));
    let times: Option<Vec<i64>> = times.collect();
    times?.into_iter().min().map(Timestamp::from_seconds)
}

fn disks(context: &ServerContext, repository: &Repository) -> Result<Vec<StoreDisk>> {
    let directories = [
        ("wal", repository.wal_path()),
        ("backup", repository.backup_path()),
    ];
    let disks = directories.into_iter().map(|(directory, path)| {
        let space = Filesystem::space(&path)?;
        let reserve = context.daemon.config.reserve_space.of(space.total);
        Ok(StoreDisk {
            directory,
            space,
            reserve,
            days_left: context.daemon.disks.days_left(space, reserve),
        })
    });
    disks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_increment_has_64_bits_and_a_sign() {
        assert_eq!(difference(5 << 31, 1 << 31), 4 << 31);
        assert_eq!(difference(0, 3 << 31), -(3 << 31));
        assert_eq!(difference(u64::MAX, 0), i64::MAX);
        assert_eq!(difference(0, u64::MAX), i64::MIN);
    }
}
