//! How much a backup will need, from the backups before it and from the size of the cluster.

use std::time::Duration;

use crate::codec::Compression;
use crate::unit::Encryption;

/// How many of the last backups count; each one half as much as the one after it.
const MAX_PAST: usize = 5;

/// Ratios are in millionths.
const ONE: u128 = 1_000_000;

/// What compression leaves at best of a cluster of which there is no backup yet: what does not fit
/// even so is refused.
const BEST_COMPRESSION: u64 = 10;

/// The bytes per second at which a cluster of which there is no backup yet is received.
const FIRST_RATE: u64 = 50 << 20;

/// An older backup.
#[derive(Clone, Copy, Debug)]
pub(super) struct PastBackup {
    /// Bytes of the cluster.
    pub plain: u64,
    /// Bytes of the stored files.
    pub stored: u64,
    /// Those of the stored bytes that are links to an older backup.
    pub linked: u64,
    /// Bytes of the largest file of the cluster.
    pub biggest: u64,
    pub compression: Compression,
    pub encryption: Encryption,
    pub elapsed: Duration,
}

/// The backup that is to be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewBackup {
    /// Bytes of the cluster now, if known.
    pub plain: Option<u64>,
    pub compression: Compression,
    pub encryption: Encryption,
    /// Whether files that have not changed since the last backup are linked to it.
    pub links: bool,
    /// Bytes of WAL per second that arrive now.
    pub wal_rate: u64,
    /// The maximum rate at which it is received, bytes per second.
    pub max_rate: Option<u64>,
    pub segment_size: u64,
}

/// How many bytes a backup will need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    /// For its files, at the time when it needs most.
    pub files: u64,
    /// For the WAL that arrives until its end.
    pub wal: u64,
    /// Whether the files may need much more than this: they are compressed, and no backup shows
    /// how well that works.
    pub at_least: bool,
}

impl Estimate {
    pub(super) fn total(&self) -> u64 {
        self.files.saturating_add(self.wal)
    }
}

/// What the backup will need, with the valid backups of the server, newest first. `None` if nothing
/// is known.
pub(super) fn estimate(past: &[PastBackup], new: &NewBackup) -> Option<Estimate> {
    let wal = wal(past.first(), new)?;
    let same = |past: &&PastBackup| past.compression == new.compression && past.plain > 0;
    let similar: Vec<&PastBackup> = past.iter().filter(same).take(MAX_PAST).collect();
    let Some(last) = similar.first() else {
        let plain = size(past.first(), new)?;
        let at_least = new.compression != Compression::None;
        let files = if at_least {
            plain / BEST_COMPRESSION
        } else {
            with_margin(plain)
        };
        return Some(Estimate {
            files,
            wal,
            at_least,
        });
    };
    let ratio = mean(similar.iter().map(|past| (past.stored, past.plain)));
    let stored = |plain: u64| part(plain, ratio);
    let plain = new.plain.unwrap_or(last.plain);
    // Files that are stored in another way are not linked.
    let newest = past.first();
    let links = new.links
        && newest.is_some_and(|newest| {
            newest.compression == new.compression && newest.encryption == new.encryption
        });
    let files = if links {
        // What is new since the last backup, or what was new in the backups before, whichever is
        // more. A backup without links says nothing: there was nothing to link to.
        let linked = similar.iter().filter(|past| past.linked > 0);
        let own = |past: &&PastBackup| past.stored.saturating_sub(past.linked);
        let changed = mean(linked.map(|past| (own(past), past.stored)));
        let grown = stored(plain.saturating_sub(last.plain));
        let new = grown.max(part(stored(plain), changed));
        // A large file is written before it is replaced by a link.
        new.saturating_add(stored(last.biggest)).min(stored(plain))
    } else {
        stored(plain)
    };
    Some(Estimate {
        files: with_margin(files),
        wal,
        at_least: false,
    })
}

/// The estimate may be a tenth too low.
fn with_margin(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 10)
}

/// The bytes of the cluster.
fn size(last: Option<&PastBackup>, new: &NewBackup) -> Option<u64> {
    new.plain.or(last.map(|last| last.plain))
}

/// The bytes of WAL that arrive until the end of the backup at the rate of now. What arrived during
/// an older backup says nothing of now.
fn wal(last: Option<&PastBackup>, new: &NewBackup) -> Option<u64> {
    let plain = size(last, new)?;
    let seconds = match last.filter(|last| last.plain > 0) {
        Some(last) => {
            let grown = ratio(plain, last.plain).max(ONE);
            part(last.elapsed.as_secs().saturating_add(1), grown)
        }
        None => plain / new.max_rate.unwrap_or(FIRST_RATE).clamp(1, FIRST_RATE),
    };
    let arriving = new.wal_rate.saturating_mul(seconds);
    Some(arriving.saturating_add(new.segment_size))
}

fn ratio(part: u64, whole: u64) -> u128 {
    (u128::from(part) * ONE)
        .checked_div(u128::from(whole))
        .unwrap_or(0)
}

fn part(whole: u64, ratio: u128) -> u64 {
    let bytes = u128::from(whole).saturating_mul(ratio) / ONE;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The weighted mean of ratios, newest first: each counts twice as much as the next. 0 if there is
/// none.
fn mean(ratios: impl Iterator<Item = (u64, u64)>) -> u128 {
    let (mut weight, mut weights, mut sum) = (1_u128 << MAX_PAST, 0, 0_u128);
    for (one, whole) in ratios.take(MAX_PAST) {
        sum = sum.saturating_add(ratio(one, whole).saturating_mul(weight));
        weights += weight;
        weight /= 2;
    }
    sum.checked_div(weights).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn past(plain: u64, stored: u64, linked: u64) -> PastBackup {
        PastBackup {
            plain: plain * MIB,
            stored: stored * MIB,
            linked: linked * MIB,
            biggest: 0,
            compression: Compression::Zstd,
            encryption: Encryption::None,
            elapsed: Duration::from_secs(9),
        }
    }

    const NEW: NewBackup = NewBackup {
        plain: None,
        compression: Compression::Zstd,
        encryption: Encryption::None,
        links: false,
        wal_rate: 0,
        max_rate: None,
        segment_size: 0,
    };

    fn files(past: &[PastBackup], new: NewBackup) -> Option<u64> {
        let found = estimate(past, &new)?;
        assert!(!found.at_least);
        // Without the margin.
        Some(found.files * 10 / 11 / MIB)
    }

    #[test]
    fn without_a_backup_the_size_of_the_cluster_counts() {
        assert_eq!(estimate(&[], &NEW), None, "nothing is known");
        let plain = Some(1000 * MIB);
        let new = NewBackup { plain, ..NEW };
        let found = estimate(&[], &new).unwrap();
        assert_eq!((found.files, found.at_least), (100 * MIB, true));
        let compression = Compression::None;
        let found = estimate(&[], &NewBackup { compression, ..new }).unwrap();
        assert_eq!((found.files, found.at_least), (1100 * MIB, false));
        // A backup with another compression says how large the cluster is, no more.
        let other = NewBackup { compression, ..NEW };
        let found = estimate(&[past(500, 100, 0)], &other).unwrap();
        assert_eq!((found.files, found.at_least), (550 * MIB, false));
    }

    #[test]
    fn the_newest_backups_count_most_and_the_size_of_now() {
        let one = past(1000, 200, 0);
        assert_eq!(files(&[one], NEW), Some(200));
        let plain = Some(4000 * MIB);
        assert_eq!(files(&[one], NewBackup { plain, ..NEW }), Some(800));
        // Weights 2 and 1.
        let newest = past(1000, 500, 0);
        assert_eq!(files(&[newest, one], NEW), Some(400));
        assert_eq!(files(&[one, newest], NEW), Some(300));
        let many = vec![one; 5];
        let older = [many.as_slice(), &[newest; 50]].concat();
        assert_eq!(files(&older, NEW), Some(200), "only the last ones");
    }

    #[test]
    fn what_is_linked_needs_no_room_but_what_has_grown_does() {
        let links = true;
        let new = NewBackup { links, ..NEW };
        let first = past(1000, 1000, 0);
        assert_eq!(files(&[first], new), Some(0), "nothing has grown");
        assert_eq!(files(&[first], NEW), Some(1000), "links are off");
        let encryption = Encryption::Aes256;
        let encrypted = NewBackup { encryption, ..new };
        assert_eq!(files(&[first], encrypted), Some(1000), "stored anew");
        let plain_one = PastBackup {
            compression: Compression::None,
            ..first
        };
        assert_eq!(files(&[plain_one, first], new), Some(1000), "stored anew");
        let plain = Some(1300 * MIB);
        assert_eq!(files(&[first], NewBackup { plain, ..new }), Some(300));
        let second = past(1000, 1000, 900);
        assert_eq!(files(&[second, first], new), Some(100));
        let grown = NewBackup { plain, ..new };
        assert_eq!(files(&[second, first], grown), Some(300));
        let shrunk = NewBackup {
            plain: Some(500 * MIB),
            ..new
        };
        assert_eq!(files(&[second, first], shrunk), Some(50));
        // The largest file is on the disk before it is linked; a backup never needs more than all.
        let large = PastBackup {
            biggest: 400 * MIB,
            ..second
        };
        assert_eq!(files(&[large, first], new), Some(500));
        let larger = PastBackup {
            biggest: 999 * MIB,
            ..second
        };
        assert_eq!(files(&[larger, first], new), Some(1000));
    }

    #[test]
    fn wal_arrives_until_the_end_at_the_rate_of_now() {
        let wal = |past: &[PastBackup], new| estimate(past, &new).unwrap().wal / MIB;
        let last = past(1000, 1000, 0);
        let segment_size = 16 * MIB;
        let new = NewBackup {
            segment_size,
            ..NEW
        };
        assert_eq!(wal(&[last], new), 16);
        // 10 seconds, or 20 for the double size.
        let wal_rate = 30 * MIB;
        assert_eq!(wal(&[last], NewBackup { wal_rate, ..NEW }), 300);
        let plain = Some(2000 * MIB);
        let new = NewBackup { plain, ..NEW };
        assert_eq!(wal(&[last], NewBackup { wal_rate, ..new }), 600);
        // Without a backup: 40 seconds, or 2000.
        assert_eq!(wal(&[], NewBackup { wal_rate, ..new }), 1200);
        let max_rate = Some(MIB);
        let slow = NewBackup {
            wal_rate,
            max_rate,
            ..new
        };
        assert_eq!(wal(&[], slow), 60_000);
    }

    #[test]
    fn no_value_is_too_large() {
        let huge = PastBackup {
            stored: u64::MAX,
            elapsed: Duration::MAX,
            ..past(1, 0, 0)
        };
        let new = NewBackup {
            plain: Some(u64::MAX),
            wal_rate: u64::MAX,
            ..NEW
        };
        let found = estimate(&[huge; 9], &new).unwrap();
        assert_eq!(found.total(), u64::MAX);
    }
}
