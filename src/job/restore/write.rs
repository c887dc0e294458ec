//! Writes the planned files. Every file is checked while it is written.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use crate::codec::{DigestValues, Digests};
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::ReplacedFile;
use crate::job::replay::{OpenedSegment, SegmentFile, Segments};
use crate::repository::{Backup, ManifestFile};
use crate::status::Progress;
use crate::storage::StagedFile;
use crate::sys::Stop;
use crate::unit::{Lsn, SegmentSize, first, read_some, to_u64, to_usize};

/// The maximum size of the buffer for decoded bytes.
const BUFFER: usize = 256 << 10;

/// One file to write.
pub(super) struct FileTask {
    kind: TaskKind,
    path: PathBuf,
    /// Whether the file was created, even if it is incomplete.
    created: AtomicBool,
    /// The SHA-512 of what was written, if the file was combined.
    sha512: OnceLock<[u8; 64]>,
}

enum TaskKind {
    /// A file of the backup.
    File(ManifestFile),
    /// A WAL segment, which is filled with zeros after this position.
    Wal(SegmentFile, Lsn),
}

/// The tasks of a restore and what they share; used by all threads.
pub(super) struct Writer {
    pub tasks: Vec<FileTask>,
    pub backup: Backup,
    pub key: Arc<MasterKey>,
    pub segments: Segments,
    pub progress: Arc<Progress>,
    pub stop: Stop,
}

impl FileTask {
    /// A file of the backup, to be written to `path`.
    pub fn file(file: ManifestFile, path: PathBuf) -> FileTask {
        FileTask {
            kind: TaskKind::File(file),
            path,
            created: AtomicBool::new(false),
            sha512: OnceLock::new(),
        }
    }

    /// A WAL segment, to be written to `path`, with zeros after `end`.
    pub fn wal(file: SegmentFile, path: PathBuf, end: Lsn) -> FileTask {
        FileTask {
            kind: TaskKind::Wal(file, end),
            path,
            created: AtomicBool::new(false),
            sha512: OnceLock::new(),
        }
    }

    /// The size of the file in bytes; `segment` is that of a WAL segment.
    pub fn size(&self, segment: u64) -> u64 {
        match &self.kind {
            TaskKind::File(file) => file.size,
            TaskKind::Wal(..) => segment,
        }
    }

    fn create(&self, mode: u32) -> Result<StagedFile> {
        let file = StagedFile::create(&self.path, mode)?;
        self.created.store(true, Ordering::Relaxed);
        Ok(file)
    }
}

impl Writer {
    /// Runs a task by its index; fails if `cancelled` is set.
    pub fn write(&self, index: usize, cancelled: &AtomicBool) -> Result<()> {
        let check_cancelled = || {
            self.stop.check()?;
            if cancelled.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Stopped, "another file failed"));
            }
            Ok(())
        };
        let Some(task) = self.tasks.get(index) else {
            return Ok(());
        };
        match &task.kind {
            TaskKind::File(file) => self
                .write_backup_file(task, file, &check_cancelled)
                .with_context(|| format!("restore {}", file.path.display())),
            TaskKind::Wal(stored, end) => {
                let name = stored.segment.name(self.segments.size());
                self.write_segment(task, (*stored, *end), &check_cancelled)
                    .with_context(|| format!("restore WAL segment {name}"))
            }
        }
    }

    /// The paths of the files that were created, complete or not.
    pub fn created_files(&self) -> impl Iterator<Item = &Path> {
        let created = |task: &&FileTask| task.created.load(Ordering::Relaxed);
        self.tasks
            .iter()
            .filter(created)
            .map(|task| task.path.as_path())
    }

    /// The files of the backup among the tasks.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.tasks.iter().filter_map(|task| match &task.kind {
            TaskKind::File(file) => Some(file),
            TaskKind::Wal(..) => None,
        })
    }

    /// The files that were combined and written, by the paths of their newest parts.
    pub fn combined_files(&self) -> BTreeMap<PathBuf, ReplacedFile> {
        let files = self.tasks.iter().filter_map(|task| match &task.kind {
            TaskKind::File(file) => {
                let entry = ReplacedFile {
                    path: file.path.clone(),
                    size: file.size,
                    sha512: *task.sha512.get()?,
                };
                Some((file.own_part().path.clone(), entry))
            }
            TaskKind::Wal(..) => None,
        });
        files.collect()
    }

    /// Reads a file of the backup and compares it with the manifest.
    pub fn check(&self, file: &ManifestFile) -> Result<()> {
        let mut source = self.backup.open(file, &self.key)?;
        std::io::copy(&mut source, &mut std::io::sink())?;
        file.check(&source.finish()?)
    }

    /// Reads all of the segment in which recovery ends: it was read up to that position only.
    pub fn check_last_segment(&self) -> Result<()> {
        let wal = self.tasks.iter().filter_map(|task| match &task.kind {
            TaskKind::File(_) => None,
            TaskKind::Wal(file, _) => Some(*file),
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

    fn write_backup_file(
        &self,
        task: &FileTask,
        file: &ManifestFile,
        check_cancelled: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let path = &task.path;
        let mut source = self.backup.open(file, &self.key)?;
        let mut output = task.create(file.mode)?;
        let mut buffer = vec![0; buffer_size(file.size)];
        loop {
            check_cancelled()?;
            let bytes = read_some(&mut source, &mut buffer)?;
            if bytes.is_empty() {
                break;
            }
            write(&mut output, path, bytes)?;
            self.progress.advance(to_u64(bytes.len()));
        }
        let digests = source.finish()?;
        file.check(&digests)?;
        if let (
            Some(_),
            DigestValues::Sha512 {
                plain: Some(plain), ..
            },
        ) = (&file.combined, digests.values)
        {
            task.sha512.get_or_init(|| plain);
        }
        set_attributes(&output, file)
            .with_context(|| format!("set the times of {}", path.display()))?;
        output.close()
    }

    /// The content of a small file, checked.
    pub fn content(&self, file: &ManifestFile) -> Result<Vec<u8>> {
        let content = self.backup.content(file, &self.key)?;
        self.progress.advance(file.size);
        Ok(content)
    }

    fn write_segment(
        &self,
        task: &FileTask,
        (stored, end): (SegmentFile, Lsn),
        check_cancelled: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let size = self.segments.size();
        let mut opened = self.open_segment(stored)?;
        let path = &task.path;
        let mut output = task.create(0o600)?;
        let mut buffer = vec![0; BUFFER];
        let mut left = end.since(stored.segment.start(size)).min(size.bytes());
        loop {
            check_cancelled()?;
            let bytes = read_some(&mut opened.source, &mut buffer)?;
            if bytes.is_empty() {
                break;
            }
            // All of it is read, to detect damage, but after the end of recovery there must be no
            // WAL.
            let bytes = first(bytes, bytes.len().min(to_usize(left)));
            write(&mut output, path, bytes)?;
            let count = to_u64(bytes.len());
            left -= count;
            self.progress.advance(count);
        }
        check_segment(&opened.finish()?, size)?;
        let file = output.file();
        file.set_len(size.bytes())
            .with_context(|| format!("write {}", path.display()))?;
        output.close()
    }
}

/// Writes the content of a small file and closes it.
pub(super) fn write_file(mut file: StagedFile, path: &Path, content: &[u8]) -> Result<()> {
    write(&mut file, path, content)?;
    file.close()
}

fn write(file: &mut StagedFile, path: &Path, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes)
        .with_context(|| format!("write {}", path.display()))
}

fn buffer_size(size: u64) -> usize {
    to_usize(size).clamp(8192, BUFFER)
}

/// Checks the size of a segment.
fn check_segment(found: &Digests, size: SegmentSize) -> Result<()> {
    if found.plain_size == size.bytes() {
        return Ok(());
    }
    let message = format!("it has {} bytes", found.plain_size);
    Err(Error::new(ErrorKind::Corrupt, message))
}

/// Sets the permission bits, independent of the umask, and the modification time.
fn set_attributes(output: &StagedFile, file: &ManifestFile) -> std::io::Result<()> {
    let opened = output.file();
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
