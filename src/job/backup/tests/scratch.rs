//! A repository, and generated archives of a cluster.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::{CHUNK_SIZE, Compression, EncodeOptions, Level};
use crate::config::LinkMode;
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::format::{BackupManifest, ManifestEntry};
use crate::job::backup::links::{Source, UnchangedFiles};
use crate::job::backup::pipeline::Pipeline;
use crate::job::backup::receive::{ArchiveRoot, receive};
use crate::job::backup::staging::Staging;
use crate::pool::Pool;
use crate::repository::{Backup, BackupInfo, Repository, TablespaceInfo};
use crate::status::{Activity, Scope, ServerState};
use crate::sys::Stop;
use crate::unit::{Encryption, Label};

pub const LABEL: &[u8] = b"START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n\
    CHECKPOINT LOCATION: 0/2000060\nBACKUP FROM: primary\nSTART TIMELINE: 1\n";

pub fn key() -> Arc<MasterKey> {
    Arc::new(MasterKey::for_tests(1))
}

/// The tablespace's OID, and the tar stream.
pub type TarArchive = (Option<u32>, Vec<u8>);

/// The content of the plain files, by path.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A repository that is removed on drop.
pub struct Scratch {
    base: PathBuf,
    pub repository: Repository,
    state: Arc<ServerState>,
    pool: Pool,
    pub stop: Stop,
}

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let base = format!("pgmoneta-pipeline-{name}-{}", std::process::id());
        let base = std::env::temp_dir().join(base);
        let _ = std::fs::remove_dir_all(&base);
        std::fs::create_dir(&base).unwrap();
        Scratch {
            repository: Repository::create(&base, &"primary".parse().unwrap()).unwrap(),
            base,
            state: ServerState::new(&"primary".parse().unwrap()),
            pool: Pool::new(2).unwrap(),
            stop: Stop::new().unwrap(),
        }
    }

    /// Stores the archives, compares them with the server's manifest, and commits.
    pub fn back_up(
        &self,
        coding: &EncodeOptions,
        archives: &[TarArchive],
        manifest: &BackupManifest,
    ) -> Result<Backup> {
        self.back_up_linked("20260101000000", LinkMode::Off, coding, archives, manifest)
    }

    /// As [`Scratch::back_up`], with a label and links to the newest backup.
    pub fn back_up_linked(
        &self,
        label: &str,
        link: LinkMode,
        coding: &EncodeOptions,
        archives: &[TarArchive],
        manifest: &BackupManifest,
    ) -> Result<Backup> {
        let guard = self.state.begin(Activity::Backup, Scope::NewBackup)?;
        let label: Label = label.parse().unwrap();
        let mut staging = Staging::create(&self.repository, &label, 7, coding)?;
        let key = coding.key.clone().unwrap();
        let source = Source {
            repository: &self.repository,
            key: &key,
            system_identifier: 7,
            stored: coding.stored(),
        };
        let unchanged = UnchangedFiles::find(link, &source, staging.path(), &self.stop)?;
        staging.link_to(unchanged);
        let tablespaces: Vec<_> = archives
            .iter()
            .filter_map(|(oid, _)| {
                Some(TablespaceInfo {
                    name: "tblspc_x".to_owned(),
                    oid: (*oid)?,
                    path: "/srv/x".into(),
                })
            })
            .collect();
        for tablespace in &tablespaces {
            staging.tablespace(tablespace)?;
        }
        let progress = guard.progress();
        let mut pipeline = Pipeline::new(&self.pool, 2, &self.stop, progress, &mut staging);
        for (oid, bytes) in archives {
            let root = oid.map_or_else(ArchiveRoot::data, ArchiveRoot::tablespace);
            receive(Cursor::new(bytes), &root, &tablespaces, &mut pipeline)?;
        }
        pipeline.finish()?;
        staging.compare(manifest)?;
        let text = format!(
            "STATUS=1\nENCRYPTION={}\nSYSTEM_IDENTIFIER=7\n",
            coding.encryption.code()
        );
        let info = BackupInfo::parse(text.as_bytes(), &label).unwrap();
        let (sizes, manifest_sha256) = staging.finish_manifest()?;
        let info = BackupInfo {
            backup_size: sizes.stored,
            restore_size: sizes.plain,
            biggest_file: sizes.biggest,
            manifest_sha256: Some(manifest_sha256),
            linked_size: sizes.linked,
            symbolic_links: staging.has_symbolic_links(),
            ..info
        };
        staging.publish(&info, &key)
    }

    pub fn is_empty(&self) -> bool {
        let mut entries = std::fs::read_dir(self.repository.backup_path()).unwrap();
        entries.next().is_none()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.base);
    }
}

pub fn coding(compression: Compression, encryption: Encryption) -> EncodeOptions {
    EncodeOptions {
        compression,
        level: Level::Auto,
        encryption,
        key: Some(key()),
    }
}

/// An archive of directories (no content) and files.
pub fn archive(entries: &[(&str, Option<Vec<u8>>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mode(if content.is_some() { 0o600 } else { 0o700 });
        header.set_mtime(1_795_000_000);
        let content = content.as_deref().unwrap_or_default();
        if header.mode().unwrap() == 0o700 {
            header.set_entry_type(tar::EntryType::Directory);
        }
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Compressible content of `length` bytes.
pub fn pages(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from((at / 7 + at * seed / 8192) % 251).unwrap())
        .collect()
}

pub fn cluster() -> (Vec<TarArchive>, Files) {
    let mut main = vec![
        ("backup_label", Some(LABEL.to_vec())),
        ("base", None),
        ("base/1", None),
        ("base/1/empty", Some(Vec::new())),
        ("base/1/page", Some(pages(8192, 3))),
        ("base/1/chunk", Some(pages(CHUNK_SIZE, 5))),
        ("base/1/large", Some(pages(20 * CHUNK_SIZE + 4711, 7))),
        ("base/1/name.zstd", Some(pages(100_000, 11))),
        ("pg_wal", None),
        ("global", None),
    ];
    let names: Vec<String> = (0..300).map(|n| format!("global/{n}")).collect();
    for (number, name) in names.iter().enumerate() {
        main.push((name, Some(pages(number * 100, number))));
    }
    main.push(("global/pg_control", Some(pages(8192, 13))));
    let space = vec![
        ("PG_15_202209061", None),
        ("PG_15_202209061/5", None),
        ("PG_15_202209061/5/16385", Some(pages(3 * CHUNK_SIZE, 17))),
    ];
    let mut files = BTreeMap::new();
    for (prefix, entries) in [("", &main), ("pg_tblspc/16400", &space)] {
        for (path, content) in entries {
            if let Some(content) = content {
                files.insert(Path::new(prefix).join(path), content.clone());
            }
        }
    }
    (
        vec![(None, archive(&main)), (Some(16400), archive(&space))],
        files,
    )
}

pub fn manifest(files: &Files) -> BackupManifest {
    let entry = |(path, content): (&PathBuf, &Vec<u8>)| ManifestEntry {
        path: path.clone(),
        size: content.len() as u64,
        crc32c: Some(crc32c::crc32c(content).to_le_bytes()),
        modified: None,
        sha512: None,
    };
    BackupManifest {
        system_identifier: None,
        files: files.iter().map(entry).collect(),
        wal_ranges: Vec::new(),
    }
}
