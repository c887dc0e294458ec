//! Whether a new backup fits.

use std::sync::Arc;
use std::time::Duration;

use super::estimate::{Estimate, NewBackup, PastBackup, estimate};
use crate::config::LinkMode;
use crate::error::{Error, ErrorKind, Result};
use crate::job::authentic::{Assessment, assess};
use crate::job::context::ServerContext;
use crate::repository::{Backup, Origin, Repository};
use crate::status::{Claim, Progress};
use crate::storage::{Filesystem, Space};
use crate::unit::{ByteSize, SegmentSize};

/// How many of the last backups are looked at: some may have another compression.
const MAX_PAST: usize = 16;

/// How many inodes backups leave, on a file system with a fixed number of them.
const RESERVED_FILES: u64 = 256;

/// The size of the cluster, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClusterSize {
    /// Of its databases. They have files that no backup has, of unlogged tables: the size of the
    /// last backup counts if it is less, and without one nothing is known.
    Databases(Option<u64>),
    /// Of the files that the server sends; `None` if it does not say.
    Files(Option<u64>),
}

impl ClusterSize {
    fn bytes(self, last: Option<&PastBackup>) -> Option<u64> {
        match self {
            ClusterSize::Databases(size) => {
                last.map(|last| last.plain.min(size.unwrap_or(last.plain)))
            }
            ClusterSize::Files(size) => size,
        }
    }
}

/// Claims the room for a new backup; [`ErrorKind::NoSpace`] if it cannot end without the space that
/// is reserved for WAL.
pub(crate) fn claim(
    context: &ServerContext,
    repository: &Repository,
    size: ClusterSize,
    progress: &Arc<Progress>,
) -> Result<Claim> {
    wal_stopped(context)?;
    let space = Filesystem::space(&repository.backup_path())?;
    let reserve = context.daemon.config.reserve_space.of(space.total);
    let past = past(context, repository)?;
    let new = new_backup(context, repository, size.bytes(past.first()))?;
    let mut found = estimate(&past, &new);
    let wal_space = Filesystem::space(&repository.wal_path())?;
    if wal_space.device != space.device {
        let reserve = context.daemon.config.reserve_space.of(wal_space.total);
        exhausted(wal_space, reserve)?;
        found = found.map(|found| Estimate { wal: 0, ..found });
    }
    let expected = found.map_or(0, |found| found.total());
    let name = &context.server.name;
    let claims = context.daemon.disks.claims();
    let claim = claims.claim(name, (space.device, expected), progress, |others| {
        fits((space, reserve), found.as_ref(), others)
    })?;
    log::debug!(
        "backup of server {name}: {} are expected with the WAL until its end, {} are free",
        ByteSize(expected),
        ByteSize(space.free)
    );
    let left = space.free.saturating_sub(reserve);
    let may_be_more = found.is_some_and(|found| found.at_least) && space.is_known();
    if may_be_more && new.plain.is_some_and(|plain| plain > left) {
        log::warn!(
            "backup of server {name}: it needs at least {}, and has {}: it is stopped if it does \
             not fit",
            ByteSize(expected),
            ByteSize(left)
        );
    }
    Ok(claim)
}

/// Fails if WAL cannot be received because the disk is full: a backup would need it, and take the
/// room.
pub(super) fn wal_stopped(context: &ServerContext) -> Result<()> {
    if !context.status.receiver().no_space {
        return Ok(());
    }
    let message = "the disk or the quota is full, WAL cannot be received: no space for a backup";
    Err(Error::new(ErrorKind::NoSpace, message))
}

/// Fails if backups must not take more of the file system.
pub(super) fn exhausted(space: Space, reserve: u64) -> Result<()> {
    if space.free_files <= RESERVED_FILES {
        let message = format!(
            "not enough space: the file system has room for {} more files, and {RESERVED_FILES} \
             are reserved for WAL",
            space.free_files
        );
        return Err(Error::new(ErrorKind::NoSpace, message));
    }
    if space.is_known() && space.free < reserve {
        let message = format!(
            "not enough space: {} are free, and {} are reserved for WAL (reserve_space)",
            ByteSize(space.free),
            ByteSize(reserve)
        );
        return Err(Error::new(ErrorKind::NoSpace, message));
    }
    Ok(())
}

/// Fails if what is expected does not fit beside the reserve, and the bytes that backups of other
/// servers will take.
fn fits((space, reserve): (Space, u64), expected: Option<&Estimate>, others: u64) -> Result<()> {
    exhausted(space, reserve)?;
    let Some(expected) = expected.filter(|_| space.is_known()) else {
        return Ok(());
    };
    let left = space.free.saturating_sub(reserve).saturating_sub(others);
    if expected.total() <= left {
        return Ok(());
    }
    let about = if expected.at_least {
        "at least"
    } else {
        "about"
    };
    let (files, wal) = (ByteSize(expected.files), ByteSize(expected.wal));
    let (free, reserve) = (ByteSize(space.free), ByteSize(reserve));
    let mut message = format!(
        "not enough space: the backup needs {about} {files}, and the WAL that arrives until its \
         end {wal}; {free} are free, of which {reserve} are reserved for WAL (reserve_space)"
    );
    if others > 0 {
        let others = ByteSize(others);
        message.push_str(&format!(", and {others} are for other backups that run"));
    }
    Err(Error::new(ErrorKind::NoSpace, message))
}

/// The valid backups of the server that can be relied on, newest first.
fn past(context: &ServerContext, repository: &Repository) -> Result<Vec<PastBackup>> {
    let backups = repository.backups()?.into_iter().rev();
    let usable = backups.filter(|backup| {
        backup.origin == Origin::Own && assess(context, backup) == Assessment::Restorable
    });
    let newest = usable.take(MAX_PAST);
    Ok(newest.map(|backup| past_backup(&backup)).collect())
}

fn past_backup(backup: &Backup) -> PastBackup {
    let info = &backup.info;
    let (plain, wal) = (info.restore_size, info.end.lsn.since(info.start.lsn));
    PastBackup {
        plain,
        stored: without_wal(info.backup_size, plain, wal),
        linked: info.linked_size,
        biggest: info.biggest_file,
        compression: info.compression,
        encryption: info.encryption,
        elapsed: Duration::try_from_secs_f64(info.elapsed).unwrap_or_default(),
    }
}

/// The part of the stored bytes that is not the WAL which is stored with the backup and shared with
/// the archive, as if both were compressed alike.
fn without_wal(stored: u64, plain: u64, wal: u64) -> u64 {
    let all = u128::from(plain) + u128::from(wal);
    let part = (u128::from(stored) * u128::from(plain)).checked_div(all);
    part.and_then(|part| u64::try_from(part).ok())
        .unwrap_or(stored)
}

fn new_backup(
    context: &ServerContext,
    repository: &Repository,
    plain: Option<u64>,
) -> Result<NewBackup> {
    let system = repository.system()?;
    let segment_size = system.map_or(SegmentSize::DEFAULT, |system| system.segment_size);
    Ok(NewBackup {
        plain,
        compression: context.daemon.config.compression,
        encryption: context.daemon.config.encryption,
        links: context.server.link != LinkMode::Off,
        wal_rate: context.daemon.disks.wal_rate(&context.server.name),
        max_rate: context.server.max_rate.map(|rate| rate.0),
        segment_size: segment_size.bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn disk(free: u64) -> Space {
        Space {
            free: free * MIB,
            total: 1000 * MIB,
            free_files: u64::MAX,
            device: 1,
        }
    }

    fn expected(files: u64, wal: u64) -> Estimate {
        Estimate {
            files: files * MIB,
            wal: wal * MIB,
            at_least: false,
        }
    }

    #[test]
    fn a_backup_fits_if_the_reserve_stays_free() {
        let reserve = 50 * MIB;
        let ask = |free, files, wal, others| {
            fits((disk(free), reserve), Some(&expected(files, wal)), others)
        };
        assert!(ask(250, 150, 50, 0).is_ok());
        let refused = ask(250, 150, 50, 1).unwrap_err();
        assert!(
            refused
                .message()
                .ends_with("1.00B are for other backups that run"),
            "{refused}"
        );
        let refused = ask(250, 150, 51, 0).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NoSpace);
        assert_eq!(
            refused.message(),
            "not enough space: the backup needs about 150.00MB, and the WAL that arrives until its \
             end 51.00MB; 250.00MB are free, of which 50.00MB are reserved for WAL (reserve_space)"
        );
        assert!(fits((disk(50), reserve), None, 0).is_ok());
        assert!(
            fits((disk(49), reserve), None, 0).is_err(),
            "in the reserve"
        );
        assert!(fits((disk(0), 0), None, 0).is_ok(), "it may be empty");
    }

    #[test]
    fn the_wal_in_a_backup_takes_no_room_of_its_own() {
        assert_eq!(without_wal(90 * MIB, 800 * MIB, 100 * MIB), 80 * MIB);
        assert_eq!(without_wal(5, 0, 0), 5);
        assert!(without_wal(u64::MAX, u64::MAX, u64::MAX) <= u64::MAX / 2 + 1);
    }

    #[test]
    fn a_file_system_that_does_not_say_its_size_refuses_nothing() {
        let unknown = Space {
            total: 0,
            free: 0,
            ..disk(0)
        };
        assert!(fits((unknown, 50 * MIB), Some(&expected(150, 50)), 0).is_ok());
        let free_files = RESERVED_FILES;
        let no_inodes = Space {
            free_files,
            ..disk(900)
        };
        assert!(fits((no_inodes, 0), None, 0).is_err());
    }
}
