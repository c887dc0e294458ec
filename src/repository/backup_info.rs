//! `backup.info`: the summary of a backup.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::layout::INFO;
use super::signature::{Signature, sign};
use crate::codec::Compression;
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::hex;
use crate::storage;
use crate::unit::{
    BackupStep, Encryption, Label, Lsn, PgVersion, StepTimes, Timeline, WalPosition, escaped,
};

/// Limit for the file, bytes: it has a few kilobytes, more with many tablespaces.
pub(super) const MAX_SIZE: u64 = 4 << 20;

/// `backup.info`: lines `KEY=value` that the C program 0.22 reads too, plus keys of this program.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupInfo {
    /// `STATUS=1`: the backup is complete and can be restored.
    pub valid: bool,
    /// `WAL`: the name of the first segment that it needs.
    pub wal: String,
    /// `BACKUP`: bytes on disk.
    pub backup_size: u64,
    /// `RESTORE`: bytes when restored, without WAL.
    pub restore_size: u64,
    /// `BIGGEST_FILE`: bytes of the largest file when restored.
    pub biggest_file: u64,
    /// `ELAPSED`: duration of the backup, seconds.
    pub elapsed: f64,
    /// `BASEBACKUP_ELAPSED`, `HASH_ELAPSED` and so on: the duration of each step.
    pub steps: StepTimes,
    /// `MAJOR_VERSION`, `MINOR_VERSION` of the server.
    pub version: PgVersion,
    /// `KEEP`: excluded from retention.
    pub keep: bool,
    /// `COMPRESSION` of every stored file.
    pub compression: Compression,
    /// `ENCRYPTION` of every stored file.
    pub encryption: Encryption,
    /// `TABLESPACEn`, `TABLESPACE_OIDn`, `TABLESPACE_PATHn`.
    pub tablespaces: Vec<TablespaceInfo>,
    /// `START_TIMELINE`, `START_WALPOS`: where recovery starts.
    pub start: WalPosition,
    /// `END_TIMELINE`, `END_WALPOS`: where recovery is consistent.
    pub end: WalPosition,
    /// `CHKPT_WALPOS`: the position of the checkpoint record.
    pub checkpoint: Lsn,
    /// `COMMENTS`: `key|value` pairs joined by commas.
    pub comments: String,
    /// `SYSTEM_IDENTIFIER` of the cluster; a key of this program.
    pub system_identifier: Option<u64>,
    /// `STOP_TIME`: the server's clock at the end, microseconds since 1970 UTC; a key of this
    /// program.
    pub stop_time: Option<i64>,
    /// `MANIFEST_SHA256`: of `backup.manifest`; a key of this program.
    pub manifest_sha256: Option<[u8; 32]>,
    /// `LINKED`: bytes of the stored files that were linked to an older backup when it was made; a
    /// key of this program.
    pub linked_size: u64,
    /// `SYMBOLIC_LINKS=1`: some of these are symbolic links; a key of this program.
    pub symbolic_links: bool,
    /// `PARENT` if `TYPE=1`: the label of the parent of an incremental backup, which only the C
    /// program takes.
    pub parent: Option<String>,
    /// `WARNINGn`: warnings of the server during BASE_BACKUP; keys of this program.
    pub warnings: Vec<String>,
}

/// A tablespace of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablespaceInfo {
    /// `tblspc_<name>`, with the name on the server; in backups of version 0.1.0 `tblspc_<oid>`.
    pub name: String,
    /// The OID, which is the name of the link in `pg_tblspc`, or of the directory of an in-place
    /// tablespace.
    pub oid: u32,
    /// The location on the server, or `pg_tblspc/<oid>`; need not be UTF-8. Escaped in
    /// `backup.info`, unchanged in the manifest.
    pub path: PathBuf,
}

impl TablespaceInfo {
    /// The location as text: unchanged if it is UTF-8, else with escapes.
    pub fn location(&self) -> Cow<'_, str> {
        match self.path.to_str() {
            Some(text) => text.into(),
            None => escaped(self.path.as_os_str().as_bytes()).into(),
        }
    }

    /// Whether it is a directory below `pg_tblspc` (`allow_in_place_tablespaces`): the server sends
    /// a relative path then (`do_pg_backup_start`, PostgreSQL 16 to 18 `xlog.c`).
    pub fn is_in_place(&self) -> bool {
        self.path.is_relative()
    }

    /// The name without the prefix `tblspc_`.
    pub fn short_name(&self) -> &str {
        self.name.strip_prefix("tblspc_").unwrap_or(&self.name)
    }
}

impl BackupInfo {
    /// Placeholder for a `backup.info` that cannot be read.
    pub(super) fn unreadable() -> BackupInfo {
        BackupInfo {
            valid: false,
            wal: String::new(),
            backup_size: 0,
            restore_size: 0,
            biggest_file: 0,
            elapsed: 0.0,
            steps: StepTimes::default(),
            version: PgVersion { major: 0, minor: 0 },
            keep: false,
            compression: Compression::None,
            encryption: Encryption::None,
            tablespaces: Vec::new(),
            start: Timeline::FIRST.at(Lsn::ZERO),
            end: Timeline::FIRST.at(Lsn::ZERO),
            checkpoint: Lsn::ZERO,
            comments: String::new(),
            system_identifier: None,
            stop_time: None,
            manifest_sha256: None,
            linked_size: 0,
            symbolic_links: false,
            parent: None,
            warnings: Vec::new(),
        }
    }

    /// The content of the file, keys in the order of the C program.
    pub fn to_text(&self, label: &Label) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key}={}", one_line(&value.to_string()));
        };
        line("PGMONETA_VERSION", &env!("CARGO_PKG_VERSION"));
        line("STATUS", &u8::from(self.valid));
        line("LABEL", label);
        line("WAL", &self.wal);
        line("BACKUP", &self.backup_size);
        line("RESTORE", &self.restore_size);
        line("BIGGEST_FILE", &self.biggest_file);
        line("ELAPSED", &format!("{:.4}", self.elapsed));
        for (step, word) in BackupStep::ALL {
            let seconds = self.steps.get(step);
            line(&format!("{word}_ELAPSED"), &format!("{seconds:.4}"));
        }
        line("MAJOR_VERSION", &self.version.major);
        line("MINOR_VERSION", &self.version.minor);
        line("KEEP", &u8::from(self.keep));
        line("TABLESPACES", &self.tablespaces.len());
        line("COMPRESSION", &self.compression.info_code());
        line("ENCRYPTION", &self.encryption.code());
        for (number, tablespace) in (1..).zip(&self.tablespaces) {
            line(&format!("TABLESPACE{number}"), &tablespace.name);
            line(&format!("TABLESPACE_OID{number}"), &tablespace.oid);
            line(&format!("TABLESPACE_PATH{number}"), &tablespace.location());
        }
        line("START_WALPOS", &self.start.lsn);
        line("END_WALPOS", &self.end.lsn);
        line("CHKPT_WALPOS", &self.checkpoint);
        line("START_TIMELINE", &self.start.timeline);
        line("END_TIMELINE", &self.end.timeline);
        line("TYPE", &0);
        line("PARENT", &"");
        line("COMMENTS", &self.comments);
        line("EXTRA", &"");
        if let Some(identifier) = self.system_identifier {
            line("SYSTEM_IDENTIFIER", &identifier);
        }
        if let Some(time) = self.stop_time {
            line("STOP_TIME", &time);
        }
        if let Some(digest) = &self.manifest_sha256 {
            line("MANIFEST_SHA256", &hex::encode(digest));
        }
        if self.linked_size > 0 {
            line("LINKED", &self.linked_size);
        }
        if self.symbolic_links {
            line("SYMBOLIC_LINKS", &1);
        }
        for (number, warning) in (1..).zip(&self.warnings) {
            line(&format!("WARNING{number}"), warning);
        }
        text
    }

    /// Parses the file, of this or of the C program. Keys may be missing and come in any order;
    /// unknown ones are skipped. A value that does not parse, or a label other than `label`, is
    /// [`ErrorKind::Corrupt`].
    pub fn parse(text: &[u8], label: &Label) -> Result<BackupInfo> {
        let values = Values::split(text)?;
        if let Some(other) = values
            .text("LABEL")
            .filter(|other| *other != label.as_str())
        {
            return Err(corrupt(format!("LABEL is {other:?}, not {label}")));
        }
        let incremental = values.number::<u32>("TYPE")?.unwrap_or(0) != 0;
        let parent = values.text("PARENT").unwrap_or_default();
        Ok(BackupInfo {
            valid: values.text("STATUS") == Some("1"),
            wal: values.text("WAL").unwrap_or_default().to_owned(),
            backup_size: values.number("BACKUP")?.unwrap_or(0),
            restore_size: values.number("RESTORE")?.unwrap_or(0),
            biggest_file: values.number("BIGGEST_FILE")?.unwrap_or(0),
            elapsed: values.number("ELAPSED")?.unwrap_or(0.0),
            steps: values.steps(),
            version: PgVersion {
                major: values.number("MAJOR_VERSION")?.unwrap_or(0),
                minor: values.number("MINOR_VERSION")?.unwrap_or(0),
            },
            keep: values.text("KEEP") == Some("1"),
            compression: values
                .code("COMPRESSION", |code| {
                    Compression::from_code(legacy_compression(code))
                })?
                .unwrap_or(Compression::None),
            encryption: values
                .code("ENCRYPTION", Encryption::from_code)?
                .unwrap_or(Encryption::None),
            start: WalPosition {
                timeline: values.number("START_TIMELINE")?.unwrap_or(Timeline::FIRST),
                lsn: values.number("START_WALPOS")?.unwrap_or(Lsn::ZERO),
            },
            end: WalPosition {
                timeline: values.number("END_TIMELINE")?.unwrap_or(Timeline::FIRST),
                lsn: values.number("END_WALPOS")?.unwrap_or(Lsn::ZERO),
            },
            checkpoint: values.number("CHKPT_WALPOS")?.unwrap_or(Lsn::ZERO),
            comments: values.text("COMMENTS").unwrap_or_default().to_owned(),
            system_identifier: values.number("SYSTEM_IDENTIFIER")?,
            stop_time: values.number("STOP_TIME")?,
            manifest_sha256: values.digest("MANIFEST_SHA256")?,
            linked_size: values.number("LINKED")?.unwrap_or(0),
            symbolic_links: values.text("SYMBOLIC_LINKS") == Some("1"),
            parent: incremental.then(|| parent.to_owned()),
            tablespaces: values.tablespaces,
            warnings: values.warnings,
        })
    }

    /// The content of the file with the HMAC under `key` as its last line.
    pub fn signed_text(&self, label: &Label, key: &MasterKey) -> Result<String> {
        sign(self.to_text(label), key)
    }

    /// Replaces `backup.info` of the backup `label` in `directory`, durably and signed.
    pub(super) fn replace(&self, directory: &Path, label: &Label, key: &MasterKey) -> Result<()> {
        let text = self.signed_text(label, key)?;
        storage::replace(&directory.join(INFO), text.as_bytes())
    }

    /// Reads `backup.info` of the backup `label` in `directory`, and its signature if it has one.
    pub(super) fn read(directory: &Path, label: &Label) -> Result<(BackupInfo, Option<Signature>)> {
        let path = directory.join(INFO);
        let action = || format!("read {}", path.display());
        let text = storage::read_file(&path, MAX_SIZE).with_context(action)?;
        let info = BackupInfo::parse(&text, label).with_context(action)?;
        Ok((info, Signature::parse(&text).with_context(action)?))
    }
}

/// The lines of a file by key.
struct Values<'a> {
    values: HashMap<&'a str, &'a str>,
    tablespaces: Vec<TablespaceInfo>,
    warnings: Vec<String>,
}

impl<'a> Values<'a> {
    fn split(text: &'a [u8]) -> Result<Values<'a>> {
        let text = std::str::from_utf8(text)
            .map_err(|_| corrupt("it is not UTF-8".to_owned()))?
            .strip_suffix('\n')
            .ok_or_else(|| corrupt("it does not end with a newline".to_owned()))?;
        let mut values = HashMap::new();
        let mut tablespaces: Vec<TablespaceInfo> = Vec::new();
        let mut warnings = Vec::new();
        for line in text.split('\n') {
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| corrupt(format!("{line:?} is no key=value")))?;
            if is_numbered_key(key, "WARNING") {
                warnings.push(value.to_owned());
                continue;
            }
            match (key.strip_prefix("TABLESPACE"), tablespaces.last_mut()) {
                (Some(rest), Some(last)) if rest.starts_with("_OID") => {
                    last.oid = parse_value(key, value)?;
                }
                (Some(rest), Some(last)) if rest.starts_with("_PATH") => {
                    last.path = value.into();
                }
                _ if is_numbered_key(key, "TABLESPACE") => {
                    tablespaces.push(TablespaceInfo {
                        name: value.to_owned(),
                        oid: 0,
                        path: PathBuf::new(),
                    });
                }
                _ => {
                    values.insert(key, value);
                }
            }
        }
        Ok(Values {
            values,
            tablespaces,
            warnings,
        })
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).copied()
    }

    fn number<T: FromStr>(&self, key: &str) -> Result<Option<T>> {
        self.text(key)
            .map(|value| parse_value(key, value))
            .transpose()
    }

    /// They are only shown: one that does not parse is as none.
    fn steps(&self) -> StepTimes {
        let mut steps = StepTimes::default();
        for (step, word) in BackupStep::ALL {
            let seconds = self.text(&format!("{word}_ELAPSED"));
            let seconds = seconds.and_then(|seconds| seconds.parse().ok());
            steps.set(step, seconds.unwrap_or(0.0));
        }
        steps
    }

    fn digest(&self, key: &str) -> Result<Option<[u8; 32]>> {
        let invalid = || corrupt(format!("{key} is no SHA-256"));
        self.text(key)
            .map(|digits| hex::decode_array(digits).ok_or_else(invalid))
            .transpose()
    }

    fn code<T>(&self, key: &str, from: impl Fn(u32) -> Option<T>) -> Result<Option<T>> {
        let invalid = |code: u32| corrupt(format!("{key}={code} is no known code"));
        self.number(key)?
            .map(|code| from(code).ok_or_else(|| invalid(code)))
            .transpose()
    }
}

/// Whether a key is `word` and a number.
fn is_numbered_key(key: &str, word: &str) -> bool {
    let number = key.strip_prefix(word);
    number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
}

/// Versions up to 0.20 of the C program wrote 5 to 7 for server-side compression.
fn legacy_compression(code: u32) -> u32 {
    if (5..=7).contains(&code) {
        code - 4
    } else {
        code
    }
}

fn parse_value<T: FromStr>(key: &str, value: &str) -> Result<T> {
    value
        .parse()
        .map_err(|_| corrupt(format!("{key}={value} does not parse")))
}

fn corrupt(what: String) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

/// A value is one line; the manifest has the exact path of a tablespace.
fn one_line(value: &str) -> String {
    value.replace(|c: char| c.is_control(), "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        "20261122082253".parse().unwrap()
    }

    fn sample() -> BackupInfo {
        let mut steps = StepTimes::default();
        steps.set(BackupStep::BaseBackup, 1.7004);
        BackupInfo {
            steps,
            valid: true,
            wal: "00000001000000000000000A".to_owned(),
            backup_size: 15_593_472,
            restore_size: 31_000_000,
            biggest_file: 3_579_904,
            elapsed: 1.7004,
            version: PgVersion {
                major: 17,
                minor: 10,
            },
            compression: Compression::Zstd,
            encryption: Encryption::Aes192,
            tablespaces: vec![
                TablespaceInfo {
                    name: "tblspc_16400".to_owned(),
                    oid: 16400,
                    path: "/srv/a=b".into(),
                },
                TablespaceInfo {
                    name: "tblspc_16401".to_owned(),
                    oid: 16401,
                    path: "/srv/fast".into(),
                },
            ],
            start: Timeline::FIRST.at(Lsn(0xA00_0028)),
            end: Timeline::FIRST.at(Lsn(0xA00_0158)),
            checkpoint: Lsn(0xA00_0080),
            system_identifier: Some(u64::MAX),
            stop_time: Some(1_795_335_773_000_001),
            manifest_sha256: Some([0xa5; 32]),
            warnings: vec!["skipping special file \"./a=b\"".to_owned()],
            ..BackupInfo::unreadable()
        }
    }

    #[test]
    fn the_text_round_trips() {
        let info = sample();
        let text = info.to_text(&label());
        assert_eq!(BackupInfo::parse(text.as_bytes(), &label()).unwrap(), info);
        assert!(text.ends_with('\n') && !text.contains("\n\n"));
    }

    #[test]
    fn the_keys_of_the_c_program_come_first_and_in_its_order() {
        let text = sample().to_text(&label());
        let keys: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, _)| key)
            .collect();
        let expected = "PGMONETA_VERSION STATUS LABEL WAL BACKUP RESTORE BIGGEST_FILE ELAPSED \
            BASEBACKUP_ELAPSED HASH_ELAPSED COMPRESSION_ZSTD_ELAPSED COMPRESSION_GZIP_ELAPSED \
            COMPRESSION_BZIP2_ELAPSED COMPRESSION_LZ4_ELAPSED ENCRYPTION_ELAPSED LINKING_ELAPSED \
            MANIFEST_ELAPSED REMOTE_SSH_ELAPSED REMOTE_S3_ELAPSED REMOTE_AZURE_ELAPSED \
            MAJOR_VERSION MINOR_VERSION KEEP TABLESPACES COMPRESSION ENCRYPTION TABLESPACE1 \
            TABLESPACE_OID1 TABLESPACE_PATH1 TABLESPACE2 TABLESPACE_OID2 TABLESPACE_PATH2 \
            START_WALPOS END_WALPOS CHKPT_WALPOS START_TIMELINE END_TIMELINE TYPE PARENT COMMENTS \
            EXTRA SYSTEM_IDENTIFIER STOP_TIME MANIFEST_SHA256 WARNING1";
        assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
        assert!(text.contains("\nCOMPRESSION=18\nENCRYPTION=2\n"));
        assert!(text.contains("\nSTART_WALPOS=0/A000028\n"));
    }

    #[test]
    fn a_file_of_the_c_program_is_read() {
        let text = b"PGMONETA_VERSION=0.22.0\nSTATUS=1\nLABEL=20261122082253\n\
            WAL=00000001000000000000000A\nBACKUP=15593472\nRESTORE=15585280\nBIGGEST_FILE=3579904\n\
            ELAPSED=1.7004\nCOMPRESSION_ZSTD_ELAPSED=0.4000\nMAJOR_VERSION=17\n\
            MINOR_VERSION=10\nKEEP=0\nTABLESPACES=0\n\
            COMPRESSION=34\nENCRYPTION=0\nSTART_WALPOS=0/A000028\nEND_WALPOS=0/A000158\n\
            CHKPT_WALPOS=0/A000080\nSTART_TIMELINE=1\nEND_TIMELINE=1\nTYPE=0\nPARENT=\n\
            COMMENTS=k|v\nEXTRA=\n";
        let info = BackupInfo::parse(text, &label()).unwrap();
        assert!(info.valid);
        assert_eq!(info.compression, Compression::Zstd);
        assert_eq!(info.steps.get(BackupStep::CompressionZstd), 0.4);
        assert_eq!(info.end.lsn, Lsn(0xA00_0158));
        assert_eq!(info.comments, "k|v");
        assert_eq!((info.system_identifier, info.parent), (None, None));
        let increment = b"TYPE=1\nPARENT=20261122082250\n";
        let increment = BackupInfo::parse(increment, &label()).unwrap();
        assert_eq!(increment.parent.as_deref(), Some("20261122082250"));
        let old = BackupInfo::parse(b"COMPRESSION=5\n", &label()).unwrap();
        assert_eq!(old.compression, Compression::Gzip);
    }

    #[test]
    fn a_value_cannot_inject_a_line() {
        let mut info = sample();
        info.tablespaces[0].path = "/srv/x\nSTATUS=0".into();
        let text = info.to_text(&label());
        assert!(BackupInfo::parse(text.as_bytes(), &label()).unwrap().valid);
    }

    #[test]
    fn errors_name_the_bad_key() {
        for (text, word) in [
            (&b""[..], "newline"),
            (b"STATUS=1", "newline"),
            (b"STATUS\n", "STATUS"),
            (b"\n", "key=value"),
            (b"BACKUP=-1\n", "BACKUP"),
            (b"START_WALPOS=1\n", "START_WALPOS"),
            (b"START_TIMELINE=0\n", "START_TIMELINE"),
            (b"ENCRYPTION=4\n", "ENCRYPTION"),
            (b"LABEL=20200101000000\n", "LABEL"),
            (b"MANIFEST_SHA256=12\n", "MANIFEST_SHA256"),
            (b"A=\xff\n", "UTF-8"),
            (b"TABLESPACE1=a\nTABLESPACE_OID1=x\n", "TABLESPACE_OID1"),
        ] {
            let failure = BackupInfo::parse(text, &label()).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Corrupt);
            assert!(failure.message().contains(word), "{failure}");
        }
    }
}
