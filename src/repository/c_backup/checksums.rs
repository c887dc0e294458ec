//! What `verify` compares besides the files of the cluster: the lists of a backup of the C program.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::super::layout::{C_BACKUP_SUMS, DATA_DIRECTORY, MANIFEST};
use super::super::{Manifest, ManifestFile};
use super::tree::Tree;
use super::{CDirectory, csv, sums};
use crate::codec::{DigestKind, DigestValues, StoredFormat, StoredReader};
use crate::error::{Error, ErrorKind, Result};
use crate::format::hex;

/// A difference: the path, the digest in the list and that of the file, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListDifference {
    pub path: PathBuf,
    pub expected: String,
    pub found: String,
    pub reason: String,
}

/// Compares `backup.sha512` and `backup.manifest` with the manifest and with the files that are no
/// part of the cluster. The files of the cluster are not read.
pub fn check_lists(directory: &CDirectory, manifest: &Manifest) -> Result<Vec<ListDifference>> {
    let mut found = Vec::new();
    let report = |path: &Path, digests: (&str, &str), reason: String| ListDifference {
        path: path.to_owned(),
        expected: digests.0.to_owned(),
        found: digests.1.to_owned(),
        reason,
    };
    let sums = match sums::read(&directory.path()) {
        Ok(sums) => sums,
        Err(failure) => {
            let reason = failure.message().to_owned();
            return Ok(vec![report(Path::new(C_BACKUP_SUMS), ("", ""), reason)]);
        }
    };
    let files: BTreeSet<&Path> = manifest
        .all_files()
        .map(|file| file.stored_path.as_path())
        .collect();
    for path in &files {
        if !sums.contains_key(*path) {
            found.push(report(
                path,
                ("", ""),
                format!("it is not in {C_BACKUP_SUMS}"),
            ));
        }
    }
    let own = Tree::read(directory)?.files.into_iter();
    for path in own.map(|path| Path::new(DATA_DIRECTORY).join(path)) {
        if !files.contains(path.as_path()) {
            let reason = "the server's manifest does not list it".to_owned();
            found.push(report(&path, ("", ""), reason));
        }
    }
    // Those of tablespaces are listed twice.
    let other = |path: &&PathBuf| !files.contains(path.as_path()) && !is_in_tablespace(path);
    for path in sums.keys().filter(other) {
        let expected = sums
            .get(path)
            .map(|digest| hex::encode(digest))
            .unwrap_or_default();
        match digest(directory, path) {
            Ok(digits) if digits == expected => {}
            Ok(digits) => {
                let reason = format!("its digest is not the one in {C_BACKUP_SUMS}");
                found.push(report(path, (&expected, &digits), reason));
            }
            Err(failure) => found.push(report(path, (&expected, ""), failure.to_string())),
        }
    }
    found.extend(
        check_csv(directory, manifest)
            .into_iter()
            .map(|(path, reason)| report(&path, ("", ""), reason)),
    );
    Ok(found)
}

fn is_in_tablespace(path: &Path) -> bool {
    let first = path.iter().next().unwrap_or_default();
    first.to_string_lossy().starts_with("tblspc_")
}

fn digest(directory: &CDirectory, path: &Path) -> Result<String> {
    let place = directory.locate(path)?;
    let kind = DigestKind::Sha512;
    let mut source = StoredReader::open_hashing(&place, StoredFormat::PLAIN, None, kind)?;
    io::copy(&mut source, &mut io::sink())?;
    match source.finish()?.values {
        DigestValues::Sha512 {
            stored: Some(digest),
            ..
        } => Ok(hex::encode(&digest)),
        _ => Err(Error::new(ErrorKind::Internal, "a file has no SHA-512")),
    }
}

/// The differences between `backup.manifest` and the server's manifest, from which the C program
/// made it.
fn check_csv(directory: &CDirectory, manifest: &Manifest) -> Vec<(PathBuf, String)> {
    let mut rows = match csv::read(&directory.path()) {
        Ok(rows) => rows,
        Err(failure) => return vec![(MANIFEST.into(), failure.message().to_owned())],
    };
    let mut expected: BTreeMap<&Path, String> = BTreeMap::new();
    for file in manifest.all_files().map(ManifestFile::own_part) {
        if let DigestValues::Sha512 {
            plain: Some(digest),
            ..
        } = &file.digests
        {
            expected.insert(&file.path, hex::encode(digest));
        }
    }
    let mut found = Vec::new();
    for (path, digits) in expected {
        let reason = match rows.remove(path) {
            Some(row) if row == digits => continue,
            Some(_) => format!("{MANIFEST} and the server's manifest have different digests"),
            None => format!("it is not in {MANIFEST}"),
        };
        found.push((path.to_owned(), reason));
    }
    found
}
