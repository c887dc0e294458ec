//! The lines of `backup.manifest`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ManifestFile, TablespaceInfo};
use crate::codec::{Compression, DigestValues, OwnDigests, StoredFormat};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::{ConfigFile, hex};
use crate::unit::Encryption;

/// The version of the format. In version 1 all files have the format of the header; from version 3
/// on the lines after the header are compressed.
pub(super) const VERSION: u32 = 3;

/// How the lines after the header are compressed, whatever the format of the files.
pub(super) const LINE_COMPRESSION: Compression = Compression::Zstd;

/// A line of `backup.manifest`: a JSON object of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// The header, first line of the file.
    Backup(Header),
    /// Name, OID and location of a tablespace.
    Tablespace(TablespaceLine),
    /// Path and mode of a directory.
    Directory(DirectoryLine),
    /// Path and target of a symbolic link.
    Link(LinkLine),
    /// A file of the data directory or of a tablespace.
    File(FileLine),
    /// A WAL segment or a history file.
    Wal(FileLine),
    /// A configuration file that is not in the data directory.
    Config(ConfigLine),
    /// The last line: the number of lines after the header and before it.
    End(u64),
}

/// The header of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub manifest_version: u32,
    pub label: String,
    pub system_identifier: u64,
    pub compression: String,
    pub encryption: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TablespaceLine {
    pub oid: u32,
    pub name: String,
    pub location: PathText,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectoryLine {
    pub path: PathText,
    pub mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkLine {
    pub path: PathText,
    pub target: PathText,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileLine {
    pub path: PathText,
    pub size: u64,
    pub modified: i64,
    pub mode: String,
    pub crc32c: String,
    pub blake3: String,
    pub stored: PathText,
    pub stored_size: u64,
    pub sha256: String,
    /// The compression, if it differs from the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// The encryption, if it differs from the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigLine {
    pub setting: String,
    pub file: FileLine,
}

/// A path in JSON: text if it is UTF-8, else its bytes in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum PathText {
    Utf8(String),
    Bytes { hex: String },
}

impl PathText {
    pub fn of(path: &Path) -> PathText {
        match path.to_str() {
            Some(text) => PathText::Utf8(text.to_owned()),
            None => PathText::Bytes {
                hex: hex::encode(path.as_os_str().as_bytes()),
            },
        }
    }

    /// The path, absolute or relative.
    pub fn into_path(self) -> Result<PathBuf> {
        match self {
            PathText::Utf8(text) => Ok(text.into()),
            PathText::Bytes { hex } => {
                let bytes = hex::decode(&hex).ok_or_else(|| invalid("path", &hex))?;
                Ok(OsString::from_vec(bytes).into())
            }
        }
    }

    /// The path, if it is relative and has no `..`.
    pub fn into_relative(self) -> Result<PathBuf> {
        let path = self.into_path()?;
        if is_relative_path(&path) {
            Ok(path)
        } else {
            Err(invalid("path", &path.display().to_string()))
        }
    }
}

/// Whether a path is relative, not empty, and has no `.` or `..`.
pub(super) fn is_relative_path(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    !bytes.is_empty()
        && !bytes.contains(&0)
        && path
            .components()
            .all(|component| matches!(component, Component::Normal(_)))
}

impl Header {
    /// How the lines after it are compressed.
    pub fn line_compression(&self) -> Compression {
        if self.manifest_version < 3 {
            Compression::None
        } else {
            LINE_COMPRESSION
        }
    }

    /// The default format of the files.
    pub fn stored(&self) -> Result<StoredFormat> {
        Ok(StoredFormat {
            compression: compression(&self.compression)?,
            encryption: encryption(&self.encryption)?,
        })
    }
}

impl LinkLine {
    /// Path and target. The target must be below the directory of the link, except for `pg_wal`,
    /// which is not followed.
    pub fn parse(self) -> Result<(PathBuf, PathBuf)> {
        let path = self.path.into_relative()?;
        let target = if path == Path::new("pg_wal") {
            self.target.into_path()?
        } else {
            self.target.into_relative()?
        };
        Ok((path, target))
    }
}

impl FileLine {
    /// The line of a file in a manifest whose header has the format `stored`.
    pub fn of(file: &ManifestFile, stored: StoredFormat) -> Result<FileLine> {
        let digests = file.own_digests()?;
        let own = file.stored.unwrap_or(stored);
        let (compression, encryption) = (own.compression, own.encryption);
        Ok(FileLine {
            compression: (compression != stored.compression).then(|| compression.to_string()),
            encryption: (encryption != stored.encryption).then(|| encryption.to_string()),
            path: PathText::of(&file.path),
            size: file.size,
            modified: file.modified,
            mode: mode_text(file.mode),
            crc32c: format!("{:08x}", digests.crc32c),
            blake3: hex::encode(&digests.blake3),
            stored: PathText::of(&file.stored_path),
            stored_size: file.stored_size,
            sha256: hex::encode(&digests.sha256),
        })
    }

    /// Parses a line; `stored` is the format of the header if it is the default for this file.
    pub fn parse(self, stored: Option<StoredFormat>) -> Result<ManifestFile> {
        let digest = |text: &str| hex::decode_array(text).ok_or_else(|| invalid("digest", text));
        let crc32c = hex::decode_array(&self.crc32c).map(u32::from_be_bytes);
        let mut own = stored;
        if let (Some(own), Some(word)) = (&mut own, &self.compression) {
            own.compression = compression(word)?;
        }
        if let (Some(own), Some(word)) = (&mut own, &self.encryption) {
            own.encryption = encryption(word)?;
        }
        Ok(ManifestFile {
            path: self.path.into_relative()?,
            size: self.size,
            modified: self.modified,
            mode: mode(&self.mode)?,
            stored_path: self.stored.into_relative()?,
            stored: own,
            stored_size: self.stored_size,
            digests: DigestValues::Own(OwnDigests {
                crc32c: crc32c.ok_or_else(|| invalid("checksum", &self.crc32c))?,
                blake3: digest(&self.blake3)?,
                sha256: digest(&self.sha256)?,
            }),
            combined: None,
        })
    }
}

impl ConfigLine {
    /// Parses the setting and the file, as [`FileLine::parse`].
    pub fn parse(self, stored: StoredFormat) -> Result<(ConfigFile, ManifestFile)> {
        let what = ConfigFile::of_setting(&self.setting);
        let what = what.ok_or_else(|| invalid("setting with a file", &self.setting))?;
        Ok((what, self.file.parse(Some(stored))?))
    }
}

impl TablespaceLine {
    pub fn of(tablespace: &TablespaceInfo) -> TablespaceLine {
        TablespaceLine {
            oid: tablespace.oid,
            name: tablespace.name.clone(),
            location: PathText::of(&tablespace.path),
        }
    }

    /// Parses a line. The name becomes part of a directory name.
    pub fn parse(self) -> Result<TablespaceInfo> {
        let name = Path::new(&self.name);
        let one = name.components().count() == 1 && is_relative_path(name);
        let strange = |c: char| c == '/' || c.is_control();
        if self.oid == 0 || !one || self.name.contains(strange) {
            let named = format!("{} (OID {})", self.name, self.oid);
            return Err(invalid("tablespace", &named));
        }
        Ok(TablespaceInfo {
            name: self.name,
            oid: self.oid,
            path: self.location.into_path()?,
        })
    }
}

impl Line {
    /// The line as JSON with a newline.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(|error| internal(&error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Parses a line without its newline.
    pub fn parse(bytes: &[u8]) -> Result<Line> {
        serde_json::from_slice(bytes)
            .map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))
            .context("read a line")
    }
}

fn compression(word: &str) -> Result<Compression> {
    let mut all = Compression::ALL.into_iter();
    let found = all.find(|one| one.to_string() == word);
    found.ok_or_else(|| invalid("compression", word))
}

fn encryption(word: &str) -> Result<Encryption> {
    let mut all = Encryption::ALL.into_iter();
    let found = all.find(|one| one.to_string() == word);
    found.ok_or_else(|| invalid("encryption", word))
}

/// Permission bits as four octal digits.
pub(super) fn mode_text(mode: u32) -> String {
    format!("{mode:04o}")
}

/// Parses octal permission bits.
pub(super) fn mode(text: &str) -> Result<u32> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| invalid("mode", text))
}

fn invalid(what: &str, text: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{text:?} is not a {what}"))
}

fn internal(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("write JSON: {error}"))
}
