//! The pipeline on generated archives: stored files decode to the input, and errors leave no files.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use super::scratch::{Scratch, archive, cluster, coding, key, manifest};
use crate::codec::{CHUNK_SIZE, Compression, StoredFormat, StoredReader};
use crate::error::ErrorKind;
use crate::unit::Encryption;

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
