//! PostgreSQL's backup manifest (`backup_manifest`; PostgreSQL documentation, chapter "Backup
//! Manifest Format").

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::hex;
use crate::crypto::Sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::unit::{Lsn, Timeline};

/// The server's manifest of a base backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupManifest {
    /// The system identifier of the cluster; from PostgreSQL 17 on (version 2 of the format).
    pub system_identifier: Option<u64>,
    /// Every file except the manifest itself and WAL, in the order in which they were sent.
    pub files: Vec<ManifestEntry>,
    /// The WAL that the backup needs, newest timeline first.
    pub wal_ranges: Vec<WalRange>,
}

/// What the server's manifest says of the base backup as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestSummary {
    /// The system identifier of the cluster; from PostgreSQL 17 on (version 2 of the format).
    pub system_identifier: Option<u64>,
    /// The WAL that the backup needs, newest timeline first.
    pub wal_ranges: Vec<WalRange>,
}

/// A file of a base backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// The path relative to the data directory, `pg_tblspc/<oid>/…` in a tablespace; need not be
    /// UTF-8.
    pub path: PathBuf,
    /// The size in bytes.
    pub size: u64,
    /// The CRC-32C in the byte order of the server; `None` for another algorithm or no checksum.
    pub crc32c: Option<[u8; 4]>,
}

/// A range of WAL that the backup needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalRange {
    /// The timeline that wrote the range.
    pub timeline: Timeline,
    /// The first byte.
    pub start: Lsn,
    /// The byte after the last one.
    pub end: Lsn,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a, F> {
    #[serde(rename = "PostgreSQL-Backup-Manifest-Version")]
    version: u32,
    #[serde(rename = "System-Identifier")]
    system_identifier: Option<u64>,
    #[serde(rename = "Files")]
    files: F,
    #[serde(rename = "WAL-Ranges", borrow)]
    wal_ranges: Vec<Range<'a>>,
    #[serde(rename = "Manifest-Checksum", borrow)]
    checksum: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLine<'a> {
    #[serde(rename = "Path", borrow)]
    path: Option<Cow<'a, str>>,
    #[serde(rename = "Encoded-Path", borrow)]
    encoded_path: Option<Cow<'a, str>>,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Last-Modified", borrow)]
    _last_modified: Option<Cow<'a, str>>,
    #[serde(rename = "Checksum-Algorithm", borrow)]
    algorithm: Option<Cow<'a, str>>,
    #[serde(rename = "Checksum", borrow)]
    checksum: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range<'a> {
    #[serde(rename = "Timeline")]
    timeline: u32,
    #[serde(rename = "Start-LSN", borrow)]
    start: Cow<'a, str>,
    #[serde(rename = "End-LSN", borrow)]
    end: Cow<'a, str>,
}

impl BackupManifest {
    /// Parses a manifest of version 1 or 2 and verifies its checksum.
    pub fn parse(bytes: &[u8]) -> Result<BackupManifest> {
        let document: Document<'_, Vec<FileLine<'_>>> =
            serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        document.check_version()?;
        if hex::decode_array(&document.checksum) != Some(Sha256::of(checksummed_part(bytes)?)) {
            return Err(invalid("its checksum does not match".to_owned()));
        }
        let files = document.files.into_iter().map(FileLine::parse);
        let wal_ranges = document.wal_ranges.into_iter().map(Range::parse);
        Ok(BackupManifest {
            system_identifier: document.system_identifier,
            files: files.collect::<Result<_>>()?,
            wal_ranges: wal_ranges.collect::<Result<_>>()?,
        })
    }
}

impl ManifestSummary {
    /// Reads a manifest of version 1 or 2 without keeping the list of the files. Its checksum is
    /// not verified: the caller knows the digest of the file.
    pub fn read(input: impl Read) -> Result<ManifestSummary> {
        let mut input = serde_json::Deserializer::from_reader(input);
        let failed = |error: serde_json::Error| match error.is_io() {
            true => Error::from(io::Error::from(error)),
            false => invalid(error.to_string()),
        };
        let document = Document::<'static, IgnoredAny>::deserialize(&mut input).map_err(failed)?;
        input.end().map_err(failed)?;
        document.check_version()?;
        let wal_ranges = document.wal_ranges.into_iter().map(Range::parse);
        Ok(ManifestSummary {
            system_identifier: document.system_identifier,
            wal_ranges: wal_ranges.collect::<Result<_>>()?,
        })
    }
}

impl<F> Document<'_, F> {
    fn check_version(&self) -> Result<()> {
        if matches!(self.version, 1 | 2) {
            return Ok(());
        }
        let version = self.version;
        Err(invalid(format!("its version {version} is not known")))
    }
}

/// The bytes that the checksum covers: all before the last line.
fn checksummed_part(bytes: &[u8]) -> Result<&[u8]> {
    let last_but_one = bytes
        .strip_suffix(b"\n")
        .and_then(|body| body.iter().rposition(|byte| *byte == b'\n'));
    last_but_one
        .and_then(|at| bytes.get(..=at))
        .ok_or_else(|| invalid("it has no checksum line".to_owned()))
}

impl FileLine<'_> {
    fn parse(self) -> Result<ManifestEntry> {
        let path = match (self.path, self.encoded_path) {
            (Some(path), None) => PathBuf::from(path.into_owned()),
            (None, Some(digits)) => {
                let bytes = hex::decode(&digits);
                let bytes = bytes.ok_or_else(|| invalid(format!("{digits:?} is not a path")))?;
                OsString::from_vec(bytes).into()
            }
            _ => return Err(invalid("a file has no path, or two".to_owned())),
        };
        let crc32c = match (self.algorithm.as_deref(), self.checksum) {
            (Some("CRC32C"), Some(digits)) => {
                let crc32c = hex::decode_array(&digits);
                let invalid = || invalid(format!("{digits:?} is not a checksum"));
                Some(crc32c.ok_or_else(invalid)?)
            }
            _ => None,
        };
        Ok(ManifestEntry {
            path,
            size: self.size,
            crc32c,
        })
    }
}

impl Range<'_> {
    fn parse(self) -> Result<WalRange> {
        let position = |text: &str| {
            let parsed = text.parse();
            parsed.map_err(|_| invalid(format!("{text:?} is not a WAL position")))
        };
        Ok(WalRange {
            timeline: Timeline::new(self.timeline)
                .ok_or_else(|| invalid("a timeline is 0".to_owned()))?,
            start: position(&self.start)?,
            end: position(&self.end)?,
        })
    }
}

impl ManifestEntry {
    /// Whether `crc32c` is the checksum of the file; `None` if the manifest has none. PostgreSQL
    /// writes the number in the byte order of the server, so both byte orders are accepted.
    pub fn matches(&self, crc32c: u32) -> Option<bool> {
        let expected = self.crc32c?;
        Some([crc32c.to_le_bytes(), crc32c.to_be_bytes()].contains(&expected))
    }
}

fn invalid(what: String) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the server's backup manifest: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_checksum(body: &str) -> Vec<u8> {
        let body = format!("{body}\n");
        let digest = hex::encode(&Sha256::of(body.as_bytes()));
        format!("{body}\"Manifest-Checksum\": \"{digest}\"}}\n").into_bytes()
    }

    const BODY: &str = r#"{ "PostgreSQL-Backup-Manifest-Version": 2,
"System-Identifier": 7420000000000000001,
"Files": [
{ "Path": "backup_label", "Size": 227, "Last-Modified": "2026-11-22 14:00:00 GMT",
  "Checksum-Algorithm": "CRC32C", "Checksum": "0a0b0c0d" },
{ "Path": "odd \"name\"", "Size": 0, "Last-Modified": "2026-11-22 14:00:00 GMT",
  "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" },
{ "Encoded-Path": "62617365ff", "Size": 8192, "Last-Modified": "2026-11-22 14:00:00 GMT" }
],
"WAL-Ranges": [
{ "Timeline": 2, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }
],"#;

    #[test]
    fn a_manifest_of_postgresql_is_parsed() {
        let manifest = BackupManifest::parse(&with_checksum(BODY)).unwrap();
        assert_eq!(manifest.system_identifier, Some(7_420_000_000_000_000_001));
        let [label, odd, encoded] = &manifest.files[..] else {
            panic!("{:?}", manifest.files)
        };
        assert_eq!(label.size, 227);
        assert_eq!(label.matches(0x0d0c_0b0a), Some(true));
        assert_eq!(label.matches(0x0a0b_0c0d), Some(true));
        assert_eq!(label.matches(0x0a0b_0c0e), Some(false));
        assert_eq!(odd.path, PathBuf::from("odd \"name\""));
        assert_eq!(
            encoded.path.clone().into_os_string().into_vec(),
            b"base\xff"
        );
        assert_eq!(manifest.wal_ranges[0].end, Lsn(0x200_0100));
        let summary = ManifestSummary::read(&with_checksum(BODY)[..]).unwrap();
        assert_eq!(summary.system_identifier, manifest.system_identifier);
        assert_eq!(summary.wal_ranges, manifest.wal_ranges);
        let other = BODY.replace("Version\": 2", "Version\": 3");
        for wrong in [BODY.as_bytes(), &with_checksum(&other), b""] {
            assert!(ManifestSummary::read(wrong).is_err());
        }
    }

    #[test]
    fn version_one_has_no_system_identifier() {
        let body = BODY.replace("Version\": 2", "Version\": 1");
        let body = body.replace("\"System-Identifier\": 7420000000000000001,\n", "");
        let manifest = BackupManifest::parse(&with_checksum(&body)).unwrap();
        assert_eq!(manifest.system_identifier, None);
    }

    #[test]
    fn an_invalid_manifest_is_refused() {
        let mut changed = with_checksum(BODY);
        let at = changed
            .windows(3)
            .position(|three| three == b"227")
            .unwrap();
        changed[at] = b'3';
        let failure = BackupManifest::parse(&changed).unwrap_err();
        assert!(failure.message().contains("checksum"), "{failure}");
        for (from, to) in [
            ("Version\": 2", "Version\": 3"),
            ("Version\": 2", "Version\": -2"),
            ("\"Size\": 227", "\"Size\": \"227\""),
            ("\"Size\": 227", "\"Size\": 99999999999999999999"),
            ("\"Path\": \"backup_label\"", "\"Pfad\": \"backup_label\""),
            ("\"Path\": \"backup_label\", ", ""),
            ("62617365ff", "6"),
            ("0a0b0c0d", "0a0b0c"),
            ("0/2000028", "2000028"),
            ("\"Timeline\": 2", "\"Timeline\": 0"),
            ("\"WAL-Ranges\": [", "\"WAL-Ranges\": [{},"),
            ("],", "]"),
        ] {
            assert!(BODY.contains(from), "{from}");
            let body = with_checksum(&BODY.replace(from, to));
            let failure = BackupManifest::parse(&body).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Corrupt, "{to}");
        }
        let whole = with_checksum(BODY);
        for length in [0, 1, 100, whole.len() / 2, whole.len() - 2] {
            assert!(BackupManifest::parse(&whole[..length]).is_err(), "{length}");
        }
        assert!(BackupManifest::parse(&whole[..whole.len() - 1]).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_give_an_error(
            at in any::<prop::sample::Index>(),
            noise in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut bytes = with_checksum(BODY);
            let body = bytes.len() - 90;
            let at = at.index(body);
            let end = (at + noise.len()).min(body);
            let same = bytes[at..end] == noise[..];
            bytes.splice(at..end, noise.iter().copied());
            prop_assert!(same || BackupManifest::parse(&bytes).is_err());
        }
    }
}
