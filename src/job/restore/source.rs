//! Reads what a restore writes: files of the backup and WAL segments, decoded and checked.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::choice::Choice;
use crate::codec::{DigestValues, Digests};
use crate::crypto::MasterKey;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::format::ReplacedFile;
use crate::job::context::ServerContext;
use crate::job::replay::{OpenedSegment, SegmentFile, Segments};
use crate::repository::{Backup, ManifestFile};
use crate::status::Progress;
use crate::sys::Stop;
use crate::unit::{Lsn, SegmentSize, first, read_some, to_u64, to_usize};

/// The maximum size of the buffer for decoded bytes.
const BUFFER: usize = 256 << 10;

/// The chosen backup and the WAL archive; used by all threads of a restore.
pub(super) struct Source {
    pub backup: Backup,
    pub key: Arc<MasterKey>,
    pub segments: Segments,
    pub progress: Arc<Progress>,
    pub stop: Stop,
    /// What was combined of increments and read, by the paths of their newest parts.
    combined: Mutex<BTreeMap<PathBuf, ReplacedFile>>,
}

/// Where decoded bytes go; an error ends the reading.
pub(super) type Output<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;

impl Source {
    /// Takes the backup and the WAL of `choice`.
    pub fn new(context: &ServerContext, choice: Choice, progress: &Arc<Progress>) -> Source {
        Source {
            backup: choice.backup,
            key: context.daemon.key.clone(),
            segments: choice.segments,
            progress: progress.clone(),
            stop: context.stop.clone(),
            combined: Mutex::default(),
        }
    }

    /// Passes the plain bytes of a file of the backup to `output`, then compares it with the
    /// manifest: what was passed counts only after that.
    pub fn copy_file(&self, file: &ManifestFile, output: &mut Output<'_>) -> Result<()> {
        let mut source = self.backup.open(file, &self.key)?;
        let mut buffer = vec![0; to_usize(file.size).clamp(8192, BUFFER)];
        loop {
            self.stop.check()?;
            let bytes = read_some(&mut source, &mut buffer)?;
            if bytes.is_empty() {
                break;
            }
            output(bytes)?;
            self.progress.advance(to_u64(bytes.len()));
        }
        let digests = source.finish()?;
        file.check(&digests)?;
        self.record_combined(file, &digests);
        Ok(())
    }

    fn record_combined(&self, file: &ManifestFile, digests: &Digests) {
        if let DigestValues::Sha512 {
            plain: Some(sha512),
            ..
        } = digests.values
            && file.combined.is_some()
        {
            let entry = ReplacedFile {
                path: file.path.clone(),
                size: file.size,
                sha512,
            };
            let part = file.own_part().path.clone();
            self.lock_combined().insert(part, entry);
        }
    }

    /// The files that were combined and read, by the paths of their newest parts.
    pub fn combined_files(&self) -> BTreeMap<PathBuf, ReplacedFile> {
        self.lock_combined().clone()
    }

    fn lock_combined(&self) -> MutexGuard<'_, BTreeMap<PathBuf, ReplacedFile>> {
        // Each change is one insertion, so a poisoned map is consistent.
        self.combined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes the WAL of a segment up to `end` to `output`. All of the segment is read, to detect
    /// damage, but after the end of recovery there must be no WAL: the rest is for the caller to
    /// fill with zeros.
    pub fn copy_segment(
        &self,
        (file, end): (SegmentFile, Lsn),
        output: &mut Output<'_>,
    ) -> Result<()> {
        let size = self.segments.size();
        let mut opened = self.open_segment(file)?;
        let mut buffer = vec![0; BUFFER];
        let mut left = end.since(file.segment.start(size)).min(size.bytes());
        loop {
            self.stop.check()?;
            let bytes = read_some(&mut opened.source, &mut buffer)?;
            if bytes.is_empty() {
                break;
            }
            let bytes = first(bytes, bytes.len().min(to_usize(left)));
            output(bytes)?;
            let count = to_u64(bytes.len());
            left -= count;
            self.progress.advance(count);
        }
        check_segment(&opened.finish()?, size)
    }

    /// The content of a small file, checked.
    pub fn content(&self, file: &ManifestFile) -> Result<Vec<u8>> {
        let content = self.backup.content(file, &self.key)?;
        self.progress.advance(file.size);
        Ok(content)
    }

    /// Reads a file of the backup and compares it with the manifest.
    pub fn check(&self, file: &ManifestFile) -> Result<()> {
        let mut source = self.backup.open(file, &self.key)?;
        io::copy(&mut source, &mut io::sink())?;
        file.check(&source.finish()?)
    }

    /// Reads all of a segment.
    pub fn check_segment(&self, file: SegmentFile) -> Result<()> {
        let size = self.segments.size();
        let read = || {
            let mut opened = self.open_segment(file)?;
            io::copy(&mut opened.source, &mut io::sink())?;
            check_segment(&opened.finish()?, size)
        };
        read().with_context(|| format!("restore WAL segment {}", file.segment.name(size)))
    }

    fn open_segment(&self, file: SegmentFile) -> Result<OpenedSegment> {
        let opened = self.segments.open(file)?;
        let gone = || {
            Error::new(
                ErrorKind::NotFound,
                "it no longer exists in the WAL archive",
            )
        };
        opened.ok_or_else(gone)
    }
}

/// Checks the size of a segment.
fn check_segment(found: &Digests, size: SegmentSize) -> Result<()> {
    if found.plain_size == size.bytes() {
        return Ok(());
    }
    let message = format!("it has {} bytes", found.plain_size);
    Err(Error::new(ErrorKind::Corrupt, message))
}
