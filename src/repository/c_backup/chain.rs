//! The chain of an incremental backup: the backups that have the rest of its files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{BackupInfo, Combined, Manifest, ManifestFile};
use super::manifest::{ServerFiles, read_own};
use super::open::open_stored;
use super::{CDirectory, sums};
use crate::codec::DigestValues;
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::{BackupLabel, IncrementHeader, size_of_blocks};
use crate::unit::{Label, WalPosition};

/// The first version whose servers make increments.
const FIRST_WITH_INCREMENTS: u32 = 17;

/// Limit for `backup_label`, bytes; it has a few hundred.
const MAX_LABEL: u64 = 1 << 16;

/// Reads the list of the files of a backup: of an incremental one those of the cluster, each with
/// the older files that it is combined with.
pub fn read_manifest(
    directory: &CDirectory,
    info: &BackupInfo,
    key: &Arc<MasterKey>,
) -> Result<Manifest> {
    let newest = read_own(directory, info, key)?;
    let Some(parent) = &info.parent else {
        return Ok(newest.manifest);
    };
    let chain = chain(directory, (&newest, parent), key)?;
    combine(directory, newest.manifest, chain, (info, key))
}

/// An older backup of a chain.
struct Member {
    label: Label,
    files: HashMap<PathBuf, ManifestFile>,
}

/// The older backups of the chain, newest first; the last one is a full backup.
fn chain(
    directory: &CDirectory,
    (newest, parent): (&ServerFiles, &str),
    key: &Arc<MasterKey>,
) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    let (mut child, mut parent) = (directory.clone(), Some(parent.to_owned()));
    while let Some(name) = parent {
        let action = || format!("the backup {} needs the backup {name:?}", child.label());
        let label: Label = name.parse().with_context(action)?;
        if label >= *child.label() {
            let message = "that is not older";
            return Err(Error::new(ErrorKind::Corrupt, message)).with_context(action);
        }
        let older = directory.sibling(&label);
        let read = || read_member(&older, &child, newest.system_identifier, key);
        let (info, files) = read().with_context(action)?;
        members.push(Member { label, files });
        parent = info.parent;
        child = older;
    }
    Ok(members)
}

fn read_member(
    older: &CDirectory,
    child: &CDirectory,
    system_identifier: Option<u64>,
    key: &Arc<MasterKey>,
) -> Result<(BackupInfo, HashMap<PathBuf, ManifestFile>)> {
    let (info, _) = BackupInfo::read(&older.path(), older.label())?;
    let corrupt = |message: &str| Error::new(ErrorKind::Corrupt, message);
    if !info.valid || sums::missing_entry(&older.path())?.is_some() {
        return Err(corrupt("that is not valid"));
    }
    let start = label(older)?;
    let start = start.timeline.at(start.start);
    if label(child)?.incremental_from != Some(start) {
        let WalPosition { timeline, lsn } = start;
        let message = format!(
            "that starts at {lsn} of timeline {timeline}, where the other was not taken from"
        );
        return Err(corrupt(&message));
    }
    let own = read_own(older, &info, key)?;
    let differ = own.system_identifier.zip(system_identifier);
    if differ.is_some_and(|(one, other)| one != other) {
        return Err(corrupt("that is of another cluster"));
    }
    let files = own.manifest.files.into_iter();
    Ok((info, files.map(|file| (file.path.clone(), file)).collect()))
}

fn label(directory: &CDirectory) -> Result<BackupLabel> {
    let path = Path::new("data").join(BackupLabel::FILE_NAME);
    BackupLabel::parse(&directory.read(&path, MAX_LABEL)?)
}

fn combine(
    directory: &CDirectory,
    mut newest: Manifest,
    members: Vec<Member>,
    (info, key): (&BackupInfo, &Arc<MasterKey>),
) -> Result<Manifest> {
    let padding_error = info.version.major < FIRST_WITH_INCREMENTS;
    for file in &mut newest.files {
        let Some(path) = IncrementHeader::target(&file.path) else {
            continue;
        };
        let parts = parts(file.clone(), &path, &members)?;
        let header = open_stored(directory, file, key);
        let header = header
            .and_then(|mut source| IncrementHeader::read(&mut source, file.size, padding_error));
        let stored_sizes = parts.iter().map(|part| part.stored_size);
        file.stored_size = stored_sizes.fold(0, u64::saturating_add);
        // A damaged header is reported when the file is read.
        file.size = header.map_or(0, |header| size_of_blocks(header.length()));
        file.path = path;
        file.digests = DigestValues::Sha512 {
            plain: None,
            stored: None,
        };
        file.combined = Some(Box::new(Combined {
            parts,
            padding_error,
        }));
    }
    newest.combined = true;
    Ok(newest)
}

/// The parts of the file `path` of the cluster, newest first; the last one is a whole file.
fn parts(newest: ManifestFile, path: &Path, members: &[Member]) -> Result<Vec<ManifestFile>> {
    let increment = newest.path.clone();
    let mut parts = vec![newest];
    for member in members {
        let whole = member.files.get(path);
        let found = whole.or_else(|| member.files.get(&increment));
        let mut part = found.cloned().ok_or_else(|| missing(path, &member.label))?;
        let above = Path::new("..").join(member.label.as_str());
        part.stored_path = above.join(&part.stored_path);
        parts.push(part);
        if whole.is_some() {
            return Ok(parts);
        }
    }
    let oldest = members.last().map(|member| member.label.to_string());
    let label = oldest.unwrap_or_default();
    let message = format!("the backup {label} has no whole {}", path.display());
    Err(Error::new(ErrorKind::Corrupt, message))
}

fn missing(path: &Path, label: &Label) -> Error {
    let message = format!(
        "{} has changed blocks only, and the backup {label} does not have it",
        path.display()
    );
    Error::new(ErrorKind::Corrupt, message)
}
