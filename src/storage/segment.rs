//! The WAL segment that is being received.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::spare::fill_zeros;
use super::{Durable, Spare, sync_directory};
use crate::error::{Context, Failure, Kind, Result};
use crate::unit::{Lsn, Segment, SegmentSize};

/// How much of an open segment is asked for again after a broken connection, at most: enough to notice a server whose
/// WAL is not the one that we have, and little enough to get on over a bad line with segments of 1 GiB.
const OVERLAP: u64 = 16 << 20;

/// How many bytes are looked at in one step for the end of what was received.
const BLOCK: u64 = 64 << 10;

/// The open segment, `<name>.partial`: preallocated with zeros, plain, written from its start to its end. Bytes that are
/// there already are only ever written again with the same content.
///
/// After a sync that failed nobody knows which of the bytes since the last good sync are on disk, and the kernel may take
/// them for clean. Such a file takes and proves nothing more; [`SegmentFile::start_over`] goes on in a new one.
#[derive(Debug)]
pub struct SegmentFile {
    file: File,
    directory: PathBuf,
    segment: Segment,
    size: SegmentSize,
    /// Where the next byte goes.
    position: Lsn,
    /// After the last byte that is there; those before it must not change.
    received: Lsn,
    /// Up to here a sync succeeded.
    durable: Lsn,
    /// Whether bytes were written since.
    dirty: bool,
    /// Whether a write or a sync failed.
    failed: bool,
    /// The hidden file that takes the place of the partial one when it has all that was proven there, up to this
    /// position.
    replaces: Option<Lsn>,
}

impl SegmentFile {
    /// Opens `segment` in `directory`. One that is there already is kept, to be received again from its start; else
    /// `spare` becomes it, or a new file. Afterwards its name is durable.
    pub fn open(
        directory: &Path,
        segment: Segment,
        size: SegmentSize,
        spare: Option<Spare>,
    ) -> Result<SegmentFile> {
        let path = directory.join(partial_name(segment, size));
        let existing = OpenOptions::new().read(true).write(true).open(&path);
        let (file, received) = match existing {
            Ok(file) => {
                let received = adopt(&file, &path, segment, size)?;
                (file, received)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = new_file(directory, &path, size, spare)?;
                (file, segment.start(size))
            }
            Err(error) => return Err(error).with_context(|| format!("open {}", path.display())),
        };
        sync_directory(directory)?;
        Ok(SegmentFile::new(file, directory, segment, size, received))
    }

    /// Opens the segment anew after a failed sync: in a hidden file, to be received from its start, which takes the place
    /// of the old one when it has all that the old one was proven to have.
    pub fn start_over(self) -> Result<SegmentFile> {
        let proven = self.replaces.unwrap_or(Lsn::ZERO).max(self.durable);
        let (directory, segment, size) = (self.directory.clone(), self.segment, self.size);
        drop(self);
        let path = directory.join(hidden_name(segment, size));
        let file = new_file(&directory, &path, size, None)?;
        let start = segment.start(size);
        let mut fresh = SegmentFile::new(file, &directory, segment, size, start);
        fresh.replaces = Some(proven);
        Ok(fresh)
    }

    fn new(
        file: File,
        directory: &Path,
        segment: Segment,
        size: SegmentSize,
        received: Lsn,
    ) -> SegmentFile {
        let start = segment.start(size);
        SegmentFile {
            file,
            directory: directory.to_owned(),
            segment,
            size,
            position: start,
            received,
            durable: start,
            dirty: false,
            failed: false,
            replaces: None,
        }
    }

    /// Which segment it is.
    pub fn segment(&self) -> Segment {
        self.segment
    }

    /// After the last byte that is there, proven or not.
    pub fn received(&self) -> Lsn {
        self.received
    }

    /// Where the next byte must go.
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// Whether bytes wait for a sync.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether the next byte belongs to the next segment.
    pub fn is_full(&self) -> bool {
        self.position >= self.segment.end(self.size)
    }

    /// Whether a write or a sync failed: see [`SegmentFile::start_over`].
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Leaves the segment as it is, partial, because its timeline ends in it or before it: one without a byte goes away.
    pub fn leave(self) -> Result<()> {
        if self.received > self.segment.start(self.size) {
            return Ok(());
        }
        super::remove_file(&self.path())
    }

    /// Gets ready to receive again after a broken connection; from where.
    pub fn rewind(&mut self) -> Lsn {
        let start = self.segment.start(self.size);
        self.position = start.max(Lsn(self.durable.0.saturating_sub(OVERLAP)));
        self.position
    }

    /// Writes `bytes`, the first of which belongs at `at`; how many of them belong to this segment. Bytes that are there
    /// already must be the same: other ones are [`Kind::Corrupt`] and are not written. A gap is [`Kind::Protocol`].
    pub fn append(&mut self, at: Lsn, bytes: &[u8]) -> Result<usize> {
        self.check_usable()?;
        if at != self.position {
            let expected = self.position;
            return Err(Failure::new(
                Kind::Protocol,
                format!("the server sent WAL from {at} on, not from {expected}"),
            ));
        }
        let room = self.segment.end(self.size).since(at);
        let length = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        let fitting = bytes.get(..length).unwrap_or(bytes);
        self.check_same(at, fitting)?;
        let offset = self.size.offset(at);
        if let Err(error) = self.file.write_all_at(fitting, offset) {
            self.failed = true;
            return Err(error).with_context(|| format!("write {}", self.path().display()));
        }
        self.dirty = true;
        self.position = at.advance(u64::try_from(length).unwrap_or(u64::MAX));
        self.received = self.received.max(self.position);
        Ok(length)
    }

    /// Brings all that was written to stable storage. The proof covers the whole segment up to its position; those before
    /// it are proven by their [`SegmentFile::complete`]. While a new file does not yet have all that the one before it had,
    /// the proof is for the start of the segment only.
    pub fn sync(&mut self) -> Result<Durable<Lsn>> {
        self.check_usable()?;
        if let Err(error) = self.file.sync_data() {
            self.failed = true;
            return Err(error).with_context(|| format!("sync {}", self.path().display()));
        }
        self.dirty = false;
        if let Some(proven) = self.replaces {
            if self.position < proven {
                return Ok(Durable::proven(self.segment.start(self.size)));
            }
            self.take_place()?;
        }
        self.durable = self.durable.max(self.position);
        Ok(Durable::proven(self.durable))
    }

    /// Ends a full segment: afterwards it has its final name, and the next one is there if there was a `spare` for it, both
    /// durably. The proof is for its end. Nothing more can be done with it then, nor if this fails.
    pub fn complete(
        &mut self,
        spare: Option<Spare>,
    ) -> Result<(Durable<Lsn>, Option<SegmentFile>)> {
        let result = self.finish(spare);
        self.failed |= result.is_err();
        result
    }

    fn finish(&mut self, spare: Option<Spare>) -> Result<(Durable<Lsn>, Option<SegmentFile>)> {
        self.check_usable()?;
        if !self.is_full() {
            let message = format!("{} is not full", self.path().display());
            return Err(Failure::new(Kind::Internal, message));
        }
        self.file
            .sync_data()
            .with_context(|| format!("sync {}", self.path().display()))?;
        if self.replaces.is_some() {
            self.take_place()?;
        }
        let partial = self.path();
        let path = self.directory.join(self.segment.name(self.size));
        std::fs::rename(&partial, &path)
            .with_context(|| format!("rename {} to {}", partial.display(), path.display()))?;
        let next = self.segment.next();
        let file = match spare.filter(|spare| spare.size() == self.size) {
            Some(spare) => {
                let path = self.directory.join(partial_name(next, self.size));
                Some(spare.become_file(&path)?)
            }
            None => None,
        };
        sync_directory(&self.directory)?;
        let start = next.start(self.size);
        let next = file.map(|file| SegmentFile::new(file, &self.directory, next, self.size, start));
        Ok((Durable::proven(start), next))
    }

    /// Renames the hidden file over the partial one, which it can replace now.
    fn take_place(&mut self) -> Result<()> {
        let (hidden, path) = (
            self.path(),
            self.directory.join(partial_name(self.segment, self.size)),
        );
        let renamed = std::fs::rename(&hidden, &path)
            .with_context(|| format!("rename {} to {}", hidden.display(), path.display()));
        if let Err(failure) = renamed.and_then(|()| sync_directory(&self.directory)) {
            self.failed = true;
            return Err(failure);
        }
        self.replaces = None;
        Ok(())
    }

    /// Where it lies now.
    fn path(&self) -> PathBuf {
        let name = match self.replaces {
            Some(_) => hidden_name(self.segment, self.size),
            None => partial_name(self.segment, self.size),
        };
        self.directory.join(name)
    }

    fn check_usable(&self) -> Result<()> {
        if self.failed {
            let message = format!("{} could not be written before", self.path().display());
            return Err(Failure::new(Kind::Io, message));
        }
        Ok(())
    }

    /// Compares `bytes` with those that are there. A byte that is zero there may be one that never reached the disk before
    /// a power cut; any other one was sent by a server.
    fn check_same(&self, at: Lsn, bytes: &[u8]) -> Result<()> {
        let known = usize::try_from(self.received.since(at)).unwrap_or(usize::MAX);
        let Some(bytes) = bytes
            .get(..known.min(bytes.len()))
            .filter(|b| !b.is_empty())
        else {
            return Ok(());
        };
        let mut there = vec![0; bytes.len()];
        self.file
            .read_exact_at(&mut there, self.size.offset(at))
            .with_context(|| format!("read {}", self.path().display()))?;
        if there == bytes {
            return Ok(());
        }
        let differs = |(old, new): (&u8, &u8)| *old != 0 && old != new;
        let Some(index) = there.iter().zip(bytes).position(differs) else {
            return Ok(());
        };
        let position = at.advance(u64::try_from(index).unwrap_or(0));
        let path = self.path();
        Err(Failure::new(
            Kind::Corrupt,
            format!(
                "the server's WAL differs at {position} from what it sent before ({} is kept)",
                path.display()
            ),
        )
        .hint(
            "the server went back to an older state without a new timeline, or another copy of the cluster took its \
             place; move the WAL archive away and take a new backup",
        ))
    }
}

/// Makes sure that an archive which ends with the complete segment at `last` is on stable storage up to `end`; an archive
/// without a segment begins at `end` and has nothing before it to lose.
pub fn prove_end(directory: &Path, last: Option<&Path>, end: Lsn) -> Result<Durable<Lsn>> {
    if let Some(path) = last {
        File::open(path)
            .and_then(|file| file.sync_all())
            .with_context(|| format!("sync {}", path.display()))?;
    }
    sync_directory(directory)?;
    Ok(Durable::proven(end))
}

/// The proof for nothing at all, which PostgreSQL reads as "no position": 0/0.
pub fn nothing_durable() -> Durable<Lsn> {
    Durable::proven(Lsn::ZERO)
}

/// After the last byte of a segment file that is not zero, as an offset: what was received of it at least.
pub fn written_length(file: &File) -> Result<u64> {
    let mut end = file.metadata().context("ask for the size")?.len();
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(1)];
    while end > 0 {
        let start = end.saturating_sub(1) / BLOCK * BLOCK;
        let length = usize::try_from(end - start).unwrap_or(block.len());
        let part = block.get_mut(..length).unwrap_or_default();
        file.read_exact_at(part, start).context("read")?;
        if let Some(last) = part.iter().rposition(|&byte| byte != 0) {
            return Ok(start + u64::try_from(last).unwrap_or(0) + 1);
        }
        end = start;
    }
    Ok(0)
}

/// `<24 digits>.partial`
fn partial_name(segment: Segment, size: SegmentSize) -> String {
    format!("{}.partial", segment.name(size))
}

/// The name of the file that will replace a partial one.
fn hidden_name(segment: Segment, size: SegmentSize) -> String {
    format!(".{}.partial.tmp", segment.name(size))
}

/// Takes over a partial segment that is there: gives it its full size; up to where it was received.
fn adopt(file: &File, path: &Path, segment: Segment, size: SegmentSize) -> Result<Lsn> {
    let doing = || format!("continue {}", path.display());
    let length = file.metadata().with_context(doing)?.len();
    if length > size.bytes() {
        let message = format!(
            "{} has {length} bytes, more than a segment of {}",
            path.display(),
            size.bytes()
        );
        return Err(Failure::new(Kind::Corrupt, message));
    }
    let written = written_length(file).with_context(doing)?;
    if length < size.bytes() {
        let mut at_end = file;
        at_end.seek(SeekFrom::Start(length)).with_context(doing)?;
        fill_zeros(&mut at_end, size.bytes() - length).with_context(doing)?;
        file.sync_all().with_context(doing)?;
    }
    Ok(segment.start(size).advance(written))
}

/// Makes the file `path` of zeros; its name is not durable yet.
fn new_file(
    directory: &Path,
    path: &Path,
    size: SegmentSize,
    spare: Option<Spare>,
) -> Result<File> {
    let spare = match spare.filter(|spare| spare.size() == size) {
        Some(spare) => spare,
        None => Spare::prepare(directory, size)?,
    };
    spare.become_file(path)
}

#[cfg(test)]
mod tests;
