//! Writes the planned files. Every file is checked while it is written.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::source::Source;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::job::replay::SegmentFile;
use crate::repository::ManifestFile;
use crate::storage::StagedFile;
use crate::unit::Lsn;

/// One file to write.
pub(super) struct FileTask {
    kind: TaskKind,
    path: PathBuf,
    /// Whether the file was created, even if it is incomplete.
    created: AtomicBool,
}

enum TaskKind {
    /// A file of the backup.
    File(ManifestFile),
    /// A WAL segment, which is filled with zeros after this position.
    Wal(SegmentFile, Lsn),
}

/// The tasks of a restore and what they read; used by all threads.
pub(super) struct Writer {
    pub tasks: Vec<FileTask>,
    pub source: Arc<Source>,
}

impl FileTask {
    /// A file of the backup, to be written to `path`.
    pub fn file(file: ManifestFile, path: PathBuf) -> FileTask {
        FileTask {
            kind: TaskKind::File(file),
            path,
            created: AtomicBool::new(false),
        }
    }

    /// A WAL segment, to be written to `path`, with zeros after `end`.
    pub fn wal(file: SegmentFile, path: PathBuf, end: Lsn) -> FileTask {
        FileTask {
            kind: TaskKind::Wal(file, end),
            path,
            created: AtomicBool::new(false),
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
        let Some(task) = self.tasks.get(index) else {
            return Ok(());
        };
        match &task.kind {
            TaskKind::File(file) => self
                .write_backup_file(task, file, cancelled)
                .with_context(|| format!("restore {}", file.path.display())),
            TaskKind::Wal(stored, end) => {
                let name = stored.segment.name(self.source.segments.size());
                self.write_segment(task, (*stored, *end), cancelled)
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

    fn write_backup_file(
        &self,
        task: &FileTask,
        file: &ManifestFile,
        cancelled: &AtomicBool,
    ) -> Result<()> {
        let path = &task.path;
        let mut output = task.create(file.mode)?;
        self.source.copy_file(file, &mut |bytes| {
            check_cancelled(cancelled)?;
            write(&mut output, path, bytes)
        })?;
        set_attributes(&output, file)
            .with_context(|| format!("set the times of {}", path.display()))?;
        output.close()
    }

    fn write_segment(
        &self,
        task: &FileTask,
        segment: (SegmentFile, Lsn),
        cancelled: &AtomicBool,
    ) -> Result<()> {
        let path = &task.path;
        let mut output = task.create(0o600)?;
        self.source.copy_segment(segment, &mut |bytes| {
            check_cancelled(cancelled)?;
            write(&mut output, path, bytes)
        })?;
        let file = output.file();
        file.set_len(self.source.segments.size().bytes())
            .with_context(|| format!("write {}", path.display()))?;
        output.close()
    }
}

fn check_cancelled(cancelled: &AtomicBool) -> Result<()> {
    if cancelled.load(Ordering::Relaxed) {
        return Err(Error::new(ErrorKind::Stopped, "another file failed"));
    }
    Ok(())
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
