//! Writing `backup.manifest` and `backup.sha256` while a backup is taken.

use std::io::{BufWriter, IntoInnerError, Write};
use std::path::Path;

use super::layout::{MANIFEST, SUMS};
use super::manifest_line::{
    ConfigLine, DirectoryLine, FileLine, Header, LINE_COMPRESSION, Line, PathText, TablespaceLine,
    VERSION, mode_text,
};
use super::{ManifestFile, TablespaceInfo, sums};
use crate::codec::{CHUNK_SIZE, EncodeOptions, FrameCompressor, Level, StoredFormat};
use crate::crypto::Sha256;
use crate::error::{Context, Result};
use crate::format::ConfigFile;
use crate::storage::StagedFile;
use crate::unit::{Encryption, Label, to_u64};

/// The level for the lines of a manifest.
const LINE_LEVEL: i32 = 9;

/// Writes the manifest and backup.sha256 of a backup line by line, so that many files need no
/// memory.
pub struct ManifestWriter {
    manifest: BufWriter<StagedFile>,
    sums: BufWriter<StagedFile>,
    /// Lines that are not written yet, and the compressor for them.
    lines_ahead: Vec<u8>,
    compressor: FrameCompressor,
    stored: StoredFormat,
    sha256: Sha256,
    lines: u64,
    bytes: u64,
}

impl ManifestWriter {
    /// Creates both files in the directory of the backup.
    pub fn create(
        directory: &Path,
        label: &Label,
        system_identifier: u64,
        stored: StoredFormat,
    ) -> Result<ManifestWriter> {
        let create = |name| StagedFile::create(&directory.join(name), 0o600).map(BufWriter::new);
        let mut writer = ManifestWriter {
            manifest: create(MANIFEST)?,
            sums: create(SUMS)?,
            lines_ahead: Vec::new(),
            compressor: FrameCompressor::new(&EncodeOptions {
                compression: LINE_COMPRESSION,
                level: Level::Fixed(LINE_LEVEL),
                encryption: Encryption::None,
                key: None,
            }),
            stored,
            sha256: Sha256::new(),
            lines: 0,
            bytes: 0,
        };
        let header = Line::Backup(Header {
            manifest_version: VERSION,
            label: label.to_string(),
            system_identifier,
            compression: stored.compression.to_string(),
            encryption: stored.encryption.to_string(),
        });
        writer.write(&header.to_bytes()?)?;
        Ok(writer)
    }

    /// Adds a tablespace to the manifest.
    pub fn tablespace(&mut self, tablespace: &TablespaceInfo) -> Result<()> {
        self.line(&Line::Tablespace(TablespaceLine::of(tablespace)))
    }

    /// Adds a directory: its path relative to the data directory, and its permission bits.
    pub fn directory(&mut self, path: &Path, mode: u32) -> Result<()> {
        self.line(&Line::Directory(DirectoryLine {
            path: PathText::of(path),
            mode: mode_text(mode),
        }))
    }

    /// Adds a symbolic link: its path relative to the data directory, and its target. PostgreSQL
    /// sends none but those of tablespaces.
    #[cfg(test)]
    pub fn link(&mut self, path: &Path, target: &Path) -> Result<()> {
        self.line(&Line::Link(super::manifest_line::LinkLine {
            path: PathText::of(path),
            target: PathText::of(target),
        }))
    }

    /// Adds a file that was stored.
    pub fn file(&mut self, file: &ManifestFile) -> Result<()> {
        self.sum(&file.own_digests()?.sha256, &file.stored_path)?;
        self.line(&Line::File(FileLine::of(file, self.stored)?))
    }

    /// Adds a file of the WAL that the backup needs.
    pub fn wal(&mut self, file: &ManifestFile) -> Result<()> {
        self.sum(&file.own_digests()?.sha256, &file.stored_path)?;
        self.line(&Line::Wal(FileLine::of(file, self.stored)?))
    }

    /// Adds a configuration file that is not in the data directory.
    pub fn config(&mut self, what: ConfigFile, file: &ManifestFile) -> Result<()> {
        self.sum(&file.own_digests()?.sha256, &file.stored_path)?;
        self.line(&Line::Config(ConfigLine {
            setting: what.setting().to_owned(),
            file: FileLine::of(file, self.stored)?,
        }))
    }

    /// Adds a file that is not part of the cluster to backup.sha256 only.
    pub fn sum(&mut self, sha256: &[u8; 32], stored_path: &Path) -> Result<()> {
        let line = sums::format_line(sha256, stored_path);
        self.bytes += to_u64(line.len());
        let result = self.sums.write_all(&line);
        result.with_context(|| format!("write {SUMS}"))
    }

    /// Closes both files and returns their total size in bytes and the SHA-256 of the manifest.
    /// They are not durable yet.
    pub fn finish(mut self) -> Result<(u64, [u8; 32])> {
        self.line(&Line::End(self.lines))?;
        self.write_frame()?;
        let sha256 = std::mem::take(&mut self.sha256).finish();
        self.sum(&sha256, Path::new(MANIFEST))?;
        close(self.manifest).with_context(|| format!("write {MANIFEST}"))?;
        close(self.sums).with_context(|| format!("write {SUMS}"))?;
        Ok((self.bytes, sha256))
    }

    fn line(&mut self, line: &Line) -> Result<()> {
        let bytes = line.to_bytes()?;
        if self.lines_ahead.len() + bytes.len() > CHUNK_SIZE {
            self.write_frame()?;
        }
        self.lines_ahead.extend_from_slice(&bytes);
        self.lines += 1;
        Ok(())
    }

    /// Compresses and writes the lines ahead.
    fn write_frame(&mut self) -> Result<()> {
        let mut frame = Vec::new();
        let compressed = self
            .compressor
            .compress_frame(&self.lines_ahead, &mut frame);
        compressed.with_context(|| format!("write {MANIFEST}"))?;
        self.lines_ahead.clear();
        self.write(&frame)
    }

    /// Writes bytes of the manifest.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.sha256.update(bytes);
        self.bytes += to_u64(bytes.len());
        let result = self.manifest.write_all(bytes);
        result.with_context(|| format!("write {MANIFEST}"))
    }
}

fn close(file: BufWriter<StagedFile>) -> Result<()> {
    let file = file.into_inner().map_err(IntoInnerError::into_error)?;
    file.close()
}
