//! Writes what was planned. Every file is checked while it is written.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::codec::Digests;
use crate::crypto::MasterKey;
use crate::error::{Context, Failure, Kind, Result};
use crate::job::replay::{Opened, Segments, WayFile};
use crate::repository::{Backup, ManifestFile};
use crate::status::Progress;
use crate::storage::StagedFile;
use crate::sys::Stop;
use crate::unit::{Lsn, SegmentSize};

/// How many bytes are decoded before they are written.
const BUFFER: usize = 256 << 10;

/// One file to be written.
pub(super) struct Piece {
    what: What,
    path: PathBuf,
    /// Whether the file at the path was made.
    made: AtomicBool,
}

enum What {
    /// A file of the backup.
    File(ManifestFile),
    /// A WAL segment; behind this position zeros are written.
    Wal(WayFile, Lsn),
}

/// What all pieces need, and they themselves.
pub(super) struct Writer {
    pub pieces: Vec<Piece>,
    pub backup: Backup,
    pub key: Arc<MasterKey>,
    pub segments: Segments,
    pub progress: Arc<Progress>,
    pub stop: Stop,
}

impl Piece {
    /// A file of the backup, to be written to `path`.
    pub fn file(file: ManifestFile, path: PathBuf) -> Piece {
        Piece {
            what: What::File(file),
            path,
            made: AtomicBool::new(false),
        }
    }

    /// A WAL segment, to be written to `path`; behind `end` it has zeros.
    pub fn wal(file: WayFile, path: PathBuf, end: Lsn) -> Piece {
        Piece {
            what: What::Wal(file, end),
            path,
            made: AtomicBool::new(false),
        }
    }

    /// How many bytes it writes.
    pub fn size(&self, segment: u64) -> u64 {
        match &self.what {
            What::File(file) => file.size,
            What::Wal(..) => segment,
        }
    }

    fn create(&self, mode: u32) -> Result<StagedFile> {
        let file = StagedFile::create(&self.path, mode)?;
        self.made.store(true, Ordering::Relaxed);
        Ok(file)
    }
}

impl Writer {
    /// Does a piece of work; gives up when `cancelled`.
    pub fn write(&self, index: usize, cancelled: &AtomicBool) -> Result<()> {
        let go_on = || {
            self.stop.check()?;
            if cancelled.load(Ordering::Relaxed) {
                return Err(Failure::new(Kind::Stopped, "another file failed"));
            }
            Ok(())
        };
        let Some(piece) = self.pieces.get(index) else {
            return Ok(());
        };
        match &piece.what {
            What::File(file) => self
                .file(piece, file, &go_on)
                .with_context(|| format!("restore {}", file.path.display())),
            What::Wal(stored, end) => {
                let name = stored.segment.name(self.segments.size());
                self.wal(piece, (*stored, *end), &go_on)
                    .with_context(|| format!("restore WAL segment {name}"))
            }
        }
    }

    /// The files that were made, complete or not.
    pub fn written(&self) -> impl Iterator<Item = &Path> {
        let made = |piece: &&Piece| piece.made.load(Ordering::Relaxed);
        self.pieces
            .iter()
            .filter(made)
            .map(|piece| piece.path.as_path())
    }

    /// The files of the backup that are written.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.pieces.iter().filter_map(|piece| match &piece.what {
            What::File(file) => Some(file),
            What::Wal(..) => None,
        })
    }

    /// Reads a file of the backup and compares it with the manifest.
    pub fn check(&self, file: &ManifestFile) -> Result<()> {
        let mut source = self.backup.open(file, &self.key)?;
        std::io::copy(&mut source, &mut std::io::sink())?;
        file.check(&source.finish()?)
    }

    /// Reads the segment in which recovery ends to its end: so far it was read up to there.
    pub fn check_last_segment(&self) -> Result<()> {
        let wal = self.pieces.iter().filter_map(|piece| match &piece.what {
            What::File(_) => None,
            What::Wal(file, _) => Some(*file),
        });
        let Some(last) = wal.max_by_key(|file| file.segment.number) else {
            return Ok(());
        };
        let size = self.segments.size();
        let read = || {
            let mut opened = self.open_segment(last)?;
            std::io::copy(&mut opened.source, &mut std::io::sink())?;
            check_segment(&opened.finish()?, size)
        };
        read().with_context(|| format!("restore WAL segment {}", last.segment.name(size)))
    }

    fn open_segment(&self, file: WayFile) -> Result<Opened> {
        let opened = self.segments.open(file)?;
        let gone = || Failure::new(Kind::NotFound, "it is gone from the WAL archive");
        opened.ok_or_else(gone)
    }

    fn file(
        &self,
        piece: &Piece,
        file: &ManifestFile,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let path = &piece.path;
        let mut source = self.backup.open(file, &self.key)?;
        let mut target = piece.create(file.mode)?;
        let mut buffer = vec![0; buffer_for(file.size)];
        loop {
            go_on()?;
            let count = source.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            write(&mut target, path, bytes)?;
            self.progress.advance(u64::try_from(count).unwrap_or(0));
        }
        file.check(&source.finish()?)?;
        set_attributes(&target, file)
            .with_context(|| format!("set the times of {}", path.display()))?;
        target.close()
    }

    /// The content of a small file, checked.
    pub fn content(&self, file: &ManifestFile) -> Result<Vec<u8>> {
        let content = self.backup.content(file, &self.key)?;
        self.progress.advance(file.size);
        Ok(content)
    }

    fn wal(
        &self,
        piece: &Piece,
        (stored, end): (WayFile, Lsn),
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let size = self.segments.size();
        let mut opened = self.open_segment(stored)?;
        let path = &piece.path;
        let mut target = piece.create(0o600)?;
        let mut buffer = vec![0; BUFFER];
        let mut left = end.since(stored.segment.start(size)).min(size.bytes());
        loop {
            go_on()?;
            let count = opened.source.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            // All of it is read, so that damage is seen, but behind the end of recovery nothing may stand.
            let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
            write(&mut target, path, buffer.get(..count).unwrap_or_default())?;
            let count = u64::try_from(count).unwrap_or(0);
            left -= count;
            self.progress.advance(count);
        }
        check_segment(&opened.finish()?, size)?;
        let file = target.file();
        file.set_len(size.bytes())
            .with_context(|| format!("write {}", path.display()))?;
        target.close()
    }
}

/// Writes all of a small file.
pub(super) fn put(mut file: StagedFile, path: &Path, content: &[u8]) -> Result<()> {
    write(&mut file, path, content)?;
    file.close()
}

fn write(file: &mut StagedFile, path: &Path, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes)
        .with_context(|| format!("write {}", path.display()))
}

fn buffer_for(size: u64) -> usize {
    usize::try_from(size).unwrap_or(BUFFER).clamp(8192, BUFFER)
}

/// Whether a segment has the bytes of one.
fn check_segment(found: &Digests, size: SegmentSize) -> Result<()> {
    if found.plain_size == size.bytes() {
        return Ok(());
    }
    let message = format!("it has {} bytes", found.plain_size);
    Err(Failure::new(Kind::Corrupt, message))
}

/// Sets the permission bits, whatever the umask is, and the time.
fn set_attributes(target: &StagedFile, file: &ManifestFile) -> std::io::Result<()> {
    let opened = target.file();
    if file.mode & 0o7777 & !0o600 != 0 {
        opened.set_permissions(std::fs::Permissions::from_mode(file.mode & 0o7777))?;
    }
    let seconds = Duration::from_secs(file.modified.unsigned_abs());
    let modified = if file.modified >= 0 {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    };
    modified.map_or(Ok(()), |modified| opened.set_modified(modified))
}
