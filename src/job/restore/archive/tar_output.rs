//! The entries of an archive.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::destination::Destination;
use super::super::source::Source;
use crate::error::Result;
use crate::format::tar_writer::{Attributes, TarWriter};
use crate::job::replay::SegmentFile;
use crate::repository::ManifestFile;
use crate::sys::{effective_group_id, effective_user_id};
use crate::unit::{Lsn, to_u64};

/// Writes an archive. As those of a restore, its files belong to the user of the daemon, which
/// counts if root extracts it.
pub(super) struct TarOutput<W: Write> {
    tar: TarWriter<W>,
    directories: BTreeSet<PathBuf>,
    owner: (u32, u32),
    /// The time of what is not a file of the backup, seconds since 1970 UTC.
    now: i64,
}

impl<W: Write> TarOutput<W> {
    pub fn new(output: W, now: i64) -> TarOutput<W> {
        TarOutput {
            tar: TarWriter::new(output),
            directories: BTreeSet::new(),
            owner: (effective_user_id(), effective_group_id()),
            now,
        }
    }

    /// Adds a file of the backup, checked.
    pub fn add_file(&mut self, source: &Source, file: &ManifestFile, path: &Path) -> Result<()> {
        let attributes = Attributes {
            modified: file.modified,
            ..self.attributes(file.mode)
        };
        self.tar.begin_file(path, file.size, attributes)?;
        source.copy_file(file, &mut |bytes| self.tar.content(bytes))?;
        self.tar.end_file()
    }

    /// Adds a WAL segment, with zeros after the position.
    pub fn add_segment(
        &mut self,
        source: &Source,
        segment: (SegmentFile, Lsn),
        path: &Path,
    ) -> Result<()> {
        let size = source.segments.size().bytes();
        self.tar.begin_file(path, size, self.attributes(0o600))?;
        source.copy_segment(segment, &mut |bytes| self.tar.content(bytes))?;
        self.tar.zeros()?;
        self.tar.end_file()
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<W> {
        self.tar.finish()
    }

    fn attributes(&self, mode: u32) -> Attributes {
        Attributes {
            mode,
            modified: self.now,
            owner: self.owner,
        }
    }
}

impl<W: Write> Destination for TarOutput<W> {
    fn create_directory(&mut self, path: &Path, mode: u32) -> Result<()> {
        if self.directories.insert(path.to_owned()) {
            self.tar.directory(path, self.attributes(mode))?;
        }
        Ok(())
    }

    fn create_link(&mut self, text: &Path, link: &Path) -> Result<()> {
        self.tar.link(link, text, self.attributes(0o777))
    }

    fn write_file(&mut self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        let size = to_u64(content.len());
        self.tar.begin_file(path, size, self.attributes(mode))?;
        self.tar.content(content)?;
        self.tar.end_file()
    }
}
