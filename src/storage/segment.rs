//! The WAL segment file that is being received.

mod accept_existing;
mod compare;
mod files;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use self::files::{
    check_absent, exists, extend_partial, hidden_name, new_file, partial_name, received_end,
};
use super::regular::open_for_update;
use super::{Durable, SpareSegment, sync_directory};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys::FileIdentity;
use crate::unit::{Lsn, Segment, SegmentSize, first, to_u64, to_usize};

pub use self::files::{no_durable_position, sync_archive_end, written_length};

/// How much of an open segment is requested again after a reconnect, at most: enough to detect a
/// server with different WAL, and little enough to make progress over an unstable connection with
/// segments of 1 GiB.
const RESEND_OVERLAP: u64 = 256 << 10;

/// The open segment, `<name>.partial`: preallocated with zeros, plain, written from its start to
/// its end. Existing bytes are only rewritten with the same content. On a disk without room for a
/// whole segment it grows as it is written.
///
/// After a failed sync it is unknown which bytes since the last successful one are on disk, and the
/// kernel may have marked the pages clean. The file is not used any more;
/// [`SegmentFile::start_over`] continues in a new one.
#[derive(Debug)]
pub struct SegmentFile {
    file: File,
    /// Device and inode of `file`.
    identity: FileIdentity,
    /// The current path of `file`.
    path: PathBuf,
    directory: PathBuf,
    segment: Segment,
    size: SegmentSize,
    /// The LSN of the next byte to write.
    position: Lsn,
    /// The end of what was ever received of the segment, over all its files and over restarts.
    received: Lsn,
    /// The server must send the same bytes as in `file` up to here.
    immutable_end: Lsn,
    /// The end of what was synced successfully.
    durable: Lsn,
    /// Whether bytes were written since the last sync.
    dirty: bool,
    /// Whether a write or a sync failed.
    failed: bool,
    /// The partial file, while `file` is a hidden one that will replace it once it has all that was
    /// received.
    replaced: Option<ReplacedFile>,
}

/// The partial file that a hidden one will replace.
#[derive(Debug)]
struct ReplacedFile {
    file: File,
    /// The server must send the same bytes as in it up to here.
    immutable_end: Lsn,
}

impl SegmentFile {
    /// Opens `segment` in `directory`. An existing file is kept, to be received again from its
    /// start; otherwise `spare` or a new file is used. Afterwards its name is durable.
    pub fn open(
        directory: &Path,
        segment: Segment,
        size: SegmentSize,
        spare: Option<SpareSegment>,
    ) -> Result<SegmentFile> {
        let path = directory.join(partial_name(segment, size));
        let (file, received) = match open_existing(&path, segment, size)? {
            Some((file, received)) => {
                extend_partial(&file, &path, size)?;
                (file, received)
            }
            None => {
                let file = new_file(directory, &path, size, spare)?;
                (file, segment.start(size))
            }
        };
        sync_directory(directory)?;
        SegmentFile::new(file, directory, segment, size, received)
    }

    /// As [`SegmentFile::open`], where there is no room for a whole segment: the file grows as it
    /// is written.
    pub fn open_growing(
        directory: &Path,
        segment: Segment,
        size: SegmentSize,
    ) -> Result<SegmentFile> {
        let path = directory.join(partial_name(segment, size));
        let (file, received) = match open_existing(&path, segment, size)? {
            Some(existing) => existing,
            None => {
                let file = SpareSegment::create_empty(directory, size)?.rename_to(&path)?;
                (file, segment.start(size))
            }
        };
        sync_directory(directory)?;
        SegmentFile::new(file, directory, segment, size, received)
    }

    /// Continues in a new hidden file after a failed sync. It is received from the start of the
    /// segment and replaces the partial file once it has all that was ever received. If this fails
    /// nothing has changed.
    pub fn start_over(&mut self) -> Result<()> {
        let path = self.directory.join(hidden_name(self.segment, self.size));
        let file = match new_file(&self.directory, &path, self.size, None) {
            Err(failure) if failure.kind() == ErrorKind::NoSpace => {
                SpareSegment::create_empty(&self.directory, self.size)?.rename_to(&path)?
            }
            made => made?,
        };
        self.identity = identity(&file, &path)?;
        self.path = path;
        let before = std::mem::replace(&mut self.file, file);
        let start = self.segment.start(self.size);
        let immutable_end = std::mem::replace(&mut self.immutable_end, start);
        // A hidden file that fails as well is abandoned; the partial one still exists.
        self.replaced.get_or_insert(ReplacedFile {
            file: before,
            immutable_end,
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
            immutable_end: received,
            durable: start,
            dirty: false,
            failed: false,
            replaced: None,
        })
    }

    /// Timeline and number of the segment.
    pub fn segment(&self) -> Segment {
        self.segment
    }

    /// The end of what was ever received of it, synced or not.
    pub fn received(&self) -> Lsn {
        self.received
    }

    /// The LSN that the next byte must have.
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// Whether bytes were written since the last sync.
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

    /// Keeps the segment partial because its timeline ends in it or before it. An empty one is
    /// removed, and so is a hidden file that has not replaced it.
    pub fn close_partial(self) -> Result<()> {
        if self.replaced.is_some() {
            super::remove_file(&self.path)?;
        }
        if self.received > self.segment.start(self.size) {
            return Ok(());
        }
        super::remove_file(&self.partial_path())
    }

    /// Closes the file after a failed write or sync. The partial one is kept, to be opened again as
    /// after a restart, and a hidden one that has not replaced it is removed.
    pub fn abandon(self) -> Result<()> {
        match self.replaced {
            Some(_) => super::remove_file(&self.path),
            None => Ok(()),
        }
    }

    /// Prepares to receive again after a reconnect. Returns the LSN to start from, and the LSN up
    /// to which the repeated bytes are durable already. If the server `left` the timeline, bytes
    /// after that LSN are kept, but not received again.
    pub fn rewind(&mut self, left: Option<Lsn>) -> (Lsn, Lsn) {
        let start = self.segment.start(self.size);
        let end = left.map_or(self.durable, |left| self.durable.min(left));
        self.durable = end.max(start);
        self.position = start.max(Lsn(self.durable.0.saturating_sub(RESEND_OVERLAP)));
        (self.position, self.durable)
    }

    /// Writes `bytes` at `at` and returns how many of them belong to this segment. Different bytes
    /// than the existing ones are [`ErrorKind::Corrupt`] and are not written. A gap is
    /// [`ErrorKind::Protocol`].
    pub fn append(&mut self, at: Lsn, bytes: &[u8]) -> Result<usize> {
        self.check_usable()?;
        if at != self.position {
            let expected = self.position;
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the server sent WAL from {at} on, not from {expected}"),
            ));
        }
        let room = self.segment.end(self.size).since(at);
        let length = to_usize(room).min(bytes.len());
        let fitting = first(bytes, length);
        self.check_matches(at, fitting)?;
        let offset = self.size.offset(at);
        if let Err(error) = self.file.write_all_at(fitting, offset) {
            self.failed = true;
            return Err(error).with_context(|| format!("write {}", self.path.display()));
        }
        self.dirty = true;
        self.position = at.advance(to_u64(length));
        self.received = self.received.max(self.position);
        self.immutable_end = self.immutable_end.max(self.position);
        Ok(length)
    }

    /// Syncs all that was written. The result covers this segment up to its position; earlier ones
    /// are durable by their [`SegmentFile::complete`]. While a new file does not have all that was
    /// received yet, only the start of the segment is returned.
    pub fn sync(&mut self) -> Result<Durable<Lsn>> {
        self.check_usable()?;
        if let Err(error) = self.file.sync_data() {
            self.failed = true;
            return Err(error).with_context(|| format!("sync {}", self.path.display()));
        }
        self.dirty = false;
        self.check_not_replaced()?;
        if self.replaced.is_some() {
            if self.position < self.received {
                return Ok(Durable::after_sync(self.segment.start(self.size)));
            }
            self.replace_partial()?;
        }
        self.durable = self.durable.max(self.position);
        Ok(Durable::after_sync(self.durable))
    }

    /// Ends a full segment: it gets its final name, and the next one is created if there is a
    /// `spare`, both durably. The result is its end. The segment cannot be used afterwards, not
    /// even after an error.
    pub fn complete(
        &mut self,
        spare: Option<SpareSegment>,
    ) -> Result<(Durable<Lsn>, Option<SegmentFile>)> {
        let result = self.finish(spare);
        self.failed |= result.is_err();
        result
    }

    fn finish(
        &mut self,
        spare: Option<SpareSegment>,
    ) -> Result<(Durable<Lsn>, Option<SegmentFile>)> {
        self.check_usable()?;
        if !self.is_full() {
            let message = format!("{} is not full", self.path.display());
            return Err(Error::new(ErrorKind::Internal, message));
        }
        self.file
            .sync_data()
            .with_context(|| format!("sync {}", self.path.display()))?;
        self.check_not_replaced()?;
        if self.replaced.is_some() {
            self.replace_partial()?;
        }
        let partial = self.partial_path();
        let path = self.directory.join(self.segment.name(self.size));
        check_absent(&path)?;
        std::fs::rename(&partial, &path)
            .with_context(|| format!("rename {} to {}", partial.display(), path.display()))?;
        let next = self.segment.next();
        let path = self.directory.join(partial_name(next, self.size));
        let file = match spare.filter(|spare| spare.size() == self.size) {
            // An existing one may have bytes: it is opened, not replaced.
            Some(spare) if !exists(&path)? => Some(spare.rename_to(&path)?),
            _ => None,
        };
        sync_directory(&self.directory)?;
        let start = next.start(self.size);
        let next = file.map(|file| SegmentFile::new(file, &self.directory, next, self.size, start));
        Ok((Durable::after_sync(start), next.transpose()?))
    }

    /// Renames the hidden file over the partial one.
    fn replace_partial(&mut self) -> Result<()> {
        let path = self.partial_path();
        let renamed = std::fs::rename(&self.path, &path)
            .with_context(|| format!("rename {} to {}", self.path.display(), path.display()));
        if let Err(failure) = renamed.and_then(|()| sync_directory(&self.directory)) {
            self.failed = true;
            return Err(failure);
        }
        self.path = path;
        self.replaced = None;
        Ok(())
    }

    fn partial_path(&self) -> PathBuf {
        self.directory.join(partial_name(self.segment, self.size))
    }

    fn check_usable(&self) -> Result<()> {
        if self.failed {
            let message = format!("{} could not be written before", self.path.display());
            return Err(Error::new(ErrorKind::Io, message));
        }
        Ok(())
    }
}

/// Opens an existing partial file; returns it and the end of what was received.
fn open_existing(path: &Path, segment: Segment, size: SegmentSize) -> Result<Option<(File, Lsn)>> {
    match open_for_update(path) {
        Ok(file) => {
            let received = received_end(&file, path, segment, size)?;
            Ok(Some((file, received)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("open {}", path.display())),
    }
}

fn identity(file: &File, path: &Path) -> Result<FileIdentity> {
    FileIdentity::fstat(file).with_context(|| format!("look at {}", path.display()))
}

#[cfg(test)]
mod tests;
