//! The WAL segment that is being received.

mod compare;
mod files;
mod prove;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use self::files::{adopt, check_absent, exists, hidden_name, new_file, partial_name};
use super::regular::open_to_change;
use super::{Durable, Spare, sync_directory};
use crate::error::{Context, Failure, Kind, Result};
use crate::sys::FileIdentity;
use crate::unit::{Lsn, Segment, SegmentSize};

pub use self::files::{nothing_durable, prove_end, written_length};

/// How much of an open segment is asked for again after a broken connection, at most: enough to notice a server whose
/// WAL is not the one that we have, and little enough to get on over a bad line with segments of 1 GiB.
const OVERLAP: u64 = 256 << 10;

/// The open segment, `<name>.partial`: preallocated with zeros, plain, written from its start to its end. Bytes that are
/// there already are only ever written again with the same content.
///
/// After a sync that failed nobody knows which of the bytes since the last good sync are on disk, and the kernel may take
/// them for clean. Such a file takes and proves nothing more; [`SegmentFile::start_over`] goes on in a new one.
#[derive(Debug)]
pub struct SegmentFile {
    file: File,
    /// Which file that is.
    identity: FileIdentity,
    /// Where it lies now.
    path: PathBuf,
    directory: PathBuf,
    segment: Segment,
    size: SegmentSize,
    /// Where the next byte goes.
    position: Lsn,
    /// After the last byte that was ever received of the segment: over all files of it, and over all restarts.
    received: Lsn,
    /// Up to here the bytes in `file` must not change.
    known: Lsn,
    /// Up to here a sync succeeded.
    durable: Lsn,
    /// Whether bytes were written since.
    dirty: bool,
    /// Whether a write or a sync failed.
    failed: bool,
    /// The partial file, while `file` is a hidden one that takes its place as soon as it has all that was received.
    old: Option<Old>,
}

/// The partial file that is to be replaced.
#[derive(Debug)]
struct Old {
    file: File,
    /// Up to here what the server sends must be what is in it.
    known: Lsn,
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
        let existing = open_to_change(&path);
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
        SegmentFile::new(file, directory, segment, size, received)
    }

    /// Goes on in a new file after a failed sync: a hidden one, to be received from the start of the segment, which takes
    /// the place of the partial one when it has all that was ever received of it. If this fails nothing has changed.
    pub fn start_over(&mut self) -> Result<()> {
        let path = self.directory.join(hidden_name(self.segment, self.size));
        let file = new_file(&self.directory, &path, self.size, None)?;
        self.identity = identity(&file, &path)?;
        self.path = path;
        let before = std::mem::replace(&mut self.file, file);
        let start = self.segment.start(self.size);
        let known = std::mem::replace(&mut self.known, start);
        // A hidden file that fails as well is given up; the partial one is still there.
        self.old.get_or_insert(Old {
            file: before,
            known,
        });
        (self.position, self.durable) = (start, start);
        (self.dirty, self.failed) = (false, false);
        Ok(())
    }

    fn new(
        file: File,
        directory: &Path,
        segment: Segment,
        size: SegmentSize,
        received: Lsn,
    ) -> Result<SegmentFile> {
        let start = segment.start(size);
        let path = directory.join(partial_name(segment, size));
        Ok(SegmentFile {
            identity: identity(&file, &path)?,
            file,
            path,
            directory: directory.to_owned(),
            segment,
            size,
            position: start,
            received,
            known: received,
            durable: start,
            dirty: false,
            failed: false,
            old: None,
        })
    }

    /// Which segment it is.
    pub fn segment(&self) -> Segment {
        self.segment
    }

    /// After the last byte that was ever received of it, proven or not.
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

    /// Leaves the segment as it is, partial, because its timeline ends in it or before it: one without a byte goes away,
    /// and so does a file that has not taken its place.
    pub fn leave(self) -> Result<()> {
        if self.old.is_some() {
            super::remove_file(&self.path)?;
        }
        if self.received > self.segment.start(self.size) {
            return Ok(());
        }
        super::remove_file(&self.partial_path())
    }

    /// Gets ready to receive again after a broken connection; from where, and up to where the bytes that are asked for
    /// again are proven already. Where the server `left` the timeline nothing behind counts: it is kept, and not received
    /// again.
    pub fn rewind(&mut self, left: Option<Lsn>) -> (Lsn, Lsn) {
        let start = self.segment.start(self.size);
        let end = left.map_or(self.durable, |left| self.durable.min(left));
        self.durable = end.max(start);
        self.position = start.max(Lsn(self.durable.0.saturating_sub(OVERLAP)));
        (self.position, self.durable)
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
            return Err(error).with_context(|| format!("write {}", self.path.display()));
        }
        self.dirty = true;
        self.position = at.advance(u64::try_from(length).unwrap_or(u64::MAX));
        self.received = self.received.max(self.position);
        self.known = self.known.max(self.position);
        Ok(length)
    }

    /// Brings all that was written to stable storage. The proof covers the whole segment up to its position; those before
    /// it are proven by their [`SegmentFile::complete`]. While a new file does not yet have all that was received into those
    /// before it, the proof is for the start of the segment only.
    pub fn sync(&mut self) -> Result<Durable<Lsn>> {
        self.check_usable()?;
        if let Err(error) = self.file.sync_data() {
            self.failed = true;
            return Err(error).with_context(|| format!("sync {}", self.path.display()));
        }
        self.dirty = false;
        self.check_there()?;
        if self.old.is_some() {
            if self.position < self.received {
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
            let message = format!("{} is not full", self.path.display());
            return Err(Failure::new(Kind::Internal, message));
        }
        self.file
            .sync_data()
            .with_context(|| format!("sync {}", self.path.display()))?;
        self.check_there()?;
        if self.old.is_some() {
            self.take_place()?;
        }
        let partial = self.partial_path();
        let path = self.directory.join(self.segment.name(self.size));
        check_absent(&path)?;
        std::fs::rename(&partial, &path)
            .with_context(|| format!("rename {} to {}", partial.display(), path.display()))?;
        let next = self.segment.next();
        let path = self.directory.join(partial_name(next, self.size));
        let file = match spare.filter(|spare| spare.size() == self.size) {
            // One that is there already may have bytes: it is opened, not replaced.
            Some(spare) if !exists(&path)? => Some(spare.become_file(&path)?),
            _ => None,
        };
        sync_directory(&self.directory)?;
        let start = next.start(self.size);
        let next = file.map(|file| SegmentFile::new(file, &self.directory, next, self.size, start));
        Ok((Durable::proven(start), next.transpose()?))
    }

    /// Renames the hidden file over the partial one, which it can replace now.
    fn take_place(&mut self) -> Result<()> {
        let path = self.partial_path();
        let renamed = std::fs::rename(&self.path, &path)
            .with_context(|| format!("rename {} to {}", self.path.display(), path.display()));
        if let Err(failure) = renamed.and_then(|()| sync_directory(&self.directory)) {
            self.failed = true;
            return Err(failure);
        }
        self.path = path;
        self.old = None;
        Ok(())
    }

    fn partial_path(&self) -> PathBuf {
        self.directory.join(partial_name(self.segment, self.size))
    }

    fn check_usable(&self) -> Result<()> {
        if self.failed {
            let message = format!("{} could not be written before", self.path.display());
            return Err(Failure::new(Kind::Io, message));
        }
        Ok(())
    }
}

fn identity(file: &File, path: &Path) -> Result<FileIdentity> {
    FileIdentity::of(file).with_context(|| format!("look at {}", path.display()))
}

#[cfg(test)]
mod tests;
