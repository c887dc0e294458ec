//! The manifest: what is written is read, and what must not be in it is rejected.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::scratch::{Scratch, key, label, written};
use crate::codec::{Compression, StoredFormat, compress_message};
use crate::crypto::Sha256;
use crate::error::ErrorKind;
use crate::format::hex;
use crate::repository::Manifest;
use crate::unit::Encryption;

#[test]
fn a_manifest_round_trips_and_sha256sum_accepts_the_digests() {
    let scratch = Scratch::new("manifest");
    let directory = scratch.add("20260101000000", "STATUS=1\n");
    let manifest = written(&directory, &label("20260101000000"));
    let backup = scratch.1.find("oldest").unwrap();
    let read = backup.manifest(&Arc::new(key())).unwrap();
    assert_eq!(format!("{read:?}"), format!("{manifest:?}"));
    let check = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "backup.sha256"])
        .current_dir(&directory)
        .status()
        .unwrap();
    assert!(check.success());
}

#[test]
fn a_changed_or_truncated_manifest_is_rejected() {
    let scratch = Scratch::new("damage");
    let directory = scratch.add("20260101000000", "STATUS=1\n");
    written(&directory, &label("20260101000000"));
    let backup = scratch.1.find("oldest").unwrap();
    let path = directory.join("backup.manifest");
    let good = std::fs::read(&path).unwrap();
    let mut bad = vec![
        good[..good.len() - 1].to_vec(),
        good[..100].to_vec(),
        Vec::new(),
    ];
    bad.push([&good[..], b"x"].concat());
    for at in [20, good.len() / 2, good.len() - 2] {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        bad.push(bytes);
    }
    for bytes in bad {
        std::fs::write(&path, bytes).unwrap();
        let failure = backup.manifest(&Arc::new(key())).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Corrupt, "{failure}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(backup.manifest(&Arc::new(key())).is_err());
}

/// Writes a manifest of this version with these lines after its header.
fn write_lines(directory: &Path, version: u32, lines: &[u8]) {
    let header = format!(
        "{{\"backup\":{{\"manifest_version\":{version},\"label\":\"20260101000000\",\
         \"system_identifier\":7,\"compression\":\"none\",\"encryption\":\"none\"}}}}\n"
    );
    let lines = match version {
        ..3 => lines.to_vec(),
        _ => compress_message(lines, Compression::Zstd).unwrap(),
    };
    let manifest = [header.as_bytes(), &lines].concat();
    let sha256 = hex::encode(&Sha256::of(&manifest));
    std::fs::write(directory.join("backup.manifest"), manifest).unwrap();
    let sums = format!("{sha256}  backup.manifest\n");
    std::fs::write(directory.join("backup.sha256"), sums).unwrap();
}

#[test]
fn manifests_of_all_versions_are_read_and_later_ones_are_left_alone() {
    let scratch = Scratch::new("versions");
    let directory = scratch.add("20260101000000", "STATUS=1\n");
    let lines = b"{\"directory\":{\"path\":\"base\",\"mode\":\"0700\"}}\n{\"end\":1}\n";
    let read = || {
        let backup = scratch.1.find("oldest").unwrap();
        backup.manifest(&Arc::new(key()))
    };
    for version in 1..=3 {
        write_lines(&directory, version, lines);
        assert_eq!(read().unwrap().directories.len(), 1, "{version}");
    }
    // Not `Corrupt`, for which a verification would make the backup invalid.
    write_lines(&directory, 4, b"anything");
    assert_eq!(read().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn lines_that_decompress_without_end_are_an_error_with_bounded_memory() {
    let scratch = Scratch::new("bomb");
    let directory = scratch.add("20260101000000", "STATUS=1\n");
    let line = b"{\"directory\":{\"path\":\"base\",\"mode\":\"0700\"}}\n";
    let backup = || scratch.1.find("oldest").unwrap();
    write_lines(
        &directory,
        3,
        &[&line.repeat(1000)[..], b"{\"end\":1000}\n"].concat(),
    );
    let manifest = backup().manifest(&Arc::new(key())).unwrap();
    assert_eq!(manifest.directories.len(), 1000);
    // 80 MB of lines in some kB, and zeros.
    for bytes in [line.repeat(1_700_000), vec![0; 80 << 20]] {
        write_lines(&directory, 3, &bytes);
        let size = directory.join("backup.manifest").metadata().unwrap().len();
        assert!(size < 20_000, "{size}");
        let failure = backup().manifest(&Arc::new(key())).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Corrupt);
        let text = failure.to_string();
        assert!(text.contains("longer than"), "{text}");
    }
}

#[test]
fn paths_in_a_manifest_cannot_leave_the_backup() {
    let head = concat!(
        r#"{"backup":{"manifest_version":1,"label":"20260101000000","#,
        r#""system_identifier":7,"compression":"none","encryption":"none"}}"#,
    );
    let of = |line: &str, count: u32| {
        let text = format!("{head}\n{line}\n{{\"end\":{count}}}\n");
        Manifest::parse(&mut text.as_bytes(), &label("20260101000000"))
    };
    let directory = |path: &str| format!(r#"{{"directory":{{"path":{path},"mode":"0700"}}}}"#);
    assert!(of(&directory(r#""base/1""#), 1).is_ok());
    assert!(of(&directory(r#"{"hex":"62ff"}"#), 1).is_ok());
    for path in [
        r#""/base""#,
        r#""..""#,
        r#""a/../b""#,
        r#""""#,
        r#""a\u0000b""#,
        r#"{"hex":"2e2e"}"#,
        r#"{"hex":"6"}"#,
        "7",
    ] {
        assert!(of(&directory(path), 1).is_err(), "{path}");
    }
    assert!(of(&directory(r#""base""#), 2).is_err(), "a line is missing");
    assert!(of(r#"{"directory":{"path":"a","mode":"99"}}"#, 1).is_err());
    assert!(of(r#"{"unknown":{}}"#, 1).is_err());
    assert!(of(head, 1).is_err());
}

#[test]
fn tablespace_names_and_links_in_a_manifest_cannot_leave_the_backup() {
    let head = concat!(
        r#"{"backup":{"manifest_version":2,"label":"20260101000000","#,
        r#""system_identifier":7,"compression":"none","encryption":"none"}}"#,
    );
    let of = |lines: &[String]| {
        let count = lines.len();
        let text = format!("{head}\n{}\n{{\"end\":{count}}}\n", lines.join("\n"));
        Manifest::parse(&mut text.as_bytes(), &label("20260101000000"))
    };
    let tablespace = |oid: u32, name: &str| {
        format!(
            r#"{{"tablespace":{{"oid":{oid},"name":{name},"location":{{"hex":"2f737276ff"}}}}}}"#
        )
    };
    let good = [
        tablespace(5, r#""tblspc_größe 1""#),
        tablespace(6, r#""tblspc_..""#),
    ];
    let read = of(&good).unwrap();
    assert_eq!(read.tablespaces[0].path.as_os_str().as_bytes(), b"/srv\xff");
    for name in [
        r#""x/../../../outside""#,
        r#""../x""#,
        r#""/x""#,
        r#""x/""#,
        r#""..""#,
        r#"".""#,
        r#""""#,
        r#""a\nb""#,
        r#""a\u0000b""#,
    ] {
        assert!(of(&[tablespace(5, name)]).is_err(), "{name}");
    }
    assert!(of(&[tablespace(0, r#""x""#)]).is_err());
    assert!(of(&[tablespace(5, r#""x""#), tablespace(5, r#""y""#)]).is_err());
    assert!(of(&[tablespace(5, r#""x""#), tablespace(6, r#""x""#)]).is_err());

    let link =
        |path: &str, target: &str| format!(r#"{{"link":{{"path":"{path}","target":"{target}"}}}}"#);
    assert!(of(&[link("pg_wal", "/srv/wal"), link("a", "b/c")]).is_ok());
    for (path, target) in [
        ("a", "/etc"),
        ("a", "../.."),
        ("a", ""),
        ("pg_wal/a", "/srv"),
        ("../a", "b"),
    ] {
        assert!(of(&[link(path, target)]).is_err(), "{path} {target}");
    }
}

#[test]
fn the_manifest_and_not_the_suffix_decides_the_format_of_a_file() {
    let of = |version: u32, words: &str, members: &str, kind: &str| {
        let digits = "0".repeat(64);
        let text = format!(
            "{{\"backup\":{{\"manifest_version\":{version},\
             \"label\":\"20260101000000\",\"system_identifier\":7,{words}}}}}\n\
             {{\"{kind}\":{{\"path\":\"a.gz.aes\",\"size\":1,\"modified\":0,\
             \"mode\":\"0600\",\"crc32c\":\"00000000\",\"blake3\":\"{digits}\",\
             \"stored\":\"data/a.gz.aes\",\"stored_size\":1,\"sha256\":\"{digits}\"{members}}}}}\n\
             {{\"end\":1}}\n"
        );
        let manifest = Manifest::parse(&mut text.as_bytes(), &label("20260101000000"))?;
        let mut files = manifest.files.into_iter().chain(manifest.wal);
        Ok::<_, crate::error::Error>(files.next().unwrap().stored)
    };
    let none = r#""compression":"none","encryption":"none""#;
    let aes = r#""compression":"zstd","encryption":"aes-192-gcm""#;
    let stored = |compression, encryption| {
        Some(StoredFormat {
            compression,
            encryption,
        })
    };
    let expected = stored(Compression::Zstd, Encryption::Aes192);
    assert_eq!(of(1, none, "", "file").unwrap(), Some(StoredFormat::PLAIN));
    assert_eq!(of(1, aes, "", "file").unwrap(), expected);
    assert_eq!(of(2, aes, "", "file").unwrap(), expected);
    assert_eq!(of(2, aes, "", "wal").unwrap(), expected);
    let own = r#","compression":"none","encryption":"aes-128-gcm""#;
    let expected = stored(Compression::None, Encryption::Aes128);
    assert_eq!(of(2, aes, own, "wal").unwrap(), expected);
    assert_eq!(of(1, aes, "", "wal").unwrap(), None, "0.1.0 did not say it");

    let newer = of(4, none, "", "file").unwrap_err();
    assert_eq!(newer.kind(), ErrorKind::Unsupported);
    assert!(of(0, none, "", "file").is_err());
    assert!(of(2, none, r#","compression":"rar""#, "file").is_err());
    assert!(
        of(
            2,
            r#""compression":"none","encryption":"rot13""#,
            "",
            "file"
        )
        .is_err()
    );
}

#[test]
fn a_plain_file_in_an_encrypted_backup_is_rejected() {
    let head = concat!(
        r#"{"backup":{"manifest_version":2,"label":"20260101000000","#,
        r#""system_identifier":7,"compression":"none","encryption":"aes-256-gcm"}}"#,
    );
    let of = |kind: &str, members: &str| {
        let digits = "0".repeat(64);
        let text = format!(
            "{head}\n{{\"{kind}\":{{\"path\":\"a\",\"size\":1,\"modified\":0,\
             \"mode\":\"0600\",\"crc32c\":\"00000000\",\"blake3\":\"{digits}\",\
             \"stored\":\"data/a\",\"stored_size\":1,\"sha256\":\"{digits}\"{members}}}}}\n\
             {{\"end\":1}}\n"
        );
        Manifest::parse(&mut text.as_bytes(), &label("20260101000000"))
    };
    for kind in ["file", "wal"] {
        assert!(of(kind, "").is_ok());
        assert!(of(kind, r#","encryption":"aes-128-gcm""#).is_ok());
        let failure = of(kind, r#","encryption":"none""#).unwrap_err();
        assert!(failure.message().contains("not encrypted"), "{failure}");
    }
}
