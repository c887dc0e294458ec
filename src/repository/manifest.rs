//! `backup.manifest`: the list of the files of a backup.
//!
//! A JSON object in each line. The first one, the header, has the version of the format; the lines
//! after it are compressed from version 3 on: `tail -n +2 backup.manifest | zstdcat`. An older
//! program reads the header, and refuses the version.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::layout::{INFO, MANIFEST, SUMS};
use super::line::read_line;
use super::manifest_line::{Header, Line, VERSION, mode};
use super::{ManifestFile, TablespaceInfo, sums};
use crate::codec::{Compression, StoredFormat, StoredReader};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::ConfigFile;
use crate::storage::open_file;
use crate::unit::{Encryption, Label, Segment, SegmentSize};

/// Limit for what is read after a bad line, bytes: the file may have any size, such as a sparse one
/// of terabytes.
const MAX_REST: u64 = 64 << 20;

/// How many bytes of lines a stored byte may stand for. Lines of empty files, whose digests are all
/// the same, are compressed to a thirtieth.
const MAX_RATIO: u64 = 100;

/// Lines of this many bytes may be compressed to anything.
const MIN_LIMIT: u64 = 64 << 20;

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
        let file = open_file(&path).with_context(action)?;
        let limit = max_size(&file).with_context(action)?;
        let mut header = Err(no_header());
        let lines = StoredReader::after_beginning(file, |mut input| {
            header = read_header(&mut input, label);
            let known = header.as_ref().ok();
            known.map_or(Compression::None, Header::line_compression)
        });
        let mut lines = BufReader::new(lines.with_context(action)?.with_max_size(limit));
        let manifest = header.and_then(|header| Manifest::parse_lines(&mut lines, &header));
        // A wrong digest explains more than a bad line.
        let manifest = match digest_to_end(lines) {
            Ok(digest) if digest == expected => manifest,
            Ok(_) => Err(corrupt(format!("its SHA-256 is not the one in {source}"))),
            Err(failure) => manifest.and(Err(failure)),
        };
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

    /// Parses the manifest of the backup `label`, decompressed.
    #[cfg(any(test, fuzzing))]
    pub(super) fn parse(input: &mut impl BufRead, label: &Label) -> Result<Manifest> {
        let header = read_header(input, label)?;
        Manifest::parse_lines(input, &header)
    }

    /// Parses the lines after the header.
    fn parse_lines(input: &mut impl BufRead, header: &Header) -> Result<Manifest> {
        let mut manifest = Manifest {
            stored: header.stored()?,
            ..Manifest::default()
        };
        let mut count = 0;
        while let Some(line) = next_line(input)? {
            match line {
                Line::Backup(_) => return Err(corrupt("it begins twice".to_owned())),
                Line::End(expected) if expected == count => {
                    if !input.fill_buf()?.is_empty() {
                        return Err(too_long());
                    }
                    manifest.check_tablespaces()?;
                    return Ok(manifest);
                }
                Line::End(expected) => {
                    return Err(corrupt(format!(
                        "it has {count} lines instead of {expected}"
                    )));
                }
                line => manifest.add(line, header.manifest_version)?,
            }
            count += 1;
        }
        Err(corrupt(
            "it is truncated: its last line is missing".to_owned(),
        ))
    }

    fn add(&mut self, line: Line, version: u32) -> Result<()> {
        match line {
            Line::Tablespace(line) => self.tablespaces.push(line.parse()?),
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
    /// Rejects two tablespaces of one OID or one name. At the end, since a manifest may list any
    /// number.
    fn check_tablespaces(&self) -> Result<()> {
        let (mut oids, mut names) = (BTreeSet::new(), BTreeSet::new());
        for TablespaceInfo { name, oid, .. } in &self.tablespaces {
            if !oids.insert(oid) || !names.insert(name) {
                let message = format!("the tablespace {name:?} (OID {oid}) is there twice");
                return Err(corrupt(message));
            }
        }
        Ok(())
    }

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

/// Reads and checks the first line of the manifest of the backup `label`.
fn read_header(input: &mut impl BufRead, label: &Label) -> Result<Header> {
    let Some(Line::Backup(header)) = next_line(input)? else {
        return Err(no_header());
    };
    let version = header.manifest_version;
    if !(1..=VERSION).contains(&version) {
        let message = format!("its version is {version}, and this program reads up to {VERSION}");
        return Err(Error::new(ErrorKind::Unsupported, message)
            .with_hint("a newer version of pgmoneta wrote it"));
    }
    if header.label != label.as_str() {
        return Err(corrupt(format!("it is of the backup {:?}", header.label)));
    }
    Ok(header)
}

/// The most bytes that the lines of a manifest may have: they have digests, which cannot be
/// compressed, so that what decompresses to more was not written by this program.
fn max_size(file: &File) -> Result<u64> {
    let found = file.metadata()?;
    let stored = found.len().min(found.blocks().saturating_mul(512));
    Ok(stored.saturating_mul(MAX_RATIO).saturating_add(MIN_LIMIT))
}

/// Reads to the end, and returns the SHA-256 of the whole file.
fn digest_to_end(mut lines: BufReader<StoredReader>) -> Result<[u8; 32]> {
    if io::copy(&mut (&mut lines).take(MAX_REST), &mut io::sink())? == MAX_REST {
        return Err(too_long());
    }
    let digests = lines.into_inner().finish()?;
    digests
        .stored_sha256()
        .ok_or_else(|| corrupt("it has no SHA-256".to_owned()))
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

fn no_header() -> Error {
    corrupt("its first line does not say what it is of".to_owned())
}

fn too_long() -> Error {
    corrupt("there is more after its end".to_owned())
}

fn corrupt(what: String) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}
