//! The WAL that a backup needs to become consistent: stored with the backup, as hard links to the
//! files of the archive.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::staging::{FileHeader, Staging};
use crate::codec::{StoredFormat, Suffixes};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::format::{TimelineHistory, WalRange};
use crate::job::context::ServerContext;
use crate::repository::{BACKUP_WAL_DIRECTORY, ManifestFile, WalDirectory, WalFile};
use crate::storage;
use crate::unit::{Encryption, Lsn, Segment, SegmentSize, Timeline, WalPosition};

/// The shortest time to wait for the WAL, even if `blocking_timeout` is less, and the time to wait
/// until it is sealed: the disk may be slow.
const WAL_TIMEOUT: Duration = Duration::from_secs(60);

/// How often to check whether a segment is sealed.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Fails, before the transfer, if the backup begins before the WAL in the archive: a standby begins
/// it at its last restartpoint, which may be before the WAL that the slot retains.
pub(super) fn check_start(
    context: &ServerContext,
    archive: &WalDirectory,
    begin: WalPosition,
) -> Result<()> {
    let size = archive.segment_size();
    let needed = Segment::containing(begin.timeline, begin.lsn, size);
    // Read first: WAL that arrives meanwhile must not fail the backup.
    let flushed = context.status.receiver().flushed;
    let files = archive.segments()?;
    let archived = files
        .iter()
        .any(|file| file.segment.number == needed.number);
    if archived || flushed <= needed.start(size) {
        return Ok(());
    }
    let message = format!(
        "the backup would begin at {}, in the WAL segment {}, which is not in the archive: \
         WAL is received from later on",
        begin.lsn,
        needed.name(size)
    );
    Err(Error::new(ErrorKind::NotFound, message).with_hint(
        "run CHECKPOINT on the primary, wait until the standby has replayed it, and take the \
         backup again: it begins later then",
    ))
}

/// Waits until WAL is flushed up to the end of the backup. Fails when no more WAL arrives, or when
/// it is on another timeline.
pub(super) fn wait(
    context: &ServerContext,
    archive: &WalDirectory,
    end: WalPosition,
) -> Result<()> {
    wait_flushed(context, end)?;
    check_timeline(archive, context.status.receiver().timeline, end)
}

fn wait_flushed(context: &ServerContext, end: WalPosition) -> Result<()> {
    let timeout = context
        .daemon
        .config
        .blocking_timeout
        .duration()
        .max(WAL_TIMEOUT);
    loop {
        let before = context.status.receiver().flushed;
        let waited = context
            .status
            .wait_flushed(end, timeout, || context.stop.check());
        match waited {
            Err(failure) if failure.kind() == ErrorKind::Timeout => {
                if context.status.receiver().flushed <= before {
                    return Err(failure.context("wait for the WAL that the backup needs"));
                }
            }
            done => return done,
        }
    }
}

/// Fails unless the timeline `on` that is received branches after the end of the backup: a promoted
/// standby may not have received that much.
fn check_timeline(
    archive: &WalDirectory,
    on: Option<Timeline>,
    position: WalPosition,
) -> Result<()> {
    let WalPosition { timeline, lsn: end } = position;
    let Some(on) = on.filter(|on| *on != timeline) else {
        return Ok(());
    };
    let content = archive.history(on)?;
    let history = content.map(|content| TimelineHistory::parse(on, &content));
    let left = history
        .transpose()?
        .and_then(|history| history.end_of(timeline));
    if left >= Some(end) {
        return Ok(());
    }
    let left = left.map_or_else(String::new, |left| format!(", which left it at {left}"));
    let message = format!(
        "the backup ends at {end} on timeline {timeline}, and the server is on timeline {on} \
         now{left}: the WAL that the backup needs did not arrive"
    );
    Err(Error::new(ErrorKind::NotFound, message).with_hint("take the backup again"))
}

/// Adds the WAL of `ranges` to the backup. Returns the name of the first segment.
pub(super) fn attach_wal(
    context: &ServerContext,
    archive: &WalDirectory,
    staging: &mut Staging,
    ranges: &[WalRange],
    seal_wait: SealWait,
) -> Result<String> {
    let size = archive.segment_size();
    let needed = needed_segments(ranges, size)?;
    let first = needed.values().next().map(|(segment, _)| *segment);
    let deadline = Instant::now() + seal_wait.duration();
    let mut attacher = WalAttacher {
        context,
        archive,
        staging,
    };
    for (segment, end) in needed.values() {
        attacher.attach_segment(*segment, *end, deadline)?;
    }
    let newest = ranges.iter().map(|range| range.timeline).max();
    if let Some(timeline) = newest.filter(|timeline| *timeline > Timeline::FIRST) {
        attacher.attach_history(timeline)?;
    }
    Ok(first.map(|segment| segment.name(size)).unwrap_or_default())
}

/// How long to wait until the last segment is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SealWait {
    /// A primary switches segments at the end of the backup.
    Primary,
    /// A standby cannot switch segments: an idle primary may never fill it.
    Standby,
}

impl SealWait {
    fn duration(self) -> Duration {
        match self {
            SealWait::Primary => WAL_TIMEOUT,
            SealWait::Standby => Duration::ZERO,
        }
    }
}

/// The segments of the ranges by number, each with the position up to which it is needed. Of two
/// timelines in one segment the newer one counts: its file begins with a copy of the older one.
fn needed_segments(
    ranges: &[WalRange],
    size: SegmentSize,
) -> Result<BTreeMap<u64, (Segment, Lsn)>> {
    let mut needed: BTreeMap<u64, (Segment, Lsn)> = BTreeMap::new();
    for range in ranges {
        if range.end <= range.start {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("the backup needs WAL from {} to {}", range.start, range.end),
            ));
        }
        let mut segment = Segment::containing(range.timeline, range.start, size);
        while segment.start(size) < range.end {
            let end = range.end.min(segment.end(size));
            let known = needed.entry(segment.number).or_insert((segment, end));
            if known.0.timeline < segment.timeline {
                *known = (segment, end);
            }
            segment = segment.next();
        }
    }
    Ok(needed)
}

struct WalAttacher<'a> {
    context: &'a ServerContext,
    archive: &'a WalDirectory,
    staging: &'a mut Staging,
}

impl WalAttacher<'_> {
    /// Links a segment once it is sealed; copies it at the deadline.
    fn attach_segment(&mut self, segment: Segment, end: Lsn, deadline: Instant) -> Result<()> {
        let name = segment.name(self.archive.segment_size());
        check_received(self.archive, segment)
            .with_context(|| format!("add the WAL segment {name} to the backup"))?;
        loop {
            let missing = || {
                Error::new(
                    ErrorKind::NotFound,
                    format!("the backup needs the WAL segment {name}, which is not in the archive"),
                )
            };
            let file = self.archive.find(segment)?.ok_or_else(missing)?;
            let done = if self.is_sealed(&file) {
                self.link(
                    &name,
                    &file.path(),
                    file.suffixes,
                    self.archive.segment_size().bytes(),
                )
            } else if Instant::now() >= deadline {
                self.copy_unsealed(&name, &file, end)
            } else {
                self.context.stop.pause(POLL_INTERVAL)?;
                continue;
            };
            match done {
                // It was sealed between the lookup and the link.
                Err(failure) if failure.kind() == ErrorKind::NotFound => {
                    self.context.stop.pause(POLL_INTERVAL)?;
                }
                done => {
                    return done
                        .with_context(|| format!("add the WAL segment {name} to the backup"));
                }
            }
        }
    }

    /// Whether the file is final and will not be replaced.
    fn is_sealed(&self, file: &WalFile) -> bool {
        let coding = self.staging.coding().stored();
        !file.partial && (!file.is_plain() || coding == StoredFormat::PLAIN)
    }

    /// Adds the history file of a timeline, which recovery reads.
    fn attach_history(&mut self, timeline: Timeline) -> Result<()> {
        let name = timeline.history_name();
        let path = self.archive.path().join(&name);
        let mut attach = || -> Result<()> {
            let size = std::fs::metadata(&path)?.len();
            self.link(&name, &path, Suffixes::NONE, size)
        };
        attach().with_context(|| format!("add the timeline history {name} to the backup"))
    }

    /// Links a file of the archive of `size` plain bytes, and reads all of it: a file that cannot
    /// be decoded fails the backup. Copies it if the archive is on another file system.
    fn link(&mut self, name: &str, path: &Path, suffixes: Suffixes, size: u64) -> Result<()> {
        let encrypts = self.staging.coding().encryption != Encryption::None;
        if encrypts && !suffixes.encrypted {
            // Archived before encryption was enabled, or a history file: an encrypted backup has no
            // plain files.
            return self.copy(name, path, suffixes, (size, size));
        }
        let file_name = path.file_name().unwrap_or_default();
        let stored_path = Path::new(BACKUP_WAL_DIRECTORY).join(file_name);
        let link = self.staging.path().join(&stored_path);
        match storage::hard_link(path, &link) {
            Ok(()) => {}
            Err(failure) if failure.kind() == ErrorKind::NotFound => return Err(failure),
            Err(_) => return self.copy(name, path, suffixes, (size, size)),
        }
        let mut source = self
            .archive
            .open(&link, suffixes, &self.context.daemon.key)?;
        let stored = source.stored();
        io::copy(&mut source, &mut io::sink())?;
        let digests = source.finish()?;
        if digests.plain_size != size {
            let found = digests.plain_size;
            let text = format!("it has {found} bytes, not {size}");
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        self.staging.add_wal(&ManifestFile {
            path: pg_wal_path(name),
            size: digests.plain_size,
            modified: modified(&link)?,
            mode: 0o600,
            stored_path,
            stored: Some(stored),
            stored_size: digests.stored_size,
            digests: digests.values,
            combined: None,
        })
    }

    /// Copies a segment that is not sealed yet. Of a partial one only the needed part is copied,
    /// and zeros follow, as in a segment that PostgreSQL has begun.
    fn copy_unsealed(&mut self, name: &str, file: &WalFile, end: Lsn) -> Result<()> {
        let size = self.archive.segment_size();
        let needed = if file.partial {
            end.since(file.segment.start(size)).min(size.bytes())
        } else {
            size.bytes()
        };
        self.copy(name, &file.path(), file.suffixes, (needed, size.bytes()))
    }

    /// Copies the first `needed` bytes of a file of the archive, and adds zeros up to `size`.
    fn copy(
        &mut self,
        name: &str,
        path: &Path,
        suffixes: Suffixes,
        (needed, size): (u64, u64),
    ) -> Result<()> {
        let input = self
            .archive
            .open(path, suffixes, &self.context.daemon.key)?;
        let coding = self.staging.coding().clone();
        let header = FileHeader {
            path: pg_wal_path(name),
            stored_path: format!("{BACKUP_WAL_DIRECTORY}/{name}{}", coding.stored().suffix())
                .into(),
            size,
            modified: modified(path)?,
            mode: 0o600,
        };
        let zeros = io::repeat(0).take(size - needed);
        let mut input = input.take(needed).chain(zeros);
        let (entry, digest) = self.staging.store(header, &mut input)?;
        self.staging.end_wal(entry, &digest)
    }
}

/// Fails for a partial segment with WAL of its timeline after it: the rest of it was lost, and
/// zeros are in its place. WAL must be flushed up to the end of the backup.
fn check_received(archive: &WalDirectory, segment: Segment) -> Result<()> {
    let is_partial = || -> Result<bool> {
        let file = archive.find(segment)?;
        Ok(file.is_some_and(|file| file.partial))
    };
    let comes_after =
        |other: Segment| other.timeline == segment.timeline && other.number > segment.number;
    // Checked again, since it may have been completed meanwhile.
    if is_partial()?
        && archive
            .segments()?
            .iter()
            .any(|file| comes_after(file.segment))
        && is_partial()?
    {
        let message = "the archive has only a part of it, the rest was lost during the backup";
        return Err(Error::new(ErrorKind::NotFound, message).with_hint("take the backup again"));
    }
    Ok(())
}

fn pg_wal_path(name: &str) -> PathBuf {
    Path::new("pg_wal").join(name)
}

/// When a file was modified, seconds since 1970 UTC.
fn modified(path: &Path) -> Result<i64> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).with_context(|| format!("stat {}", path.display()))?;
    Ok(metadata.mtime())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(timeline: u32, start: u64, end: u64) -> WalRange {
        WalRange {
            timeline: Timeline::new(timeline).unwrap(),
            start: Lsn(start),
            end: Lsn(end),
        }
    }

    fn names(ranges: &[WalRange]) -> Vec<String> {
        let needed = needed_segments(ranges, SegmentSize::DEFAULT).unwrap();
        needed
            .values()
            .map(|(segment, end)| format!("{}@{end}", segment.name(SegmentSize::DEFAULT)))
            .collect()
    }

    #[test]
    fn a_range_needs_the_segments_that_it_touches() {
        assert_eq!(
            names(&[range(1, 0xFF00_0028, 0x1_0100_0000)]),
            [
                "0000000100000000000000FF@1/0",
                "000000010000000100000000@1/1000000"
            ]
        );
        assert_eq!(
            names(&[range(1, 0x200_0028, 0x200_0100)]),
            ["000000010000000000000002@0/2000100"]
        );
    }

    #[test]
    fn after_a_timeline_switch_the_newer_timeline_is_used() {
        let switched = [
            range(2, 0x380_0000, 0x400_0100),
            range(1, 0x200_0028, 0x380_0000),
        ];
        let expected = [
            "000000010000000000000002@0/3000000",
            "000000020000000000000003@0/4000000",
            "000000020000000000000004@0/4000100",
        ];
        assert_eq!(names(&switched), expected);
        let [newer, older] = switched;
        assert_eq!(names(&[older, newer]), expected);
    }

    #[test]
    fn an_empty_range_is_an_error() {
        assert!(
            needed_segments(&[range(1, 0x200_0028, 0x200_0028)], SegmentSize::DEFAULT).is_err()
        );
    }
}
