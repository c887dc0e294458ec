//! The WAL that a backup needs to become consistent: kept with the backup, as hard links to what the archive holds.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::staging::{FileHead, StagedEntry, Staging};
use crate::codec::{CHUNK, Coding, Framer, PlainDigest, Stored, Suffixes};
use crate::config::Server;
use crate::error::{Context as _, Failure, Kind, Result};
use crate::format::{TimelineHistory, WalRange};
use crate::job::context::Context;
use crate::repository::{ManifestFile, WalDirectory, WalFile};
use crate::storage;
use crate::unit::{Encryption, Lsn, Segment, SegmentSize, Timeline};

/// How long WAL may take to arrive at least, whatever the configuration says, and its segments to be sealed: the server
/// sends the end of a backup at once, but the disk may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Refuses a backup that begins before what the archive has, before anything is transferred: a standby begins it at its
/// last restart point, which may lie before the WAL that its slot keeps for us.
pub(super) fn check_start(
    context: &Context,
    server: &Server,
    archive: &WalDirectory,
    (timeline, start): (Timeline, Lsn),
) -> Result<()> {
    let size = archive.segment_size();
    let needed = Segment::containing(timeline, start, size);
    // Asked first: what comes meanwhile is no reason to refuse.
    let flushed = context.board.receiver(&server.name).flushed;
    let files = archive.segments()?;
    let there = files
        .iter()
        .any(|file| file.segment.number == needed.number);
    if there || flushed <= needed.start(size) {
        return Ok(());
    }
    let message = format!(
        "the backup would begin at {start}, in the WAL segment {}, which is not in the archive: WAL is received from \
         later on",
        needed.name(size)
    );
    Err(Failure::new(Kind::NotFound, message).hint(
        "run CHECKPOINT on the primary, wait until the standby has replayed it, and take the backup again: it begins \
         later then",
    ))
}

/// Waits until the archive is durable up to the end of the backup. Fails when no WAL arrives any more, and when what
/// arrived is not the WAL of the backup.
pub(super) fn wait(
    context: &Context,
    server: &Server,
    archive: &WalDirectory,
    end: (Timeline, Lsn),
) -> Result<()> {
    wait_flushed(context, server, end)?;
    check_way(archive, context.board.receiver(&server.name).timeline, end)
}

fn wait_flushed(context: &Context, server: &Server, end: (Timeline, Lsn)) -> Result<()> {
    let timeout = context.config.blocking_timeout.duration().max(PATIENCE);
    loop {
        let before = context.board.receiver(&server.name).flushed;
        let waited = context
            .board
            .wait_flushed(&server.name, end, timeout, || context.stop.check());
        match waited {
            Err(failure) if failure.kind() == Kind::Timeout => {
                if context.board.receiver(&server.name).flushed <= before {
                    return Err(failure.context("wait for the WAL that the backup needs"));
                }
            }
            done => return done,
        }
    }
}

/// Fails unless the WAL that was received `on` a timeline comes after the end of the backup: a standby that was promoted
/// may not have got that far.
fn check_way(
    archive: &WalDirectory,
    on: Option<Timeline>,
    (timeline, end): (Timeline, Lsn),
) -> Result<()> {
    let Some(on) = on.filter(|on| *on != timeline) else {
        return Ok(());
    };
    let content = archive.history(on)?;
    let history = content.map(|content| TimelineHistory::parse(on, &content));
    let left = history.transpose()?.and_then(|way| way.end_of(timeline));
    if left >= Some(end) {
        return Ok(());
    }
    let left = left.map_or_else(String::new, |left| format!(", which left it at {left}"));
    let message = format!(
        "the backup ends at {end} on timeline {timeline}, and the server is on timeline {on} now{left}: the WAL that the \
         backup needs did not arrive"
    );
    Err(Failure::new(Kind::NotFound, message).hint("take the backup again"))
}

/// Keeps the WAL of `ranges` with the backup; the last of it ends at `end`. The name of the first segment.
pub(super) fn keep(
    context: &Context,
    archive: &WalDirectory,
    staging: &mut Staging,
    ranges: &[WalRange],
    patience: Patience,
) -> Result<String> {
    let size = archive.segment_size();
    let needed = segments(ranges, size)?;
    let first = needed.values().next().map(|(segment, _)| *segment);
    let deadline = Instant::now() + patience.duration();
    let mut keeper = Keeper {
        context,
        archive,
        staging,
    };
    for (segment, end) in needed.values() {
        keeper.segment(*segment, *end, deadline)?;
    }
    let newest = ranges.iter().map(|range| range.timeline).max();
    if let Some(timeline) = newest.filter(|timeline| *timeline > Timeline::FIRST) {
        keeper.history(timeline)?;
    }
    Ok(first.map(|segment| segment.name(size)).unwrap_or_default())
}

/// How long to wait for the last segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// A primary ends the segment with the backup.
    Primary,
    /// A standby cannot end it: it is full when the primary has filled it, which may take for ever.
    Standby,
}

impl Patience {
    fn duration(self) -> Duration {
        match self {
            Patience::Primary => PATIENCE,
            Patience::Standby => Duration::ZERO,
        }
    }
}

/// The segments of the ranges by number, each with the position up to which it is needed. Where a timeline switched
/// within a segment, the newer timeline's file begins with all that the older one holds.
fn segments(ranges: &[WalRange], size: SegmentSize) -> Result<BTreeMap<u64, (Segment, Lsn)>> {
    let mut needed: BTreeMap<u64, (Segment, Lsn)> = BTreeMap::new();
    for range in ranges {
        if range.end <= range.start {
            return Err(Failure::new(
                Kind::Corrupt,
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

struct Keeper<'a> {
    context: &'a Context,
    archive: &'a WalDirectory,
    staging: &'a mut Staging,
}

impl Keeper<'_> {
    /// Links a segment as soon as it is sealed; takes a copy if that does not happen in time.
    fn segment(&mut self, segment: Segment, end: Lsn, deadline: Instant) -> Result<()> {
        let name = segment.name(self.archive.segment_size());
        check_received(self.archive, segment)
            .with_context(|| format!("keep the WAL segment {name}"))?;
        loop {
            let missing = || {
                Failure::new(
                    Kind::NotFound,
                    format!("the backup needs the WAL segment {name}, which is not in the archive"),
                )
            };
            let file = self.archive.find(segment)?.ok_or_else(missing)?;
            let done = if self.is_sealed(&file) {
                self.link(
                    &name,
                    &file.path,
                    file.suffixes,
                    self.archive.segment_size().bytes(),
                )
            } else if Instant::now() >= deadline {
                self.copy_unsealed(&name, &file, end)
            } else {
                self.context.stop.pause(PAUSE)?;
                continue;
            };
            match done {
                // It was sealed between the look and the link.
                Err(failure) if failure.kind() == Kind::NotFound => {
                    self.context.stop.pause(PAUSE)?;
                }
                done => return done.with_context(|| format!("keep the WAL segment {name}")),
            }
        }
    }

    /// Whether nothing will take the place of the file any more.
    fn is_sealed(&self, file: &WalFile) -> bool {
        let coding = self.staging.coding().stored();
        !file.partial && (!file.is_plain() || coding == Stored::PLAIN)
    }

    /// The history file of a timeline, which recovery asks for.
    fn history(&mut self, timeline: Timeline) -> Result<()> {
        let name = timeline.history_name();
        let path = self.archive.path().join(&name);
        let mut keep = || -> Result<()> {
            let size = std::fs::metadata(&path)?.len();
            self.link(&name, &path, Suffixes::NONE, size)
        };
        keep().with_context(|| format!("keep the timeline history {name}"))
    }

    /// Links a file of the archive of `size` plain bytes, and reads it to its end: what cannot be decoded is no WAL to
    /// rely on. Where the archive is on another file system it is copied.
    fn link(&mut self, name: &str, path: &Path, suffixes: Suffixes, size: u64) -> Result<()> {
        let encrypts = self.staging.coding().encryption != Encryption::None;
        if encrypts && !suffixes.encrypted {
            // Archived before encryption was switched on, or a history file: nothing in an encrypted backup is plain.
            return self.copy(name, path, suffixes, (size, size));
        }
        let file_name = path.file_name().unwrap_or_default();
        let stored_path = Path::new("wal").join(file_name);
        let link = self.staging.path().join(&stored_path);
        match storage::hard_link(path, &link) {
            Ok(()) => {}
            Err(failure) if failure.kind() == Kind::NotFound => return Err(failure),
            Err(_) => return self.copy(name, path, suffixes, (size, size)),
        }
        let mut source = self.archive.open(&link, suffixes, &self.context.key)?;
        let stored = source.stored();
        io::copy(&mut source, &mut io::sink())?;
        let digests = source.finish()?;
        if digests.plain_size != size {
            let found = digests.plain_size;
            let text = format!("it has {found} bytes, not {size}");
            return Err(Failure::new(Kind::Corrupt, text));
        }
        self.staging.add_wal(&ManifestFile {
            path: logical(name),
            size: digests.plain_size,
            modified: modified(&link)?,
            mode: 0o600,
            crc32c: digests.crc32c,
            blake3: digests.blake3,
            stored_path,
            stored: Some(stored),
            stored_size: digests.stored_size,
            sha256: digests.sha256,
        })
    }

    /// Stores a segment that is not sealed as it is now. Of the open one what is needed is taken, and zeros behind that,
    /// as PostgreSQL has them in a segment that it has begun.
    fn copy_unsealed(&mut self, name: &str, file: &WalFile, end: Lsn) -> Result<()> {
        let size = self.archive.segment_size();
        let needed = if file.partial {
            end.since(file.segment.start(size)).min(size.bytes())
        } else {
            size.bytes()
        };
        self.copy(name, &file.path, file.suffixes, (needed, size.bytes()))
    }

    /// Stores the first `needed` bytes of a file of the archive, and zeros up to `size`.
    fn copy(
        &mut self,
        name: &str,
        path: &Path,
        suffixes: Suffixes,
        (needed, size): (u64, u64),
    ) -> Result<()> {
        let input = self.archive.open(path, suffixes, &self.context.key)?;
        let coding = self.staging.coding().clone();
        let head = FileHead {
            path: logical(name),
            stored_path: format!("wal/{name}{}", coding.stored().suffix()).into(),
            size,
            modified: modified(path)?,
            mode: 0o600,
        };
        let zeros = io::repeat(0).take(size - needed);
        let mut input = input.take(needed).chain(zeros);
        let (entry, digest) = store(self.staging, head, &mut input, &coding)?;
        self.staging.end_wal(entry, &digest)
    }
}

/// Fails for a partial segment with WAL of its timeline after it: what it lacks was lost, and there are zeros in place of
/// that. The archive must be durable up to the end of the backup.
fn check_received(archive: &WalDirectory, segment: Segment) -> Result<()> {
    let is_partial = || -> Result<bool> {
        let file = archive.find(segment)?;
        Ok(file.is_some_and(|file| file.partial))
    };
    let comes_after =
        |other: Segment| other.timeline == segment.timeline && other.number > segment.number;
    // Looked at again, since it may have been completed meanwhile.
    if is_partial()?
        && archive
            .segments()?
            .iter()
            .any(|file| comes_after(file.segment))
        && is_partial()?
    {
        let message =
            "the archive has it in part only, the rest was lost while the backup was taken";
        return Err(Failure::new(Kind::NotFound, message).hint("take the backup again"));
    }
    Ok(())
}

/// Stores a file in this thread; it is to be ended.
pub(super) fn store(
    staging: &Staging,
    head: FileHead,
    input: &mut dyn Read,
    coding: &Coding,
) -> Result<(StagedEntry, PlainDigest)> {
    let framer = Framer::new(coding);
    let mut digest = PlainDigest::new();
    let mut left = head.size;
    let mut entry = staging.begin(head)?;
    let (mut chunk, mut frame) = (vec![0; CHUNK], Vec::new());
    while left > 0 {
        let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        let plain = chunk.get_mut(..length).unwrap_or_default();
        input.read_exact(plain)?;
        digest.update(plain);
        framer.frame(plain, &mut frame)?;
        entry.write(&mut frame)?;
        left -= u64::try_from(length).unwrap_or(left);
    }
    Ok((entry, digest))
}

fn logical(name: &str) -> PathBuf {
    Path::new("pg_wal").join(name)
}

/// When a file was modified, seconds since 1970 UTC.
fn modified(path: &Path) -> Result<i64> {
    use std::os::unix::fs::MetadataExt;
    let metadata =
        std::fs::metadata(path).with_context(|| format!("look at {}", path.display()))?;
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
        let needed = segments(ranges, SegmentSize::DEFAULT).unwrap();
        needed
            .values()
            .map(|(segment, end)| format!("{}@{end}", segment.name(SegmentSize::DEFAULT)))
            .collect()
    }

    #[test]
    fn the_segments_of_a_range() {
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
    fn after_a_switch_the_newer_timeline_counts() {
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
    fn a_range_without_bytes_is_an_error() {
        assert!(segments(&[range(1, 0x200_0028, 0x200_0028)], SegmentSize::DEFAULT).is_err());
    }
}
