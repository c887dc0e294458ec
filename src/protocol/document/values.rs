//! Values that have a form of their own in the documents of the C program.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::codec::Compression;
use crate::unit::{Encryption, Lsn, PgVersion};

/// A list; in a document an empty one is an empty object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        List(items.into_iter().collect())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or an empty object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<List<T>, A::Error> {
        match members.next_key::<String>()? {
            None => Ok(List::default()),
            Some(name) => Err(A::Error::custom(format!("the member {name} in a list"))),
        }
    }
}

/// Whether a backup is valid: 1, 0, or another number where it is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub enum Valid {
    /// It is complete and can be restored.
    Yes,
    /// It is not.
    No,
    /// The daemon does not know.
    #[default]
    Unknown,
}

impl From<bool> for Valid {
    fn from(valid: bool) -> Valid {
        if valid { Valid::Yes } else { Valid::No }
    }
}

impl From<i64> for Valid {
    fn from(number: i64) -> Valid {
        match number {
            0 => Valid::No,
            1 => Valid::Yes,
            _ => Valid::Unknown,
        }
    }
}

impl From<Valid> for i64 {
    fn from(valid: Valid) -> i64 {
        match valid {
            Valid::No => 0,
            Valid::Yes => 1,
            Valid::Unknown => -1,
        }
    }
}

/// The compression of a backup, by the number that it has in `backup.info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i64", into = "u32")]
pub struct CompressionNumber(pub Compression);

impl Default for CompressionNumber {
    fn default() -> Self {
        CompressionNumber(Compression::None)
    }
}

impl From<i64> for CompressionNumber {
    fn from(number: i64) -> Self {
        let method = u32::try_from(number).ok().and_then(Compression::from_code);
        method.map_or_else(Self::default, CompressionNumber)
    }
}

impl From<CompressionNumber> for u32 {
    fn from(number: CompressionNumber) -> u32 {
        number.0.info_code()
    }
}

/// The encryption of a backup, by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i64", into = "u8")]
pub struct EncryptionNumber(pub Encryption);

impl From<i64> for EncryptionNumber {
    fn from(number: i64) -> Self {
        let method = u32::try_from(number).ok().and_then(Encryption::from_code);
        EncryptionNumber(method.unwrap_or_default())
    }
}

impl From<EncryptionNumber> for u8 {
    fn from(number: EncryptionNumber) -> u8 {
        number.0.code()
    }
}

/// A number of days, weeks, months or years; -1 if it is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub struct RetentionCount(pub Option<u32>);

impl From<i64> for RetentionCount {
    fn from(number: i64) -> Self {
        RetentionCount(u32::try_from(number).ok())
    }
}

impl From<RetentionCount> for i64 {
    fn from(count: RetentionCount) -> i64 {
        count.0.map_or(-1, i64::from)
    }
}

/// A duration in seconds, and the same with its unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seconds {
    /// The number of seconds.
    pub value: i64,
    /// `8s`
    pub string_value: String,
}

impl Seconds {
    /// Of that many seconds.
    pub fn new(seconds: u64) -> Seconds {
        Seconds {
            value: i64::try_from(seconds).unwrap_or(i64::MAX),
            string_value: format!("{seconds}s"),
        }
    }

    /// The number of seconds, unless it is 0.
    pub fn seconds(&self) -> Option<u64> {
        u64::try_from(self.value)
            .ok()
            .filter(|seconds| *seconds > 0)
    }
}

/// The LSN of which a document has the upper and the lower 32 bits; `None` if it lacks one.
pub(super) fn lsn(high: Option<u32>, low: Option<u32>) -> Option<Lsn> {
    Some(Lsn(u64::from(high?) << 32 | u64::from(low?)))
}

/// The members of every response about a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServerMembers {
    /// Its name.
    pub server: String,
    /// The major version of PostgreSQL; 0 if it is unknown.
    pub major_version: u32,
    /// The minor version; 0 if it is unknown.
    pub minor_version: u32,
}

impl ServerMembers {
    /// Of a server with that version, if it is known.
    pub fn new(server: &str, version: Option<PgVersion>) -> ServerMembers {
        ServerMembers {
            server: server.to_owned(),
            major_version: version.map_or(0, |version| version.major),
            minor_version: version.map_or(0, |version| version.minor),
        }
    }

    /// The version of PostgreSQL, if it is known.
    pub fn version(&self) -> Option<PgVersion> {
        (self.major_version > 0).then_some(PgVersion {
            major: self.major_version,
            minor: self.minor_version,
        })
    }
}

/// The members of every document that describes a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BackupMembers {
    /// The label.
    pub backup: String,
    /// Bytes on disk.
    pub backup_size: u64,
    /// Bytes when restored, without WAL.
    pub restore_size: u64,
    /// Bytes of the largest file when restored.
    pub biggest_file_size: u64,
    /// The compression of its files.
    pub compression: CompressionNumber,
    /// The encryption of its files.
    pub encryption: EncryptionNumber,
}

/// The parent of an incremental backup; this program takes only full ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ParentMembers {
    /// Whether it has a parent.
    pub incremental: bool,
    /// The label of the parent.
    pub incremental_parent: Option<String>,
}

/// A tablespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TablespaceMembers {
    /// As in the C program the name of its directory, `tblspc_<name>`.
    #[serde(rename = "TablespaceName")]
    pub name: String,
    /// The OID; not in the C program.
    #[serde(rename = "TablespaceOid")]
    pub oid: Option<u32>,
    /// The location on the server; not in the C program.
    #[serde(rename = "TablespacePath")]
    pub path: String,
}
