//! PostgreSQL's backup manifest (`backup_manifest`; PostgreSQL documentation, chapter "Backup
//! Manifest Format").

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::hex;
use crate::crypto::{Sha256, Sha512};
use crate::error::{Error, ErrorKind, Result};
use crate::unit::{Lsn, Timeline, Timestamp, to_u64};

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
    /// When it was modified, seconds since 1970 UTC; `None` if not recorded.
    pub modified: Option<i64>,
    /// The CRC-32C in the byte order of the server; `None` for another algorithm or no checksum.
    pub crc32c: Option<[u8; 4]>,
    /// The SHA-512; `None` for another algorithm or no checksum.
    pub sha512: Option<[u8; 64]>,
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

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileLine<'a> {
    #[serde(rename = "Path", borrow, skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(
        rename = "Encoded-Path",
        borrow,
        skip_serializing_if = "Option::is_none"
    )]
    encoded_path: Option<Cow<'a, str>>,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(
        rename = "Last-Modified",
        borrow,
        skip_serializing_if = "Option::is_none"
    )]
    last_modified: Option<Cow<'a, str>>,
    #[serde(
        rename = "Checksum-Algorithm",
        borrow,
        skip_serializing_if = "Option::is_none"
    )]
    algorithm: Option<Cow<'a, str>>,
    #[serde(rename = "Checksum", borrow, skip_serializing_if = "Option::is_none")]
    checksum: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Serialize)]
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

/// A file that takes the place of another one in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedFile {
    /// Its path, relative to the data directory.
    pub path: PathBuf,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-512.
    pub sha512: [u8; 64],
}

impl ReplacedFile {
    /// The file at `path` with this content.
    pub fn new(path: &Path, content: &[u8]) -> ReplacedFile {
        let mut sha512 = Sha512::new();
        sha512.update(content);
        ReplacedFile {
            path: path.to_owned(),
            size: to_u64(content.len()),
            sha512: sha512.finish(),
        }
    }
}

impl BackupManifest {
    /// The manifest in `bytes` with some files replaced, by their paths in it.
    pub fn replace_files(
        bytes: &[u8],
        replaced: &BTreeMap<PathBuf, ReplacedFile>,
    ) -> Result<Vec<u8>> {
        let document: Document<'_, Vec<FileLine<'_>>> =
            serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        document.check_version()?;
        let mut text = format!(
            "{{ \"PostgreSQL-Backup-Manifest-Version\": {},\n",
            document.version
        );
        if let Some(identifier) = document.system_identifier {
            text.push_str(&format!("\"System-Identifier\": {identifier},\n"));
        }
        let mut files = Vec::with_capacity(document.files.len());
        for line in document.files {
            let entry = line.clone().parse()?;
            files.push(json(&match replaced.get(&entry.path) {
                Some(file) => line.replaced_by(file),
                None => line,
            })?);
        }
        let ranges = document.wal_ranges.iter().map(json);
        let ranges = ranges.collect::<Result<Vec<String>>>()?.join(",\n");
        text.push_str(&format!("\"Files\": [\n{}\n],\n", files.join(",\n")));
        text.push_str(&format!("\"WAL-Ranges\": [\n{ranges}\n],\n"));
        let checksum = hex::encode(&Sha256::of(text.as_bytes()));
        text.push_str(&format!("\"Manifest-Checksum\": \"{checksum}\"}}\n"));
        Ok(text.into_bytes())
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value);
    text.map_err(|error| Error::new(ErrorKind::Internal, format!("write JSON: {error}")))
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
    fn replaced_by(self, file: &ReplacedFile) -> Self {
        let text = file.path.to_str();
        let encoded = hex::encode(file.path.as_os_str().as_bytes());
        FileLine {
            path: text.map(|text| text.to_owned().into()),
            encoded_path: text.is_none().then(|| encoded.into()),
            size: file.size,
            algorithm: Some("SHA512".into()),
            checksum: Some(hex::encode(&file.sha512).into()),
            ..self
        }
    }

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
        let (algorithm, checksum) = (self.algorithm.as_deref(), self.checksum.as_deref());
        Ok(ManifestEntry {
            path,
            size: self.size,
            modified: self.last_modified.as_deref().and_then(seconds),
            crc32c: digest((algorithm, "CRC32C"), checksum)?,
            sha512: digest((algorithm, "SHA512"), checksum)?,
        })
    }
}

/// The digest, if its algorithm is the wanted one.
fn digest<const N: usize>(
    (algorithm, wanted): (Option<&str>, &str),
    digits: Option<&str>,
) -> Result<Option<[u8; N]>> {
    let Some(digits) = digits.filter(|_| algorithm == Some(wanted)) else {
        return Ok(None);
    };
    let invalid = || invalid(format!("{digits:?} is not a checksum"));
    hex::decode_array(digits).map(Some).ok_or_else(invalid)
}

/// Seconds since 1970 of `YYYY-MM-DD HH:MM:SS GMT`.
fn seconds(time: &str) -> Option<i64> {
    let civil = time.strip_suffix(" GMT")?;
    let timestamp: Timestamp = format!("{civil}+00").parse().ok()?;
    Some(timestamp.0.div_euclid(1_000_000))
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
        let body = format!(
            "{}\n",
            body.replace("SHA\"", &format!("{}\"", "a5".repeat(64)))
        );
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
{ "Encoded-Path": "62617365ff", "Size": 8192, "Last-Modified": "2026-11-22 14:00:00 GMT",
  "Checksum-Algorithm": "SHA512", "Checksum": "SHA" }
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
        assert_eq!(label.modified, Some(1_795_356_000));
        assert_eq!((label.sha512, encoded.sha512), (None, Some([0xa5; 64])));
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
    fn replaced_files_are_in_a_manifest_that_is_valid() {
        let file = ReplacedFile {
            path: "base/new".into(),
            size: 7,
            sha512: [9; 64],
        };
        let replaced = BTreeMap::from([("odd \"name\"".into(), file)]);
        let text = BackupManifest::replace_files(&with_checksum(BODY), &replaced).unwrap();
        let before = BackupManifest::parse(&with_checksum(BODY)).unwrap();
        let after = BackupManifest::parse(&text).unwrap();
        let [label, new, encoded] = &after.files[..] else {
            panic!("{:?}", after.files)
        };
        assert_eq!((label, encoded), (&before.files[0], &before.files[2]));
        assert_eq!((new.path.to_str(), new.size), (Some("base/new"), 7));
        assert_eq!((new.sha512, new.crc32c), (Some([9; 64]), None));
        assert_eq!(after.wal_ranges, before.wal_ranges);
        assert_eq!(after.system_identifier, before.system_identifier);
        assert!(BackupManifest::replace_files(b"{}", &replaced).is_err());
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
