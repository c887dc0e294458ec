//! The directory of a backup in progress.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::links::{UnchangedFile, UnchangedFiles};
use crate::codec::{
    CHUNK_SIZE, Digests, EncodeOptions, FrameCompressor, PlainDigest, StoredWriter,
};
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::{BackupManifest, ConfigFile};
use crate::repository::{
    BACKUP_WAL_DIRECTORY, Backup, BackupInfo, DATA_DIRECTORY, INFO, ManifestFile, ManifestWriter,
    Repository, TABLESPACES_DIRECTORY, TablespaceInfo,
};
use crate::storage::{self, Filesystem, PinnedPaths, StagedFile};
use crate::unit::{Label, first_mut, to_u64, to_usize};

/// The paths and metadata of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// Its path relative to the data directory.
    pub path: PathBuf,
    /// Its path below the directory of the backup.
    pub stored_path: PathBuf,
    /// Size in bytes, before compression and encryption.
    pub size: u64,
    /// Modification time, seconds since 1970 UTC.
    pub modified: i64,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
}

/// The sizes of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Bytes of the stored files, WAL included.
    pub stored: u64,
    /// Bytes when restored, without WAL.
    pub plain: u64,
    /// Plain bytes of the largest file.
    pub biggest: u64,
    /// Those of the stored bytes that are links to an older backup.
    pub linked: u64,
}

/// What the server sent under a path.
#[derive(Clone, Copy, Debug)]
enum ReceivedPath {
    File { size: u64, crc32c: u32 },
    Directory,
}

/// The directory `.new-<label>`: removed on drop unless committed.
pub(super) struct Staging {
    label: Label,
    path: PathBuf,
    pinned_paths: PinnedPaths,
    final_path: PathBuf,
    coding: EncodeOptions,
    manifest: Option<ManifestWriter>,
    filesystem: Filesystem,
    received: HashMap<PathBuf, ReceivedPath>,
    unchanged: Option<UnchangedFiles>,
    sizes: Sizes,
    complete: bool,
}

/// A stored file in progress.
pub(super) struct StagedEntry {
    header: FileHeader,
    sink: StoredWriter<StagedFile>,
}

impl Staging {
    /// Creates the directory, with subdirectories for the cluster's files and for WAL.
    pub(super) fn create(
        repository: &Repository,
        label: &Label,
        system_identifier: u64,
        coding: &EncodeOptions,
    ) -> Result<Staging> {
        repository.check_paths()?;
        let path = repository.staging_directory(label);
        storage::create_directory(&path)?;
        let cleanup = RemoveOnDrop(Some(path.clone()));
        for name in [DATA_DIRECTORY, BACKUP_WAL_DIRECTORY] {
            storage::create_directory(&path.join(name))?;
        }
        let manifest = ManifestWriter::create(&path, label, system_identifier, coding.stored())?;
        let staging = Staging {
            label: label.clone(),
            pinned_paths: repository.pinned_paths().clone(),
            final_path: repository.backup_directory(label),
            coding: coding.clone(),
            manifest: Some(manifest),
            filesystem: Filesystem::open(&path)?,
            received: HashMap::new(),
            unchanged: None,
            sizes: Sizes::default(),
            complete: false,
            path,
        };
        cleanup.disarm();
        Ok(staging)
    }

    /// The path of `.new-<label>`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The compression and encryption of its files.
    pub(super) fn coding(&self) -> &EncodeOptions {
        &self.coding
    }

    /// Links the files that are the same as those.
    pub(super) fn link_to(&mut self, unchanged: Option<UnchangedFiles>) {
        self.unchanged = unchanged;
    }

    /// The file of an older backup that has the same path and content, if there is one. To be
    /// called once for a file.
    pub(super) fn unchanged(&mut self, path: &Path, plain: &Digests) -> Option<UnchangedFile> {
        self.unchanged.as_mut()?.take(path, plain)
    }

    /// Whether some files are symbolic links.
    pub(super) fn has_symbolic_links(&self) -> bool {
        let symbolic = |files: &UnchangedFiles| files.are_symbolic();
        self.sizes.linked > 0 && self.unchanged.as_ref().is_some_and(symbolic)
    }

    /// Adds a tablespace, whose files go to `tblspc/<oid>`.
    pub(super) fn tablespace(&mut self, tablespace: &TablespaceInfo) -> Result<()> {
        let directory = self.path.join(TABLESPACES_DIRECTORY);
        storage::create_directory(&directory)?;
        storage::create_directory(&directory.join(tablespace.oid.to_string()))?;
        self.writer()?.tablespace(tablespace)
    }

    /// Adds a directory of the cluster. `path` is relative to the data directory, `stored_path` to
    /// the backup.
    pub(super) fn directory(&mut self, path: &Path, stored_path: &Path, mode: u32) -> Result<()> {
        self.record_received(path, ReceivedPath::Directory)?;
        storage::create_directory(&self.path.join(stored_path))?;
        self.writer()?.directory(path, mode)
    }

    /// Creates a file.
    pub(super) fn begin(&self, header: FileHeader) -> Result<StagedEntry> {
        let file = StagedFile::create(&self.path.join(&header.stored_path), 0o600)?;
        let sink = StoredWriter::new(file, &self.coding)
            .with_context(|| format!("write {}", header.stored_path.display()))?;
        Ok(StagedEntry { header, sink })
    }

    /// Writes a file in this thread: reads as many bytes from `input` as `header` says. The caller
    /// finishes it.
    pub(super) fn store(
        &self,
        header: FileHeader,
        input: &mut dyn Read,
    ) -> Result<(StagedEntry, PlainDigest)> {
        let framer = FrameCompressor::new(&self.coding);
        let mut digest = PlainDigest::new();
        let mut left = header.size;
        let mut entry = self.begin(header)?;
        let (mut chunk, mut frame) = (vec![0; CHUNK_SIZE], Vec::new());
        while left > 0 {
            let length = to_usize(left).min(CHUNK_SIZE);
            let plain = first_mut(&mut chunk, length);
            input.read_exact(plain)?;
            digest.update(plain);
            framer.compress_frame(plain, &mut frame)?;
            entry.write(&mut frame)?;
            left -= to_u64(length);
        }
        Ok((entry, digest))
    }

    /// Finishes a file of the cluster.
    pub(super) fn end(&mut self, entry: StagedEntry, plain: &PlainDigest) -> Result<()> {
        let file = self.finish_file(entry, plain)?;
        self.add_file(&file)
    }

    /// Adds a file of the cluster that is a link to an older backup: its manifest line is of the
    /// new file, but for what is stored.
    pub(super) fn add_linked(&mut self, header: FileHeader, digests: &Digests) -> Result<()> {
        self.sizes.linked += digests.stored_size;
        let file = self.manifest_file(header, digests);
        self.add_file(&file)
    }

    /// Adds a file of the cluster that is in the directory.
    pub(super) fn add_file(&mut self, file: &ManifestFile) -> Result<()> {
        self.sizes.stored += file.stored_size;
        let received = ReceivedPath::File {
            size: file.size,
            crc32c: file.own_digests()?.crc32c,
        };
        self.record_received(&file.path, received)?;
        self.sizes.plain += file.size;
        self.sizes.biggest = self.sizes.biggest.max(file.size);
        self.writer()?.file(file)
    }

    /// Finishes a WAL file.
    pub(super) fn end_wal(&mut self, entry: StagedEntry, plain: &PlainDigest) -> Result<()> {
        let file = self.finish_file(entry, plain)?;
        self.add_wal(&file)
    }

    /// Finishes a configuration file from outside the data directory.
    pub(super) fn end_config(
        &mut self,
        kind: ConfigFile,
        entry: StagedEntry,
        plain: &PlainDigest,
    ) -> Result<()> {
        let file = self.finish_file(entry, plain)?;
        self.sizes.stored += file.stored_size;
        self.writer()?.config(kind, &file)
    }

    /// Adds a WAL file that is already in the directory.
    pub(super) fn add_wal(&mut self, file: &ManifestFile) -> Result<()> {
        self.sizes.stored += file.stored_size;
        self.writer()?.wal(file)
    }

    /// The size of a file of the cluster that was received, by its path relative to the data
    /// directory. Before [`Staging::compare`].
    pub(super) fn received_size(&self, path: &Path) -> Option<u64> {
        match self.received.get(path) {
            Some(ReceivedPath::File { size, .. }) => Some(*size),
            _ => None,
        }
    }

    /// The directories of the cluster that were received, relative to the data directory.
    pub(super) fn received_directories(&self) -> impl Iterator<Item = &Path> {
        let received = self.received.iter();
        received
            .filter(|(_, received)| matches!(received, ReceivedPath::Directory))
            .map(|(path, _)| path.as_path())
    }

    /// The most bytes in a manifest of the received files: for each file PostgreSQL writes its
    /// path, at up to six bytes for one, and less than 200 bytes more (`AddFileToBackupManifest`,
    /// PostgreSQL backup_manifest.c).
    pub(super) fn max_manifest_size(&self) -> usize {
        const OVERHEAD: usize = 64 << 10;
        let lines = self.received.keys().map(|path| {
            let path = path.as_os_str().len();
            path.saturating_mul(6).saturating_add(256)
        });
        lines.fold(OVERHEAD, usize::saturating_add)
    }

    /// Compares the received files with the server's manifest.
    pub(super) fn compare(&mut self, manifest: &BackupManifest) -> Result<()> {
        let mismatch = |path: &Path, problem: &str| {
            let text = format!("the server's backup manifest: {} {problem}", path.display());
            Err(Error::new(ErrorKind::Corrupt, text))
        };
        for entry in &manifest.files {
            match self.received.remove(&entry.path) {
                None => return mismatch(&entry.path, "was not received"),
                Some(ReceivedPath::Directory) => return mismatch(&entry.path, "is a directory"),
                Some(ReceivedPath::File { size, .. }) if size != entry.size => {
                    let problem = format!("has {size} bytes, not {}", entry.size);
                    return mismatch(&entry.path, &problem);
                }
                Some(ReceivedPath::File { crc32c, .. }) => match entry.matches(crc32c) {
                    Some(true) => {}
                    Some(false) => return mismatch(&entry.path, "has another checksum"),
                    None => return mismatch(&entry.path, "has no CRC-32C"),
                },
            }
        }
        let is_file = |received: &ReceivedPath| matches!(received, ReceivedPath::File { .. });
        match self.received.iter().find(|(_, received)| is_file(received)) {
            Some((path, _)) => mismatch(path, "was received, but is not listed"),
            None => Ok(()),
        }
    }

    /// Finishes the manifest; returns the sizes of the backup and the SHA-256 of the manifest. No
    /// file can be added afterwards.
    pub(super) fn finish_manifest(&mut self) -> Result<(Sizes, [u8; 32])> {
        let manifest = self.manifest.take().ok_or_else(manifest_is_finished)?;
        let (bytes, sha256) = manifest.finish()?;
        self.sizes.stored += bytes;
        Ok((self.sizes, sha256))
    }

    /// Writes `backup.info`, signed with `key`, syncs everything and renames the directory. The
    /// last step, after [`Staging::finish_manifest`].
    pub(super) fn publish(mut self, info: &BackupInfo, key: &MasterKey) -> Result<Backup> {
        let mut file = StagedFile::create(&self.path.join(INFO), 0o600)?;
        file.write_all(info.signed_text(&self.label, key)?.as_bytes())
            .with_context(|| format!("write {INFO}"))?;
        file.close()?;
        self.filesystem.sync()?;
        self.pinned_paths.check()?;
        if let Err(failure) = storage::rename(&self.path, &self.final_path) {
            // It may be renamed, but not durably, and must not be listed: renamed back, so that it
            // is removed.
            if !self.path.exists() {
                storage::rename(&self.final_path, &self.path)?;
            }
            return Err(failure);
        }
        self.complete = true;
        Backup::completed(self.label.clone(), self.final_path.clone())
    }

    /// Closes a file, which is to be added.
    pub(super) fn finish_file(
        &self,
        entry: StagedEntry,
        plain: &PlainDigest,
    ) -> Result<ManifestFile> {
        let header = entry.header;
        let (file, digests) = entry
            .sink
            .finish(plain)
            .with_context(|| format!("write {}", header.stored_path.display()))?;
        if digests.plain_size != header.size {
            let (path, found, size) = (header.path.display(), digests.plain_size, header.size);
            let text = format!("{path} has {found} bytes, not {size}");
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        file.close()?;
        Ok(self.manifest_file(header, &digests))
    }

    fn manifest_file(&self, header: FileHeader, digests: &Digests) -> ManifestFile {
        ManifestFile {
            path: header.path,
            size: header.size,
            modified: header.modified,
            mode: header.mode,
            stored_path: header.stored_path,
            stored: Some(self.coding.stored()),
            stored_size: digests.stored_size,
            digests: digests.values,
            combined: None,
        }
    }

    fn record_received(&mut self, path: &Path, received: ReceivedPath) -> Result<()> {
        match self.received.insert(path.to_owned(), received) {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Corrupt,
                format!("the server sent {} twice", path.display()),
            )),
        }
    }

    fn writer(&mut self) -> Result<&mut ManifestWriter> {
        self.manifest.as_mut().ok_or_else(manifest_is_finished)
    }
}

fn manifest_is_finished() -> Error {
    Error::new(ErrorKind::Internal, "the manifest is finished")
}

impl StagedEntry {
    /// Writes a frame; it is encrypted in place.
    pub(super) fn write(&mut self, frame: &mut [u8]) -> Result<()> {
        self.sink
            .write(frame)
            .with_context(|| format!("write {}", self.header.stored_path.display()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.complete {
            self.manifest = None;
            log::debug!("removing the unfinished backup {}", self.label);
            drop(RemoveOnDrop(Some(self.path.clone())));
        }
    }
}

/// Removes a directory on drop.
struct RemoveOnDrop(Option<PathBuf>);

impl RemoveOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(failure) = storage::remove_tree(&path)
        {
            log::warn!("{failure}; it is removed at the next start");
        }
    }
}
