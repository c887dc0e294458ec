//! Writes what was planned. Every file is checked while it is written.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::codec::{Digests, Source};
use crate::crypto::MasterKey;
use crate::error::{Context, Failure, Kind, Result};
use crate::job::replay::{Segments, WayFile, stored_as};
use crate::repository::{Backup, ManifestFile};
use crate::status::Progress;
use crate::storage::StagedFile;
use crate::sys::Stop;
use crate::unit::Lsn;

/// How many bytes are decoded before they are written.
const BUFFER: usize = 256 << 10;

/// The longest `postgresql.auto.conf` that is edited.
const LONGEST_CONF: u64 = 16 << 20;

/// One piece of work.
pub(super) enum Piece {
    /// A file of the backup, and where it goes.
    File(ManifestFile, PathBuf),
    /// A WAL segment, and where it goes; behind this position zeros are written.
    Wal(WayFile, PathBuf, Lsn),
}

/// What all pieces need.
pub(super) struct Writer {
    pub backup: Backup,
    pub key: Arc<MasterKey>,
    pub segments: Segments,
    pub progress: Arc<Progress>,
    pub stop: Stop,
}

impl Piece {
    /// How many bytes it writes.
    pub fn size(&self, segment: u64) -> u64 {
        match self {
            Piece::File(file, _) => file.size,
            Piece::Wal(..) => segment,
        }
    }
}

impl Writer {
    /// Does a piece of work; gives up when `cancelled`.
    pub fn write(&self, piece: &Piece, cancelled: &AtomicBool) -> Result<()> {
        let go_on = || {
            self.stop.check()?;
            if cancelled.load(Ordering::Relaxed) {
                return Err(Failure::new(Kind::Stopped, "another file failed"));
            }
            Ok(())
        };
        match piece {
            Piece::File(file, path) => self
                .file(file, path, &go_on)
                .with_context(|| format!("restore {}", file.path.display())),
            Piece::Wal(stored, path, end) => {
                let name = stored.segment.name(self.segments.size());
                self.wal(*stored, path, *end, &go_on)
                    .with_context(|| format!("restore WAL segment {name}"))
            }
        }
    }

    fn file(&self, file: &ManifestFile, path: &Path, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
        let mut source = self.open(file)?;
        let mut target = StagedFile::create(path, file.mode)?;
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
        check(file, &source.finish()?)?;
        set_attributes(&target, file)
            .with_context(|| format!("set the times of {}", path.display()))
    }

    /// The content of a small file, checked.
    pub fn content(&self, file: &ManifestFile) -> Result<Vec<u8>> {
        let doing = || format!("restore {}", file.path.display());
        let mut source = self.open(file).with_context(doing)?;
        let mut content = Vec::new();
        let mut limited = (&mut source).take(LONGEST_CONF);
        limited.read_to_end(&mut content).with_context(doing)?;
        let digests = source.finish().with_context(doing)?;
        check(file, &digests).with_context(doing)?;
        self.progress.advance(file.size);
        Ok(content)
    }

    fn open(&self, file: &ManifestFile) -> Result<Source> {
        let path = self.backup.path.join(&file.stored_path);
        let stored = stored_as(file, self.backup.info.encryption);
        Source::open(&path, stored, Some(self.key.clone()))
    }

    fn wal(
        &self,
        stored: WayFile,
        path: &Path,
        end: Lsn,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let size = self.segments.size();
        let opened = self.segments.open(stored)?;
        let mut source = opened
            .ok_or_else(|| Failure::new(Kind::NotFound, "it is gone from the WAL archive"))?
            .source;
        let mut target = StagedFile::create(path, 0o600)?;
        let mut buffer = vec![0; BUFFER];
        let mut left = end.since(stored.segment.start(size)).min(size.bytes());
        loop {
            go_on()?;
            let count = source.read(&mut buffer)?;
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
        let digests = source.finish()?;
        if digests.plain_size != size.bytes() || left > 0 {
            let message = format!("it has {} bytes", digests.plain_size);
            return Err(Failure::new(Kind::Corrupt, message));
        }
        let file = target.file();
        file.set_len(size.bytes())
            .with_context(|| format!("write {}", path.display()))
    }
}

/// Writes a small file of its own.
pub(super) fn put(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let mut file = StagedFile::create(path, mode)?;
    write(&mut file, path, content)
}

fn write(file: &mut StagedFile, path: &Path, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes)
        .with_context(|| format!("write {}", path.display()))
}

fn buffer_for(size: u64) -> usize {
    usize::try_from(size).unwrap_or(BUFFER).clamp(8192, BUFFER)
}

/// Compares what was read with what the manifest says.
pub(super) fn check(file: &ManifestFile, found: &Digests) -> Result<()> {
    let what = if found.stored_size != file.stored_size {
        "its stored size"
    } else if found.sha256 != file.sha256 {
        "the SHA-256 of its stored bytes"
    } else if found.plain_size != file.size {
        "its size"
    } else if found.blake3 != file.blake3 {
        "its BLAKE3"
    } else if found.crc32c != file.crc32c {
        "its CRC-32C"
    } else {
        return Ok(());
    };
    let stored = file.stored_path.display();
    let message = format!("{what} is not the one in the manifest ({stored} was changed)");
    Err(Failure::new(Kind::Corrupt, message)
        .hint("`pgmoneta-cli verify` names every bad file; choose another backup"))
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
