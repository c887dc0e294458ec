//! Backups of version 0.1.0, in the directory of the C program: they are moved out and signed.

use std::sync::Arc;

use super::scratch::{Scratch, ZSTD, key, label, written_as};
use crate::codec::StoredFormat;
use crate::crypto::MasterKey;
use crate::error::ErrorKind;
use crate::repository::{Authenticity, Origin};
use crate::unit::Encryption;

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

    let found = scratch.1.find("20260102").unwrap();
    let failure = found.manifest(&Arc::new(key())).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Corrupt);
    assert!(failure.message().contains("does not list"), "{failure}");

    // Of two backups with the same label the one of this program is used.
    put("20260101000000", &earlier);
    assert_eq!(listed(), expected(true));
    assert_eq!(scratch.1.move_backups_of_0_1_0(&key()).unwrap(), 0);
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
    signed.manifest(&Arc::new(key())).unwrap();
    let other = MasterKey::for_tests(2);
    let refuted = signed.authenticity(&other).unwrap();
    assert_eq!(refuted, Authenticity::Invalid);

    // The digest in backup.info decides, not the one in backup.sha256.
    let manifest = signed.path.join("backup.manifest");
    let mut bytes = std::fs::read(&manifest).unwrap();
    let header = "\"system_identifier\":".as_bytes();
    let at = bytes
        .windows(header.len())
        .position(|found| found == header);
    bytes[at.unwrap() + header.len()] ^= 1;
    std::fs::write(&manifest, bytes).unwrap();
    std::fs::remove_file(signed.path.join("backup.sha256")).unwrap();
    let failure = signed.manifest(&Arc::new(key())).unwrap_err();
    assert!(failure.message().contains("backup.info"), "{failure}");
}
