//! The directory of a backup that is being built.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::codec::{Coding, PlainDigest, Sink};
use crate::crypto::MasterKey;
use crate::error::{Context, Failure, Kind, Result};
use crate::format::{BackupManifest, ConfigFile};
use crate::repository::{
    Backup, BackupInfo, INFO, ManifestFile, ManifestWriter, Repository, TablespaceInfo,
};
use crate::storage::{self, Filesystem, Places, StagedFile};
use crate::unit::Label;

/// Where a file belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileHead {
    /// Its path relative to the data directory.
    pub path: PathBuf,
    /// Its path below the directory of the backup.
    pub stored_path: PathBuf,
    /// Plain bytes.
    pub size: u64,
    /// Seconds since 1970 UTC.
    pub modified: i64,
    /// Permission bits.
    pub mode: u32,
}

/// How large a backup is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sizes {
    /// Bytes as stored.
    stored: u64,
    /// Bytes when restored, without WAL.
    plain: u64,
    /// Plain bytes of the largest file.
    biggest: u64,
}

/// What was received under a path.
#[derive(Clone, Copy, Debug)]
enum Received {
    File { size: u64, crc32c: u32 },
    Directory,
}

/// The directory `.new-<label>`: removed when it is dropped before it got its name.
pub(super) struct Staging {
    label: Label,
    path: PathBuf,
    places: Places,
    place: PathBuf,
    coding: Coding,
    manifest: Option<ManifestWriter>,
    filesystem: Filesystem,
    received: HashMap<PathBuf, Received>,
    sizes: Sizes,
    complete: bool,
}

/// A stored file that is being written.
pub(super) struct StagedEntry {
    head: FileHead,
    sink: Sink<StagedFile>,
}

impl Staging {
    /// Makes the directory, and in it those for the cluster's files and for WAL.
    pub(super) fn create(
        repository: &Repository,
        label: &Label,
        system_identifier: u64,
        coding: &Coding,
    ) -> Result<Staging> {
        repository.check_place()?;
        let path = repository.staging_directory(label);
        storage::create_directory(&path)?;
        let guard = Remove(Some(path.clone()));
        for name in ["data", "wal"] {
            storage::create_directory(&path.join(name))?;
        }
        let manifest = ManifestWriter::create(&path, label, system_identifier, coding.stored())?;
        let staging = Staging {
            label: label.clone(),
            places: repository.places().clone(),
            place: repository.backup_directory(label),
            coding: coding.clone(),
            manifest: Some(manifest),
            filesystem: Filesystem::open(&path)?,
            received: HashMap::new(),
            sizes: Sizes::default(),
            complete: false,
            path,
        };
        guard.disarm();
        Ok(staging)
    }

    /// Where it is built.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How its files are written.
    pub(super) fn coding(&self) -> &Coding {
        &self.coding
    }

    /// Adds a tablespace, whose files go to `tblspc/<oid>`.
    pub(super) fn tablespace(&mut self, tablespace: &TablespaceInfo) -> Result<()> {
        storage::create_directory(&self.path.join("tblspc"))?;
        storage::create_directory(&self.path.join(format!("tblspc/{}", tablespace.oid)))?;
        self.writer()?.tablespace(tablespace)
    }

    /// Adds a directory of the cluster; its path relative to the data directory, and below the backup's.
    pub(super) fn directory(&mut self, path: &Path, stored_path: &Path, mode: u32) -> Result<()> {
        self.note(path, Received::Directory)?;
        storage::create_directory(&self.path.join(stored_path))?;
        self.writer()?.directory(path, mode)
    }

    /// Begins a file.
    pub(super) fn begin(&self, head: FileHead) -> Result<StagedEntry> {
        let file = StagedFile::create(&self.path.join(&head.stored_path), 0o600)?;
        let sink = Sink::new(file, &self.coding)
            .with_context(|| format!("write {}", head.stored_path.display()))?;
        Ok(StagedEntry { head, sink })
    }

    /// Ends a file of the cluster.
    pub(super) fn end(&mut self, entry: StagedEntry, plain: &PlainDigest) -> Result<()> {
        let file = self.record(entry, plain)?;
        let received = Received::File {
            size: file.size,
            crc32c: file.crc32c,
        };
        self.note(&file.path, received)?;
        self.sizes.plain += file.size;
        self.sizes.biggest = self.sizes.biggest.max(file.size);
        self.writer()?.file(&file)
    }

    /// Ends a file of the WAL that the backup needs.
    pub(super) fn end_wal(&mut self, entry: StagedEntry, plain: &PlainDigest) -> Result<()> {
        let file = self.record(entry, plain)?;
        self.writer()?.wal(&file)
    }

    /// Ends a configuration file that is not in the data directory.
    pub(super) fn end_config(
        &mut self,
        what: ConfigFile,
        entry: StagedEntry,
        plain: &PlainDigest,
    ) -> Result<()> {
        let file = self.record(entry, plain)?;
        self.writer()?.config(what, &file)
    }

    /// Adds a file of the WAL that is there already.
    pub(super) fn add_wal(&mut self, file: &ManifestFile) -> Result<()> {
        self.sizes.stored += file.stored_size;
        self.writer()?.wal(file)
    }

    /// The size of a file of the cluster that was received, by its path relative to the data directory. Before
    /// [`Staging::compare`].
    pub(super) fn received_size(&self, path: &Path) -> Option<u64> {
        match self.received.get(path) {
            Some(Received::File { size, .. }) => Some(*size),
            _ => None,
        }
    }

    /// The directories of the cluster that were received, relative to the data directory.
    pub(super) fn received_directories(&self) -> impl Iterator<Item = &Path> {
        let received = self.received.iter();
        received
            .filter(|(_, received)| matches!(received, Received::Directory))
            .map(|(path, _)| path.as_path())
    }

    /// No manifest of what was received is longer, in bytes: for each file PostgreSQL writes its path, with up to six bytes
    /// for one, and less than 200 bytes more (`AddFileToBackupManifest`, PostgreSQL backup_manifest.c).
    pub(super) fn longest_manifest(&self) -> usize {
        const BESIDES: usize = 64 << 10;
        let lines = self.received.keys().map(|path| {
            let path = path.as_os_str().len();
            path.saturating_mul(6).saturating_add(256)
        });
        lines.fold(BESIDES, usize::saturating_add)
    }

    /// Compares all that was received with what the server says that it sent.
    pub(super) fn compare(&mut self, manifest: &BackupManifest) -> Result<()> {
        let wrong = |path: &Path, what: &str| {
            let text = format!("the server's backup manifest: {} {what}", path.display());
            Err(Failure::new(Kind::Corrupt, text))
        };
        for entry in &manifest.files {
            match self.received.remove(&entry.path) {
                None => return wrong(&entry.path, "was not received"),
                Some(Received::Directory) => return wrong(&entry.path, "is a directory"),
                Some(Received::File { size, .. }) if size != entry.size => {
                    let what = format!("has {size} bytes, not {}", entry.size);
                    return wrong(&entry.path, &what);
                }
                Some(Received::File { crc32c, .. }) => match entry.agrees(crc32c) {
                    Some(true) => {}
                    Some(false) => return wrong(&entry.path, "has another checksum"),
                    None => return wrong(&entry.path, "has no CRC-32C"),
                },
            }
        }
        let file = |received: &Received| matches!(received, Received::File { .. });
        match self.received.iter().find(|(_, received)| file(received)) {
            Some((path, _)) => wrong(path, "was received, but is not listed"),
            None => Ok(()),
        }
    }

    /// Ends the manifest, adds `info` with the sizes and signed with `key`, makes everything durable and gives the backup
    /// its name. The last step.
    pub(super) fn commit(mut self, mut info: BackupInfo, key: &MasterKey) -> Result<Backup> {
        if let Some(manifest) = self.manifest.take() {
            let (bytes, sha256) = manifest.finish()?;
            self.sizes.stored += bytes;
            info.manifest_sha256 = Some(sha256);
        }
        info.backup_size = self.sizes.stored;
        info.restore_size = self.sizes.plain;
        info.biggest_file = self.sizes.biggest;
        let mut file = StagedFile::create(&self.path.join(INFO), 0o600)?;
        file.write_all(info.signed_text(&self.label, key)?.as_bytes())
            .with_context(|| format!("write {INFO}"))?;
        file.close()?;
        self.filesystem.sync()?;
        self.places.check()?;
        if let Err(failure) = storage::rename(&self.path, &self.place) {
            // It may have got its name, but not durably: it is not ours to show. Back, so that it can be removed.
            if !self.path.exists() {
                storage::rename(&self.place, &self.path)?;
            }
            return Err(failure);
        }
        self.complete = true;
        Backup::completed(self.label.clone(), self.place.clone())
    }

    fn record(&mut self, entry: StagedEntry, plain: &PlainDigest) -> Result<ManifestFile> {
        let head = entry.head;
        let (file, digests) = entry
            .sink
            .finish(plain)
            .with_context(|| format!("write {}", head.stored_path.display()))?;
        if digests.plain_size != head.size {
            let (path, found, size) = (head.path.display(), digests.plain_size, head.size);
            let text = format!("{path} has {found} bytes, not {size}");
            return Err(Failure::new(Kind::Corrupt, text));
        }
        file.close()?;
        self.sizes.stored += digests.stored_size;
        Ok(ManifestFile {
            path: head.path,
            size: head.size,
            modified: head.modified,
            mode: head.mode,
            crc32c: digests.crc32c,
            blake3: digests.blake3,
            stored_path: head.stored_path,
            stored: Some(self.coding.stored()),
            stored_size: digests.stored_size,
            sha256: digests.sha256,
        })
    }

    fn note(&mut self, path: &Path, received: Received) -> Result<()> {
        match self.received.insert(path.to_owned(), received) {
            None => Ok(()),
            Some(_) => Err(Failure::new(
                Kind::Corrupt,
                format!("the server sent {} twice", path.display()),
            )),
        }
    }

    fn writer(&mut self) -> Result<&mut ManifestWriter> {
        self.manifest
            .as_mut()
            .ok_or_else(|| Failure::new(Kind::Internal, "the manifest is closed"))
    }
}

impl StagedEntry {
    /// Writes a frame; it is encrypted in place.
    pub(super) fn write(&mut self, frame: &mut [u8]) -> Result<()> {
        self.sink
            .write(frame)
            .with_context(|| format!("write {}", self.head.stored_path.display()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.complete {
            self.manifest = None;
            log::debug!("remove the unfinished backup {}", self.label);
            drop(Remove(Some(self.path.clone())));
        }
    }
}

/// Removes a directory when it is dropped.
struct Remove(Option<PathBuf>);

impl Remove {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Remove {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(failure) = storage::remove_tree(&path)
        {
            log::warn!("{failure}; it is removed at the next start");
        }
    }
}
