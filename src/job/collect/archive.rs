//! Measures the archived WAL of a server, and the interval that it proves to be restorable.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::job::context::ServerContext;
use crate::job::replay::{Segments, WalReader};
use crate::job::scrub::{Restorable, VerifiedArchive};
use crate::repository::{Backup, MeasuredWalFile, Repository, VerificationInfo, WalDirectory};
use crate::status::{Inventory, StoredWal};
use crate::unit::{Timestamp, WalPosition};

/// How often it is measured at least.
const PERIOD: Duration = Duration::from_secs(60);

/// How much longer than the measurement is the time without one: it takes at most 1 % of a thread.
const PAUSE: u32 = 100;

/// Whether the archive is to be measured now; sooner if operations have ended since. The proven
/// interval is looked at too, which may read WAL.
pub(super) fn is_due(known: &StoredWal, changed: bool) -> bool {
    let period = if changed { Duration::ZERO } else { PERIOD };
    let pause = period.max(known.took.saturating_mul(PAUSE));
    known
        .measured_at
        .is_none_or(|measured| measured.elapsed() >= pause)
}

/// Sets what is known from the WAL archive.
pub(super) fn collect(
    context: &ServerContext,
    (repository, backups, verification): (&Repository, &[Backup], &VerificationInfo),
    found: &mut Inventory,
) -> Result<()> {
    let begun = Instant::now();
    let mut wal = StoredWal {
        measured_at: Some(begun),
        ..StoredWal::default()
    };
    let (mut history, mut restorable, mut proven) = (None, None, None);
    if let Some(archive) = repository.wal()? {
        let segments = archive.measured_segments()?;
        let lengths = segments.iter().filter_map(|measured| measured.length);
        wal.bytes = lengths.fold(0, u64::saturating_add);
        wal.segments = segments.len();
        wal.written_at = segments.last().and_then(written_at);
        if let Some(timeline) = repository.followed_timeline()? {
            history = archive.histories()?.get(timeline).ok();
        }
        if verification.wal.is_some() {
            let starts: Vec<WalPosition> = valid(backups).map(|backup| backup.info.start).collect();
            let verified = VerifiedArchive {
                repository,
                key: &context.daemon.key,
                stop: &context.stop,
                info: verification,
                backups,
                gaps: &archive.gaps_in(&segments, &starts)?,
            };
            if let (Some(range), _) = verified.restorable()? {
                let end = range.timeline.at(range.to);
                let known = found.restorable.filter(|_| found.proven == Some(end));
                restorable = match known {
                    // The oldest backup may have been removed meanwhile.
                    Some((_, to)) => from(backups, &range).map(|from| (from, to)),
                    None => times(context, &archive, backups, &range)?,
                };
                proven = Some(end);
            }
        }
    }
    wal.took = begun.elapsed();
    found.wal = wal;
    found.history = history;
    (found.restorable, found.proven) = (restorable, proven);
    Ok(())
}

fn valid(backups: &[Backup]) -> impl Iterator<Item = &Backup> {
    backups.iter().filter(|backup| backup.info.valid)
}

fn written_at(newest: &MeasuredWalFile) -> Option<Timestamp> {
    let found = std::fs::metadata(newest.file.path()).ok()?;
    Timestamp::from_system(found.modified().ok()?)
}

/// When the oldest backup of the interval ended.
fn from(backups: &[Backup], range: &Restorable) -> Option<Timestamp> {
    let mut at_start = valid(backups).filter(|backup| backup.info.end.lsn == range.from);
    at_start.find_map(|backup| backup.info.stop_time.map(Timestamp))
}

/// The times of the first and the last transaction of the interval.
fn times(
    context: &ServerContext,
    archive: &WalDirectory,
    backups: &[Backup],
    range: &Restorable,
) -> Result<Option<(Timestamp, Timestamp)>> {
    let Some(from) = from(backups, range) else {
        return Ok(None);
    };
    let Ok(history) = archive.histories()?.get(range.timeline) else {
        return Ok(None);
    };
    let segments = Segments::new(archive.clone(), context.daemon.key.clone())?;
    let reader = WalReader {
        segments: &segments,
        history: &history,
        system_identifier: None,
        strict: true,
        stop: &context.stop,
    };
    let last = reader.last_end_of_transaction(range.to)?.map(Timestamp);
    // Without a transaction since, the state at the end of the newest backup is still that of then.
    let ended = valid(backups).filter(|backup| {
        let end = backup.info.end;
        end.lsn <= range.to && history.timeline_at(end.lsn) == end.timeline
    });
    let ended = ended.filter_map(|backup| backup.info.stop_time.map(Timestamp));
    Ok(Some((from, ended.chain(last).fold(from, Timestamp::max))))
}
