//! The lines of `backup.manifest`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ManifestFile, TablespaceInfo};
use crate::codec::Stored;
use crate::error::{Context, Failure, Kind, Result};
use crate::format::{ConfigFile, hex};
use crate::unit::{Compression, Encryption};

/// The version of the format. In version 1 a file did not say that it is stored otherwise than the others.
pub(super) const VERSION: u32 = 2;

/// A line of `backup.manifest`: a JSON object of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// The first line.
    Backup(Head),
    /// A tablespace.
    Tablespace(TablespaceLine),
    /// A directory.
    Directory(DirectoryLine),
    /// A symbolic link.
    Link(LinkLine),
    /// A file of the data directory or of a tablespace.
    File(FileLine),
    /// A file of the WAL that the backup needs.
    Wal(FileLine),
    /// A configuration file that is not in the data directory.
    Config(ConfigLine),
    /// The last line: how many there were between.
    End(u64),
}

/// What the manifest is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
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
    pub location: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectoryLine {
    pub path: Text,
    pub mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkLine {
    pub path: Text,
    pub target: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileLine {
    pub path: Text,
    pub size: u64,
    pub modified: i64,
    pub mode: String,
    pub crc32c: String,
    pub blake3: String,
    pub stored: Text,
    pub stored_size: u64,
    pub sha256: String,
    /// If it is compressed otherwise than the manifest's head says: how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// If it is encrypted otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigLine {
    pub setting: String,
    pub file: FileLine,
}

/// A path as JSON: text where it is UTF-8, else its bytes in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    Utf8(String),
    Bytes { hex: String },
}

impl Text {
    pub fn of(path: &Path) -> Text {
        match path.to_str() {
            Some(text) => Text::Utf8(text.to_owned()),
            None => Text::Bytes {
                hex: hex::encode(path.as_os_str().as_bytes()),
            },
        }
    }

    /// The path, whatever it is.
    pub fn any(self) -> Result<PathBuf> {
        match self {
            Text::Utf8(text) => Ok(text.into()),
            Text::Bytes { hex } => {
                let bytes = hex::decode(&hex).ok_or_else(|| wrong("path", &hex))?;
                Ok(OsString::from_vec(bytes).into())
            }
        }
    }

    /// The path, if it stays below where it starts.
    pub fn below(self) -> Result<PathBuf> {
        let path = self.any()?;
        if stays_below(&path) {
            Ok(path)
        } else {
            Err(wrong("path", &path.display().to_string()))
        }
    }
}

/// Whether a path is relative, names something, and goes down only.
pub(super) fn stays_below(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    !bytes.is_empty()
        && !bytes.contains(&0)
        && path
            .components()
            .all(|component| matches!(component, Component::Normal(_)))
}

impl Head {
    /// How the files are stored.
    pub fn stored(&self) -> Result<Stored> {
        Ok(Stored {
            compression: compression(&self.compression)?,
            encryption: encryption(&self.encryption)?,
        })
    }
}

impl LinkLine {
    /// Its path, and its text, which leads nowhere but further down; that of `pg_wal` is not followed.
    pub fn parse(self) -> Result<(PathBuf, PathBuf)> {
        let path = self.path.below()?;
        let target = if path == Path::new("pg_wal") {
            self.target.any()?
        } else {
            self.target.below()?
        };
        Ok((path, target))
    }
}

impl FileLine {
    /// The line of a file in a manifest whose head says `stored`.
    pub fn of(file: &ManifestFile, stored: Stored) -> FileLine {
        let own = file.stored.unwrap_or(stored);
        let (compression, encryption) = (own.compression, own.encryption);
        FileLine {
            compression: (compression != stored.compression).then(|| compression.to_string()),
            encryption: (encryption != stored.encryption).then(|| encryption.to_string()),
            path: Text::of(&file.path),
            size: file.size,
            modified: file.modified,
            mode: mode_text(file.mode),
            crc32c: format!("{:08x}", file.crc32c),
            blake3: hex::encode(&file.blake3),
            stored: Text::of(&file.stored_path),
            stored_size: file.stored_size,
            sha256: hex::encode(&file.sha256),
        }
    }

    /// Reads a line; `stored` is what the manifest's head says, if that is true of the file unless it says otherwise.
    pub fn parse(self, stored: Option<Stored>) -> Result<ManifestFile> {
        let digest = |text: &str| hex::decode_array(text).ok_or_else(|| wrong("digest", text));
        let crc32c = hex::decode_array(&self.crc32c).map(u32::from_be_bytes);
        let mut own = stored;
        if let (Some(own), Some(word)) = (&mut own, &self.compression) {
            own.compression = compression(word)?;
        }
        if let (Some(own), Some(word)) = (&mut own, &self.encryption) {
            own.encryption = encryption(word)?;
        }
        Ok(ManifestFile {
            path: self.path.below()?,
            size: self.size,
            modified: self.modified,
            mode: mode(&self.mode)?,
            crc32c: crc32c.ok_or_else(|| wrong("checksum", &self.crc32c))?,
            blake3: digest(&self.blake3)?,
            stored_path: self.stored.below()?,
            stored: own,
            stored_size: self.stored_size,
            sha256: digest(&self.sha256)?,
        })
    }
}

impl ConfigLine {
    /// As [`FileLine::parse`].
    pub fn parse(self, stored: Stored) -> Result<(ConfigFile, ManifestFile)> {
        let what = ConfigFile::of_setting(&self.setting);
        let what = what.ok_or_else(|| wrong("setting with a file", &self.setting))?;
        Ok((what, self.file.parse(Some(stored))?))
    }
}

impl TablespaceLine {
    pub fn of(tablespace: &TablespaceInfo) -> TablespaceLine {
        TablespaceLine {
            oid: tablespace.oid,
            name: tablespace.name.clone(),
            location: Text::of(&tablespace.path),
        }
    }

    /// Reads a line. The name becomes part of the name of a directory.
    pub fn parse(self) -> Result<TablespaceInfo> {
        let name = Path::new(&self.name);
        let one = name.components().count() == 1 && stays_below(name);
        let strange = |c: char| c == '/' || c.is_control();
        if self.oid == 0 || !one || self.name.contains(strange) {
            let named = format!("{} (OID {})", self.name, self.oid);
            return Err(wrong("tablespace", &named));
        }
        Ok(TablespaceInfo {
            name: self.name,
            oid: self.oid,
            path: self.location.any()?,
        })
    }
}

impl Line {
    /// The line with its line break.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(|error| internal(&error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a line without its line break.
    pub fn parse(bytes: &[u8]) -> Result<Line> {
        serde_json::from_slice(bytes)
            .map_err(|error| Failure::new(Kind::Corrupt, error.to_string()))
            .context("read a line")
    }
}

fn compression(word: &str) -> Result<Compression> {
    let mut all = Compression::ALL.into_iter();
    let found = all.find(|one| one.to_string() == word);
    found.ok_or_else(|| wrong("compression", word))
}

fn encryption(word: &str) -> Result<Encryption> {
    let mut all = Encryption::ALL.into_iter();
    let found = all.find(|one| one.to_string() == word);
    found.ok_or_else(|| wrong("encryption", word))
}

/// Permission bits as `chmod` takes them.
pub(super) fn mode_text(mode: u32) -> String {
    format!("{mode:04o}")
}

/// Reads permission bits.
pub(super) fn mode(text: &str) -> Result<u32> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| wrong("mode", text))
}

fn wrong(what: &str, text: &str) -> Failure {
    Failure::new(Kind::Corrupt, format!("{text:?} is not a {what}"))
}

fn internal(error: &serde_json::Error) -> Failure {
    Failure::new(Kind::Internal, format!("write JSON: {error}"))
}
