//! Backups on disk: listing, finding, cleanup, and the checks of a manifest.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::*;
use crate::codec::{Compression, StoredFormat};
use crate::crypto::MasterKey;
use crate::error::ErrorKind;
use crate::format::ConfigFile;
use crate::repository::{ManifestFile, ManifestWriter, SystemInfo, TablespaceInfo};
use crate::unit::Label;
use crate::unit::{Encryption, PgVersion, SegmentSize};

/// A repository that is removed on drop.
struct Scratch(PathBuf, Repository);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let base = format!("pgmoneta-{name}-{}", std::process::id());
        let base = std::env::temp_dir().join(base);
        std::fs::create_dir_all(&base).unwrap();
        let repository = Repository::create(&base, &"primary".parse().unwrap()).unwrap();
        Scratch(base, repository)
    }

    fn add(&self, label: &str, info: &str) -> PathBuf {
        let path = self.1.backup_path().join(label);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("backup.info"), info).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

#[test]
fn complete_backups_are_listed_and_damaged_ones_are_not_valid() {
    let scratch = Scratch::new("list");
    assert!(scratch.1.backups().unwrap().is_empty());
    assert!(scratch.1.find("newest").is_err());
    scratch.add("20260103000000", "STATUS=1\n");
    scratch.add("20260101000000", "STATUS=1\n");
    scratch.add("20260104000000", "STATUS=");
    scratch.add(".new-20260105000000", "STATUS=1\n");
    scratch.add("lost+found", "");
    std::fs::write(scratch.1.backup_path().join("20260106000000"), "").unwrap();
    let backups = scratch.1.backups().unwrap();
    let listed: Vec<_> = backups
        .iter()
        .map(|b| (b.label.as_str(), b.info.valid))
        .collect();
    assert_eq!(
        listed,
        [
            ("20260101000000", true),
            ("20260103000000", true),
            ("20260104000000", false)
        ]
    );
    let newest = scratch.1.newest_label().unwrap();
    assert_eq!(newest, Some(label("20260105000000")));
    for (identifier, found) in [
        ("oldest", Some("20260101000000")),
        ("newest", Some("20260103000000")),
        ("latest", Some("20260103000000")),
        ("20260101", Some("20260101000000")),
        ("20260104000000", Some("20260104000000")),
        ("2026", None),
        ("20260105", None),
        ("", None),
        ("..", None),
    ] {
        let result = scratch.1.find(identifier).ok();
        assert_eq!(
            result.as_ref().map(|b| b.label.as_str()),
            found,
            "{identifier}"
        );
    }
    assert_eq!(scratch.1.find("2026").unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(scratch.1.find("1").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn backups_are_read_once_and_again_when_they_change_on_disk() {
    let scratch = Scratch::new("catalogue");
    for day in 1..=5 {
        scratch.add(&format!("2026010{day}000000"), "STATUS=1\nCOMMENTS=a\n");
    }
    let path = |day: u32| scratch.1.backup_path().join(format!("2026010{day}000000"));
    let seen = |repository: &Repository| {
        let before = repository.catalogue().reads;
        let backups = repository.backups().unwrap();
        let count = repository.catalogue().reads - before;
        let comments = backups.iter().map(|backup| backup.info.comments.clone());
        (count, comments.collect::<Vec<_>>().join(""))
    };
    assert_eq!(seen(&scratch.1), (5, "aaaaa".to_owned()));
    // Fresh files are read each time: their times may not tell a change.
    while seen(&scratch.1).0 > 0 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let clone = scratch.1.clone();
    assert_eq!(seen(&clone), (0, "aaaaa".to_owned()));
    scratch.1.find("newest").unwrap();
    assert_eq!(seen(&clone), (0, "aaaaa".to_owned()));

    std::fs::write(path(2).join("backup.info"), "STATUS=1\nCOMMENTS=b\n").unwrap();
    assert_eq!(seen(&clone), (1, "abaaa".to_owned()), "changed in place");
    std::fs::remove_dir_all(path(3)).unwrap();
    assert_eq!(seen(&clone).1, "abaa", "removed");
    scratch.add("20260109000000", "STATUS=1\nCOMMENTS=c\n");
    assert_eq!(seen(&clone).1, "abaac", "brought");
    std::fs::rename(path(1), path(8)).unwrap();
    assert_eq!(seen(&clone).1, "baaac", "moved");
    let damaged = |day: u32| {
        let backups = clone.backups().unwrap();
        let label = format!("2026010{day}000000");
        let found = backups.iter().find(|backup| backup.label.as_str() == label);
        found.unwrap().damage().is_some()
    };
    assert!(damaged(4), "there is no manifest");
    std::fs::write(path(4).join("backup.manifest"), "{}").unwrap();
    assert!(!damaged(4));
    std::fs::remove_file(path(4).join("backup.manifest")).unwrap();
    assert!(damaged(4));
    std::fs::write(path(5).join("backup.info"), "STATUS=").unwrap();
    let backups = clone.backups().unwrap();
    let valid = |text: &str| {
        let found = backups.iter().find(|backup| backup.label.as_str() == text);
        found.unwrap().info.valid
    };
    assert!(!valid("20260105000000") && valid("20260104000000"));
}

#[test]
fn a_backup_is_read_again_after_an_error_of_the_system() {
    let scratch = Scratch::new("catalogue-error");
    let unreadable = scratch.1.backup_path().join("20260102000000");
    std::fs::create_dir_all(&unreadable).unwrap();
    // open(2) of a socket is ENXIO.
    let _socket = UnixListener::bind(unreadable.join("backup.info")).unwrap();
    // The last one to be changed: when it is not read any more, the other one is not fresh either.
    scratch.add("20260101000000", "STATUS=1\n");
    let reads = || {
        let before = scratch.1.catalogue().reads;
        let backups = scratch.1.backups().unwrap();
        assert!(backups[0].info.valid && !backups[1].info.valid);
        scratch.1.catalogue().reads - before
    };
    while reads() > 1 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(reads(), 1);
    assert_eq!(reads(), 1);
}

#[test]
fn a_sweep_removes_incomplete_backups_and_nothing_else() {
    let scratch = Scratch::new("sweep");
    let kept = scratch.add("20260101000000", "STATUS=1\n");
    let building = scratch.add(".new-20260102000000", "STATUS=1\n");
    std::fs::create_dir_all(building.join("data/base/1")).unwrap();
    std::fs::write(building.join("data/base/1/1"), "x").unwrap();
    std::fs::write(kept.join(".backup.info.tmp"), "").unwrap();
    std::fs::write(kept.join("data"), "").unwrap();
    let system = SystemInfo {
        system_identifier: 7,
        version: PgVersion {
            major: 15,
            minor: 1,
        },
        segment_size: SegmentSize::DEFAULT,
    };
    scratch.1.bind(&system).unwrap();
    std::fs::write(scratch.1.wal_path().join(".0001.zstd.tmp"), "").unwrap();
    std::fs::write(scratch.1.wal_path().join("0001.partial"), "").unwrap();
    assert_eq!(scratch.1.sweep().unwrap(), 3);
    assert!(!building.exists());
    assert!(kept.join("backup.info").exists() && kept.join("data").exists());
    assert!(scratch.1.wal_path().join("0001.partial").exists());
    assert_eq!(scratch.1.sweep().unwrap(), 0);
}

const ZSTD: StoredFormat = StoredFormat {
    compression: Compression::Zstd,
    encryption: Encryption::None,
};

fn written(directory: &Path, label: &Label) -> Manifest {
    written_as(directory, label, ZSTD)
}

fn written_as(directory: &Path, label: &Label, stored: StoredFormat) -> Manifest {
    let mut writer = ManifestWriter::create(directory, label, 7, stored).unwrap();
    let file = |path: &[u8]| {
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
        ManifestFile {
            stored_path: Path::new("data").join(&path),
            stored: Some(stored),
            path,
            size: 3,
            modified: -1,
            mode: 0o640,
            crc32c: 0xfe,
            blake3: [3; 32],
            stored_size: 12,
            sha256: crate::crypto::Sha256::of(b"stored"),
        }
    };
    let tablespace = TablespaceInfo {
        name: "tblspc_5".to_owned(),
        oid: 5,
        path: "/a\nb".into(),
    };
    let mut other = file(b"pg_wal/00000001000000000000000A");
    other.stored = Some(StoredFormat {
        compression: Compression::Gzip,
        encryption: Encryption::Aes128,
    });
    let manifest = Manifest {
        stored,
        files: vec![file(b"PG_VERSION"), file(b"odd \xff\n\\name")],
        directories: vec![("base".into(), 0o700)],
        links: vec![("pg_wal".into(), "/srv/wal".into())],
        tablespaces: vec![tablespace],
        wal: vec![other],
        config: vec![(ConfigFile::Hba, file(b"etc/pg_hba.conf"))],
    };
    writer.tablespace(&manifest.tablespaces[0]).unwrap();
    writer.directory(&manifest.directories[0].0, 0o700).unwrap();
    writer
        .link(&manifest.links[0].0, &manifest.links[0].1)
        .unwrap();
    for file in &manifest.files {
        writer.file(file).unwrap();
        let stored = directory.join(&file.stored_path);
        std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
        std::fs::write(stored, b"stored").unwrap();
    }
    writer.wal(&manifest.wal[0]).unwrap();
    let (what, config) = &manifest.config[0];
    writer.config(*what, config).unwrap();
    for file in [&manifest.wal[0], config] {
        let stored = directory.join(&file.stored_path);
        std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
        std::fs::write(stored, b"stored").unwrap();
    }
    writer.finish().unwrap();
    manifest
}

#[test]
fn a_manifest_round_trips_and_sha256sum_accepts_the_digests() {
    let scratch = Scratch::new("manifest");
    let directory = scratch.add("20260101000000", "STATUS=1\n");
    let manifest = written(&directory, &label("20260101000000"));
    let backup = scratch.1.find("oldest").unwrap();
    let read = backup.manifest().unwrap();
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
    bad.push(
        String::from_utf8(good.clone())
            .unwrap()
            .replace("PG_VERSION", "PG_VERSIOM")
            .into(),
    );
    for bytes in bad {
        std::fs::write(&path, bytes).unwrap();
        let failure = backup.manifest().unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Corrupt, "{failure}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(backup.manifest().is_err());
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
fn backups_of_0_1_0_are_moved_and_labels_are_unique_over_both_directories() {
    let scratch = Scratch::new("places");
    let of_c = scratch.1.c_backup_path();
    let put = |label: &str, files: &[(&str, &str)]| {
        let path = of_c.join(label);
        std::fs::create_dir_all(&path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
    };
    assert!(!of_c.exists(), "nothing is made for the C program");
    put(
        "20260102000000",
        &[
            ("backup.info", "STATUS=1\nLABEL=20260102000000\n"),
            ("backup.sha512", ""),
            ("backup.manifest", "PG_VERSION,00\n"),
        ],
    );
    let earlier = [
        ("backup.info", "STATUS=1\n"),
        ("backup.sha256", ""),
        ("backup.manifest", "{\"backup\":{}}\n"),
    ];
    put("20260103000000", &earlier);
    put("20260109000000", &[("backup.info", "STATUS=0\n")]);
    put(".new-20260108000000", &[]);
    scratch.add("20260101000000", "STATUS=1\n");
    let listed = || -> Vec<_> {
        let backups = scratch.1.backups().unwrap().into_iter();
        let shown = backups.map(|backup| {
            let own = backup.path.starts_with(scratch.1.backup_path());
            (backup.label.to_string(), backup.origin, own)
        });
        shown.collect()
    };
    let expected = |moved| {
        [
            ("20260101000000".to_owned(), Origin::Own, true),
            ("20260102000000".to_owned(), Origin::C, false),
            ("20260103000000".to_owned(), Origin::Own, moved),
            ("20260109000000".to_owned(), Origin::C, false),
        ]
    };
    assert_eq!(listed(), expected(false));
    let newest = scratch.1.newest_label().unwrap();
    assert_eq!(newest, Some(label("20260109000000")));

    assert_eq!(scratch.1.move_backups_of_0_1_0(&key()).unwrap(), 1);
    assert_eq!(listed(), expected(true));
    assert_eq!(scratch.1.move_backups_of_0_1_0(&key()).unwrap(), 0);
    assert_eq!(scratch.1.sweep().unwrap(), 1, "what 0.1.0 was building");
    assert_eq!(listed(), expected(true));

    let failure = scratch.1.find("20260102").unwrap().manifest().unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Unsupported);
    assert!(failure.message().contains("written by the C program"));

    // Of two backups with the same label the one of this program is used.
    put("20260101000000", &earlier);
    assert_eq!(listed(), expected(true));
    assert_eq!(scratch.1.move_backups_of_0_1_0(&key()).unwrap(), 0);
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

    let newer = of(3, none, "", "file").unwrap_err();
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

fn key() -> MasterKey {
    MasterKey::for_tests(1)
}

#[test]
fn unsigned_backups_of_0_1_0_are_signed_once() {
    let scratch = Scratch::new("sign");
    let put = |text: &str, encryption: Encryption, damaged: bool| {
        let path = scratch.1.c_backup_path().join(text);
        std::fs::create_dir_all(&path).unwrap();
        let code = encryption.code();
        let info = format!("STATUS=1\nCOMMENTS=a|b\nENCRYPTION={code}\n");
        std::fs::write(path.join("backup.info"), info).unwrap();
        let stored = StoredFormat { encryption, ..ZSTD };
        written_as(&path, &label(text), stored);
        if damaged {
            std::fs::write(path.join("backup.manifest"), "{").unwrap();
        }
    };
    put("20260101000000", Encryption::Aes256, false);
    put("20260102000000", Encryption::Aes256, true);
    put("20260104000000", Encryption::None, false);
    assert_eq!(scratch.1.move_backups_of_0_1_0(&key()).unwrap(), 3);
    put("20260103000000", Encryption::Aes256, false);
    assert_eq!(scratch.1.move_backups_of_0_1_0(&key()).unwrap(), 1);
    let proven = |text: &str| {
        let backup = scratch.1.find(text).unwrap();
        assert_eq!(backup.origin, Origin::Own);
        assert!(backup.info.comments == "a|b" && backup.info.valid);
        backup.authenticity(&key()).unwrap()
    };
    assert_eq!(proven("20260101000000"), Authenticity::Verified);
    assert_eq!(proven("20260102000000"), Authenticity::Unsigned);
    assert_eq!(proven("20260103000000"), Authenticity::Unsigned, "too late");
    // Anyone who can write to the repository could have created it.
    assert_eq!(proven("20260104000000"), Authenticity::Unsigned);
    let signed = scratch.1.find("20260101000000").unwrap();
    signed.manifest().unwrap();
    let other = MasterKey::for_tests(2);
    let refuted = signed.authenticity(&other).unwrap();
    assert_eq!(refuted, Authenticity::Invalid);

    // The digest in backup.info decides, not the one in backup.sha256.
    let manifest = signed.path.join("backup.manifest");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("0640", "0644")).unwrap();
    std::fs::remove_file(signed.path.join("backup.sha256")).unwrap();
    let failure = signed.manifest().unwrap_err();
    assert!(failure.message().contains("backup.info"), "{failure}");
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

#[test]
fn a_pipe_or_a_device_instead_of_a_file_does_not_block() {
    let scratch = Scratch::new("pipe");
    let path = scratch.add("20260101000000", "STATUS=1\n");
    scratch.add("20260102000000", "STATUS=1\n");
    std::fs::remove_file(path.join("backup.info")).unwrap();
    let pipe = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    pipe(&path.join("backup.info"));
    pipe(&scratch.1.path().join("system.info"));
    pipe(&scratch.1.wal_path().join("00000002.history"));
    let device = scratch.1.backup_path().join("20260102000000/backup.info");
    std::fs::remove_file(&device).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
    let (sender, results) = std::sync::mpsc::channel();
    let repository = scratch.1.clone();
    std::thread::spawn(move || {
        let backups = repository.backups().unwrap();
        let wal = repository.wal_with_segment_size(SegmentSize::DEFAULT);
        let second = crate::unit::Timeline::new(2).unwrap();
        let _ = sender.send((
            backups.iter().map(|backup| backup.info.valid).collect(),
            repository.system().is_err(),
            wal.history(second).is_err(),
        ));
    });
    let valid: (Vec<bool>, bool, bool) = results
        .recv_timeout(std::time::Duration::from_secs(60))
        .unwrap();
    assert_eq!(valid, (vec![false, false], true, true));
}

#[test]
fn a_file_of_a_backup_is_limited_to_its_size_in_the_manifest() {
    use std::io::Read;
    let scratch = Scratch::new("bomb");
    let label = label("20260101000000");
    let path = scratch.add(label.as_str(), "STATUS=1\n");
    std::fs::create_dir_all(path.join("data/base/1")).unwrap();
    let manifest = written(&path, &label);
    let file = manifest.files.first().unwrap();
    let stored = file.stored.unwrap();
    let coding = crate::codec::EncodeOptions {
        compression: stored.compression,
        level: crate::codec::Level::Auto,
        encryption: stored.encryption,
        key: Some(std::sync::Arc::new(key())),
    };
    let mut bomb = Vec::new();
    let plain = vec![0; 4 << 20];
    crate::codec::encode(&mut &plain[..], &mut bomb, &coding).unwrap();
    let at = path.join(&file.stored_path);
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::fs::write(at, bomb).unwrap();
    let backup = Backup::completed(label, path).unwrap();
    let mut source = backup.open(file, coding.key.as_ref().unwrap()).unwrap();
    let mut out = Vec::new();
    assert!(source.read_to_end(&mut out).is_err());
    assert!(out.len() as u64 <= file.size, "{}", out.len());
}
