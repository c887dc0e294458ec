//! The list of the files of a backup of the C program.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::layout::{C_BACKUP_SUMS, DATA_DIRECTORY};
use super::super::manifest_line::is_relative_path;
use super::super::{BackupInfo, Manifest, ManifestFile, TablespaceInfo};
use super::CDirectory;
use super::builder::Builder;
use super::entries::{StoredName, StoredNames, may_be_plain};
use super::sums::{self, SERVER_MANIFEST, Sums};
use super::tree::Tree;
use super::wal::wal_files;
use crate::codec::{DigestKind, DigestValues, StoredFormat, StoredReader};
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::{BackupManifest, ManifestEntry};
use crate::unit::Encryption;

/// Limit for PostgreSQL's manifest, bytes: it has about 300 for each file.
const MAX_SERVER_MANIFEST: u64 = 1 << 30;

/// The permission bits in a data directory; the C program sets them, whatever the server had.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// The list of the files of a backup, and the cluster that the server's manifest is of.
pub struct ServerFiles {
    pub manifest: Manifest,
    pub system_identifier: Option<u64>,
}

/// Reads the list: what the server's manifest has, and how the files are stored. A file that is
/// missing is in the list too. Files are encrypted if `backup.info` says that the backup is.
pub fn read_own(
    directory: &CDirectory,
    info: &BackupInfo,
    key: &Arc<MasterKey>,
) -> Result<ServerFiles> {
    let sums = sums::read(&directory.path())?;
    let server = read_server_manifest(directory, &sums)?;
    let mut paths = HashSet::new();
    for entry in &server.files {
        check_path(&entry.path)?;
        if !paths.insert(entry.path.as_path()) {
            let message = format!("{} is there twice", entry.path.display());
            return Err(Error::new(ErrorKind::Corrupt, message)).context(SERVER_MANIFEST);
        }
    }
    let tree = Tree::read(directory)?;
    let names = StoredNames::new(&tree, &paths);
    let usual = names.usual();
    let found: Vec<StoredName> = server
        .files
        .iter()
        .map(|one| names.find(&one.path))
        .collect();
    let mut builder = Builder {
        directory,
        key,
        tree,
        sums,
        info,
        encryption: Encryption::None,
    };
    builder.encryption = builder.find_encryption(&found);
    let mut manifest = Manifest {
        stored: builder.format(usual),
        ..Manifest::default()
    };
    let mut listed = HashSet::new();
    for (entry, name) in server.files.iter().zip(found) {
        listed.insert(name.path.clone());
        let file = builder.file(entry, name)?;
        if file.path.starts_with("pg_wal") {
            manifest.wal.push(file);
        } else {
            manifest.files.push(file);
        }
    }
    manifest.files.push(builder.server_manifest_file());
    manifest
        .wal
        .extend(wal_files(&builder, &|path| listed.contains(path)));
    manifest.tablespaces = builder.tablespaces();
    let directories = std::mem::take(&mut builder.tree.directories).into_iter();
    manifest.directories = directories.map(|path| (path, DIRECTORY_MODE)).collect();
    Ok(ServerFiles {
        manifest,
        system_identifier: server.system_identifier,
    })
}

impl Builder<'_> {
    fn file(&self, entry: &ManifestEntry, name: StoredName) -> Result<ManifestFile> {
        let plain = name.exists && !name.suffixes.encrypted;
        if self.info.encryption != Encryption::None && plain && !may_be_plain(&entry.path) {
            let path = entry.path.display();
            let message = format!("{path} is not encrypted, as the backup is");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(ManifestFile {
            path: entry.path.clone(),
            size: entry.size,
            modified: entry.modified.unwrap_or(0),
            mode: FILE_MODE,
            stored: Some(self.format(name.suffixes)),
            stored_size: self.stored_size(&name.path),
            digests: DigestValues::Sha512 {
                plain: entry.sha512,
                stored: self.sums.get(&name.path).copied(),
            },
            combined: None,
            stored_path: name.path,
        })
    }

    /// The server's manifest, which does not list itself.
    fn server_manifest_file(&self) -> ManifestFile {
        let stored_path = server_manifest_path();
        let size = self.stored_size(&stored_path);
        ManifestFile {
            path: SERVER_MANIFEST.into(),
            size,
            modified: 0,
            mode: FILE_MODE,
            stored: Some(StoredFormat::PLAIN),
            stored_size: size,
            digests: DigestValues::Sha512 {
                plain: None,
                stored: self.sums.get(&stored_path).copied(),
            },
            combined: None,
            stored_path,
        }
    }

    /// The tablespaces that are there, with their locations from `backup.info`.
    fn tablespaces(&self) -> Vec<TablespaceInfo> {
        let found = self.tree.tablespaces.iter();
        let tablespaces = found.map(|(oid, name)| {
            let mut known = self.info.tablespaces.iter();
            let known = known.find(|known| known.oid == *oid || known.name == *name);
            let location = known.map(|known| known.path.clone());
            TablespaceInfo {
                name: name.clone(),
                oid: *oid,
                path: location
                    .filter(|path| path.is_absolute())
                    .unwrap_or_else(|| Path::new("/").join(name)),
            }
        });
        tablespaces.collect()
    }
}

fn server_manifest_path() -> PathBuf {
    Path::new(DATA_DIRECTORY).join(SERVER_MANIFEST)
}

/// Reads PostgreSQL's manifest, after its digest was compared with that in `backup.sha512`.
fn read_server_manifest(directory: &CDirectory, sums: &Sums) -> Result<BackupManifest> {
    let path = server_manifest_path();
    let Some(expected) = sums.get(&path).copied() else {
        let message = format!("{C_BACKUP_SUMS} does not list {}", path.display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    };
    let action = || format!("read {}", path.display());
    let found = directory.locate(&path)?;
    let mut source =
        StoredReader::open_hashing(&found, StoredFormat::PLAIN, None, DigestKind::Sha512)?;
    io::copy(&mut source, &mut io::sink()).with_context(action)?;
    match source.finish().with_context(action)?.values {
        DigestValues::Sha512 { stored, .. } if stored == Some(expected) => {}
        _ => {
            let message = format!("its SHA-512 is not the one in {C_BACKUP_SUMS}");
            return Err(Error::new(ErrorKind::Corrupt, message)).with_context(action);
        }
    }
    let content = directory.read(&path, MAX_SERVER_MANIFEST)?;
    BackupManifest::parse(&content).with_context(action)
}

/// A restore writes to this path.
fn check_path(path: &Path) -> Result<()> {
    if is_relative_path(path) {
        return Ok(());
    }
    let message = format!("{} is not a path in a data directory", path.display());
    Err(Error::new(ErrorKind::Corrupt, message)).context(SERVER_MANIFEST)
}
