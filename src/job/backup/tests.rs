//! The pipeline on generated archives: stored files decode to the input, and errors leave no files.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::pipeline::Pipeline;
use super::receive::{ArchiveRoot, receive};
use super::staging::Staging;
use crate::codec::{CHUNK_SIZE, Compression, EncodeOptions, Level, StoredFormat, StoredReader};
use crate::crypto::MasterKey;
use crate::error::{ErrorKind, Result};
use crate::format::{BackupManifest, ManifestEntry};
use crate::pool::Pool;
use crate::repository::{Backup, BackupInfo, Repository, TablespaceInfo};
use crate::status::{Activity, Scope, ServerState};
use crate::sys::Stop;
use crate::unit::{Encryption, Label};

const LABEL: &[u8] = b"START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n\
    CHECKPOINT LOCATION: 0/2000060\nBACKUP FROM: primary\nSTART TIMELINE: 1\n";

fn key() -> Arc<MasterKey> {
    Arc::new(MasterKey::for_tests(1))
}

/// The tablespace's OID, and the tar stream.
type TarArchive = (Option<u32>, Vec<u8>);

/// The content of the plain files, by path.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A repository that is removed on drop.
struct Scratch {
    base: PathBuf,
    repository: Repository,
    state: Arc<ServerState>,
    pool: Pool,
    stop: Stop,
}

impl Scratch {
    fn new(name: &str) -> Scratch {
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
    fn back_up(
        &self,
        coding: &EncodeOptions,
        archives: &[TarArchive],
        manifest: &BackupManifest,
    ) -> Result<Backup> {
        let guard = self.state.begin(Activity::Backup, Scope::NewBackup)?;
        let label: Label = "20260101000000".parse().unwrap();
        let mut staging = Staging::create(&self.repository, &label, 7, coding)?;
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
        let text = format!("STATUS=1\nENCRYPTION={}\n", coding.encryption.code());
        let info = BackupInfo::parse(text.as_bytes(), &label).unwrap();
        let (sizes, manifest_sha256) = staging.finish_manifest()?;
        let info = BackupInfo {
            backup_size: sizes.stored,
            restore_size: sizes.plain,
            biggest_file: sizes.biggest,
            manifest_sha256: Some(manifest_sha256),
            ..info
        };
        staging.publish(&info, &key())
    }

    fn is_empty(&self) -> bool {
        let mut entries = std::fs::read_dir(self.repository.backup_path()).unwrap();
        entries.next().is_none()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.base);
    }
}

fn coding(compression: Compression, encryption: Encryption) -> EncodeOptions {
    EncodeOptions {
        compression,
        level: Level::Auto,
        encryption,
        key: Some(key()),
    }
}

/// An archive of directories (no content) and files.
fn archive(entries: &[(&str, Option<Vec<u8>>)]) -> Vec<u8> {
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
fn pages(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from((at / 7 + at * seed / 8192) % 251).unwrap())
        .collect()
}

fn cluster() -> (Vec<TarArchive>, Files) {
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

fn manifest(files: &Files) -> BackupManifest {
    let entry = |(path, content): (&PathBuf, &Vec<u8>)| ManifestEntry {
        path: path.clone(),
        size: content.len() as u64,
        modified: None,
        crc32c: Some(crc32c::crc32c(content).to_le_bytes()),
        sha512: None,
    };
    BackupManifest {
        system_identifier: None,
        files: files.iter().map(entry).collect(),
        wal_ranges: Vec::new(),
    }
}

#[test]
fn stored_files_decode_to_the_input() {
    let (archives, files) = cluster();
    for compression in Compression::ALL {
        for encryption in [Encryption::None, Encryption::Aes256, Encryption::Aes128] {
            let scratch = Scratch::new(&format!("{compression}-{encryption}"));
            let coding = coding(compression, encryption);
            let backup = scratch
                .back_up(&coding, &archives, &manifest(&files))
                .unwrap();
            let found = scratch.repository.find("newest").unwrap();
            assert_eq!(found.info, backup.info);
            let all = found.manifest(&key()).unwrap();
            assert_eq!(all.files.len(), files.len());
            for file in &all.files {
                let mut plain = Vec::new();
                let path = found.path.join(&file.stored_path);
                let mut source = StoredReader::open(&path, coding.stored(), Some(key())).unwrap();
                source.read_to_end(&mut plain).unwrap();
                let digests = source.finish().unwrap();
                assert!(
                    plain == files[&file.path],
                    "{compression} {encryption} {:?}",
                    file.path
                );
                assert_eq!(digests.values, file.digests);
                assert_eq!((file.mode, file.modified), (0o600, 1_795_000_000));
            }
            let plain: usize = files.values().map(Vec::len).sum();
            assert_eq!(found.info.restore_size, plain as u64);
            assert_eq!(found.info.biggest_file, (20 * CHUNK_SIZE + 4711) as u64);
            let directories: Vec<_> = all
                .directories
                .iter()
                .map(|(path, _)| path.display().to_string())
                .collect();
            assert_eq!(
                directories,
                [
                    "base",
                    "base/1",
                    "pg_wal",
                    "global",
                    "pg_tblspc/16400/PG_15_202209061",
                    "pg_tblspc/16400/PG_15_202209061/5"
                ]
            );
            assert_eq!(all.tablespaces[0].oid, 16400);
            let check = std::process::Command::new("sha256sum")
                .args(["--check", "--strict", "--quiet", "backup.sha256"])
                .current_dir(&found.path)
                .status()
                .unwrap();
            assert!(check.success());
        }
    }
}

#[test]
fn a_difference_from_the_servers_manifest_is_an_error_and_leaves_no_files() {
    let (archives, files) = cluster();
    let large = PathBuf::from("base/1/large");
    let label = PathBuf::from("backup_label");
    let mut flipped = files.clone();
    flipped.get_mut(&large).unwrap()[5_000_000] ^= 1;
    let mut shorter = files.clone();
    shorter.get_mut(&label).unwrap().pop();
    let mut fewer = files.clone();
    fewer.remove(&label);
    let mut more = files.clone();
    more.insert("base/1/another".into(), Vec::new());
    let mut directory = files.clone();
    directory.insert("base/1".into(), Vec::new());
    let scratch = Scratch::new("differs");
    for (expected, word) in [
        (flipped, "base/1/large has another checksum"),
        (shorter, "backup_label has"),
        (fewer, "backup_label was received, but is not listed"),
        (more, "base/1/another was not received"),
        (directory, "base/1 is a directory"),
    ] {
        let coding = coding(Compression::Zstd, Encryption::None);
        let failure = scratch
            .back_up(&coding, &archives, &manifest(&expected))
            .unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Corrupt);
        assert!(failure.message().contains(word), "{failure}");
        assert!(scratch.is_empty());
    }
    let mut none = manifest(&files);
    none.files[3].crc32c = None;
    assert!(
        scratch
            .back_up(
                &coding(Compression::None, Encryption::None),
                &archives,
                &none
            )
            .is_err()
    );
}

#[test]
fn a_truncated_archive_leaves_no_files() {
    let (archives, files) = cluster();
    let scratch = Scratch::new("cut");
    let bytes = &archives[0].1;
    for length in [
        0,
        100,
        600,
        3000,
        2 * CHUNK_SIZE,
        10 * CHUNK_SIZE,
        bytes.len() - 20_000,
    ] {
        let cut = vec![(None, bytes[..length].to_vec()), archives[1].clone()];
        let coding = coding(Compression::Lz4, Encryption::Aes192);
        assert!(
            scratch.back_up(&coding, &cut, &manifest(&files)).is_err(),
            "{length}"
        );
        assert!(scratch.is_empty());
    }
}

#[test]
fn entries_cannot_escape_collide_or_repeat() {
    let scratch = Scratch::new("hostile");
    let link = |path: &str, target: &str| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        builder.append_link(&mut header, path, target).unwrap();
        builder.into_inner().unwrap()
    };
    let file = || Some(vec![1; 10]);
    for (bytes, word) in [
        (archive(&[("x", file()), ("x", file())]), "x"),
        (archive(&[("d", None), ("d", None)]), "d"),
        (archive(&[("d", None), ("d", file())]), "d"),
        (archive(&[("no/parent", file())]), "no/parent"),
        (link("pg_wal", "/srv/wal"), "pg_wal"),
        (link("pg_tblspc/99", "/srv/x"), "pg_tblspc/99"),
    ] {
        let expected = manifest(&BTreeMap::new());
        let archives = [(None, bytes), (Some(16400), archive(&[]))];
        let coding = coding(Compression::None, Encryption::None);
        let failure = scratch.back_up(&coding, &archives, &expected).unwrap_err();
        assert!(failure.message().contains(word), "{failure}");
        assert!(scratch.is_empty());
    }
    let good = [
        (None, link("pg_tblspc/16400", "/srv/x")),
        (Some(16400), archive(&[])),
    ];
    let coding = coding(Compression::None, Encryption::None);
    scratch
        .back_up(&coding, &good, &manifest(&BTreeMap::new()))
        .unwrap();
}

#[test]
fn a_stop_request_ends_a_backup() {
    let (archives, files) = cluster();
    let scratch = Scratch::new("stop");
    scratch.stop.request();
    let coding = coding(Compression::Zstd, Encryption::None);
    let failure = scratch
        .back_up(&coding, &archives, &manifest(&files))
        .unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Stopped);
    assert!(scratch.is_empty());
}

#[test]
fn stored_names_have_the_suffixes_of_their_encoding() {
    let (archives, files) = cluster();
    let scratch = Scratch::new("names");
    let how = coding(Compression::Gzip, Encryption::Aes256);
    let backup = scratch.back_up(&how, &archives, &manifest(&files)).unwrap();
    assert!(backup.path.join("data/base/1/name.zstd.gz.aes").exists());
    assert!(
        backup
            .path
            .join("tblspc/16400/PG_15_202209061/5/16385.gz.aes")
            .exists()
    );
    assert_ne!(how.stored(), StoredFormat::PLAIN);
}
