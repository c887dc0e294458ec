//! `backup.manifest`: the list of the files of a backup.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::layout::{INFO, MANIFEST, SUMS};
use super::line::read_line;
use super::manifest_line::{Line, VERSION, mode};
use super::{ManifestFile, TablespaceInfo, sums};
use crate::codec::StoredFormat;
use crate::crypto::Sha256;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::ConfigFile;
use crate::storage::open_file;
use crate::unit::{Encryption, Label, Segment, SegmentSize, first};

/// Limit for what is read after a bad line, bytes. A manifest has no limit of its own.
const MAX_REST: u64 = 64 << 20;

/// The content of a backup, which alone decides how a file is stored. Paths are relative, without
/// `..`, and need not be UTF-8.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The format of the files, unless a file has its own.
    pub stored: StoredFormat,
    /// The files of the data directory and of the tablespaces.
    pub files: Vec<ManifestFile>,
    /// The directories and their permission bits; relative to the data directory. Parents are first
    /// within the data directory and within each tablespace.
    pub directories: Vec<(PathBuf, u32)>,
    /// The symbolic links except those of tablespaces: path relative to the data directory, and
    /// target.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// The tablespaces; `pg_tblspc/<oid>` links to each. From PostgreSQL 16 on also those that are
    /// a directory there.
    pub tablespaces: Vec<TablespaceInfo>,
    /// The WAL to reach consistency, stored with the backup: segments as `pg_wal/<segment>` of full
    /// size, and history files. The last segment may be filled up with zeros.
    pub wal: Vec<ManifestFile>,
    /// The configuration files outside of the data directory: their absolute paths on the server,
    /// without the leading slash.
    pub config: Vec<(ConfigFile, ManifestFile)>,
    /// Whether files are combined from those of several backups: `backup_label` and the server's
    /// manifest are those of an incremental backup.
    pub combined: bool,
}

impl Manifest {
    /// All stored files, with WAL and configuration files.
    pub fn all_files(&self) -> impl Iterator<Item = &ManifestFile> {
        let config = self.config.iter().map(|(_, file)| file);
        self.files.iter().chain(&self.wal).chain(config)
    }

    /// The size of the WAL segments that are stored with the backup, bytes.
    pub fn segment_size(&self) -> Option<SegmentSize> {
        let segments = self.wal.iter().filter_map(|file| {
            let name = file.path.file_name()?.to_str()?;
            let size = SegmentSize::new(file.size).ok()?;
            Segment::parse(name, size).map(|_| size)
        });
        segments.max_by_key(|size| size.bytes())
    }

    /// Reads the manifest of the backup `label` in `directory`, and checks its SHA-256 against
    /// `expected`, or else against backup.sha256.
    pub(super) fn read(
        directory: &Path,
        label: &Label,
        expected: Option<[u8; 32]>,
    ) -> Result<Manifest> {
        let (expected, source) = match expected {
            Some(digest) => (digest, INFO),
            None => (Manifest::listed_digest(directory)?, SUMS),
        };
        let path = directory.join(MANIFEST);
        let action = || format!("read {}", path.display());
        let input = HashingReader {
            inner: open_file(&path).with_context(action)?,
            sha256: Sha256::new(),
        };
        let mut input = BufReader::new(input);
        let manifest = Manifest::parse(&mut input, label);
        // Bytes after a bad line are part of the digest too, and a wrong digest explains more. But
        // the file may have any size, such as a sparse one of terabytes.
        let rest = io::copy(&mut (&mut input).take(MAX_REST), &mut io::sink());
        if rest.with_context(action)? == MAX_REST {
            return manifest.and(Err(too_long())).with_context(action);
        }
        if input.into_inner().sha256.finish() != expected {
            return Err(corrupt(format!("its SHA-256 is not the one in {source}")))
                .with_context(action);
        }
        manifest.with_context(action)
    }

    /// The SHA-256 of the manifest in `directory` according to backup.sha256.
    pub(super) fn listed_digest(directory: &Path) -> Result<[u8; 32]> {
        let sums = directory.join(SUMS);
        open_file(&sums)
            .map_err(Into::into)
            .and_then(|file| sums::find(BufReader::new(file), Path::new(MANIFEST)))
            .with_context(|| format!("read {}", sums.display()))
    }

    /// Reads backup.sha256 in the directory of a backup: relative paths and SHA-256.
    pub(super) fn read_sums(directory: &Path) -> Result<Vec<(PathBuf, [u8; 32])>> {
        let path = directory.join(SUMS);
        open_file(&path)
            .map_err(Into::into)
            .and_then(|file| sums::parse_all(BufReader::new(file)))
            .with_context(|| format!("read {}", path.display()))
    }

    /// Parses the manifest of the backup `label`.
    pub fn parse(input: &mut impl BufRead, label: &Label) -> Result<Manifest> {
        let mut manifest = Manifest::default();
        let version;
        match next_line(input)? {
            Some(Line::Backup(header)) if !(1..=VERSION).contains(&header.manifest_version) => {
                let version = header.manifest_version;
                let message =
                    format!("its version is {version}, and this program reads up to {VERSION}");
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .with_hint("a newer version of pgmoneta wrote it"));
            }
            Some(Line::Backup(header)) if header.label != label.as_str() => {
                return Err(corrupt(format!("it is of the backup {:?}", header.label)));
            }
            Some(Line::Backup(header)) => {
                version = header.manifest_version;
                manifest.stored = header.stored()?;
            }
            _ => {
                return Err(corrupt(
                    "its first line does not say what it is of".to_owned(),
                ));
            }
        }
        let mut count = 0;
        while let Some(line) = next_line(input)? {
            match line {
                Line::Backup(_) => return Err(corrupt("it begins twice".to_owned())),
                Line::End(expected) if expected == count => {
                    return if input.fill_buf()?.is_empty() {
                        Ok(manifest)
                    } else {
                        Err(too_long())
                    };
                }
                Line::End(expected) => {
                    return Err(corrupt(format!(
                        "it has {count} lines instead of {expected}"
                    )));
                }
                line => manifest.add(line, version)?,
            }
            count += 1;
        }
        Err(corrupt(
            "it is truncated: its last line is missing".to_owned(),
        ))
    }

    fn add(&mut self, line: Line, version: u32) -> Result<()> {
        match line {
            Line::Tablespace(line) => {
                let one = line.parse()?;
                let same = |other: &TablespaceInfo| other.oid == one.oid || other.name == one.name;
                if self.tablespaces.iter().any(same) {
                    let (name, oid) = (&one.name, one.oid);
                    let message = format!("the tablespace {name:?} (OID {oid}) is there twice");
                    return Err(corrupt(message));
                }
                self.tablespaces.push(one);
            }
            Line::Directory(line) => {
                let path = line.path.into_relative()?;
                self.directories.push((path, mode(&line.mode)?));
            }
            Line::Link(line) => self.links.push(line.parse()?),
            Line::File(line) => {
                let file = line.parse(Some(self.stored))?;
                self.check_encrypted(&file)?;
                self.files.push(file);
            }
            Line::Wal(line) => {
                // Version 1 linked WAL files of the archive and did not record their format.
                let known = (version > 1).then_some(self.stored);
                let file = line.parse(known)?;
                self.check_encrypted(&file)?;
                self.wal.push(file);
            }
            Line::Config(line) => {
                let config = line.parse(self.stored)?;
                self.check_encrypted(&config.1)?;
                self.config.push(config);
            }
            Line::Backup(_) | Line::End(_) => {}
        }
        Ok(())
    }
}

impl Manifest {
    /// Rejects a plain file in an encrypted backup, which is never written.
    fn check_encrypted(&self, file: &ManifestFile) -> Result<()> {
        let plain = |stored: StoredFormat| stored.encryption == Encryption::None;
        if plain(self.stored) || !file.stored.is_some_and(plain) {
            return Ok(());
        }
        let path = file.path.display();
        Err(corrupt(format!(
            "{path} is not encrypted, as the backup is"
        )))
    }
}

/// The next line, if there is one.
fn next_line(input: &mut impl BufRead) -> Result<Option<Line>> {
    let Some(line) = read_line(input)? else {
        return Ok(None);
    };
    match line.strip_suffix(b"\n") {
        Some(line) => Line::parse(line).map(Some),
        None => Err(corrupt("it is truncated".to_owned())),
    }
}

fn too_long() -> Error {
    corrupt("there is more after its end".to_owned())
}

fn corrupt(what: String) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

/// Computes the SHA-256 of what is read.
struct HashingReader {
    inner: File,
    sha256: Sha256,
}

impl Read for HashingReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.sha256.update(first(buf, count));
        Ok(count)
    }
}
