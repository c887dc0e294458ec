//! Changes of the metadata in `backup.info`.

use std::fs;
use std::path::Path;

use super::scratch::{Scratch, key, label};
use crate::crypto::{MasterKey, sha512};
use crate::error::ErrorKind;
use crate::format::hex;
use crate::repository::{Authenticity, BackupInfo, Metadata, Repository};
use crate::unit::Encryption;

const LABEL: &str = "20260101000000";

fn keep(repository: &Repository, key: &MasterKey) -> crate::error::Result<()> {
    let backup = repository.find(LABEL)?;
    let change = |metadata: &mut Metadata| {
        metadata.keep = true;
        Ok(())
    };
    repository.change_info(&backup, key, change).map(drop)
}

/// The text of a signed backup, with a key that this version does not know.
fn signed(encryption: Encryption) -> String {
    let info = BackupInfo {
        valid: true,
        encryption,
        manifest_sha256: Some([7; 32]),
        comments: "a|b".to_owned(),
        ..BackupInfo::unreadable()
    };
    let text = format!("{}FUTURE_KEY=x\n", info.to_text(&label(LABEL)));
    crate::repository::signature::sign(text, &key()).unwrap()
}

#[test]
fn only_the_changed_lines_are_replaced_and_the_signature_stays_valid() {
    let scratch = Scratch::new("change");
    let text = signed(Encryption::Aes256);
    let path = scratch.add(LABEL, &text);
    keep(&scratch.1, &key()).unwrap();
    let backup = scratch.1.find(LABEL).unwrap();
    assert_eq!(backup.authenticity(&key()).unwrap(), Authenticity::Verified);
    let read = || fs::read_to_string(path.join("backup.info")).unwrap();
    let without_hmac = |text: &str| text.split("HMAC=").next().unwrap().to_owned();
    let expected = without_hmac(&text).replace("KEEP=0", "KEEP=1");
    assert_eq!(without_hmac(&read()), expected);
    // Nothing is written for nothing.
    let before = fs::metadata(path.join("backup.info")).unwrap();
    keep(&scratch.1, &key()).unwrap();
    let after = fs::metadata(path.join("backup.info")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    let wrong = scratch.1.change_info(&backup, &key(), |metadata| {
        metadata.comments = "a\nHMAC=1".to_owned();
        metadata.valid = false;
        Ok(())
    });
    assert!(wrong.is_err());
    assert_eq!(without_hmac(&read()), expected);
    let changed = scratch.1.change_info(&backup, &key(), |metadata| {
        metadata.valid = false;
        metadata.comments = "c|d".to_owned();
        Ok(())
    });
    let changed = changed.unwrap();
    assert!(!changed.info.valid && changed.info.keep && changed.info.comments == "c|d");
    assert_eq!(
        changed.authenticity(&key()).unwrap(),
        Authenticity::Verified
    );
}

#[test]
fn what_was_forged_is_not_signed_and_not_changed() {
    let scratch = Scratch::new("change-forged");
    let other = MasterKey::for_tests(2);
    let plain = signed(Encryption::None);
    let unsigned = |text: &str| text.split("HMAC=").next().unwrap().to_owned();
    for (text, key) in [
        (
            signed(Encryption::Aes256).replace("KEEP=0", "KEEP=0\nWAL=x"),
            key(),
        ),
        (plain.replace("VERSION=0", "VERSION=1"), key()),
        (plain, other),
        (
            unsigned(&signed(Encryption::Aes256)),
            MasterKey::for_tests(1),
        ),
    ] {
        let path = scratch.add(LABEL, &text);
        let refused = keep(&scratch.1, &key).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        assert_eq!(fs::read_to_string(path.join("backup.info")).unwrap(), text);
    }
    // One that is neither encrypted nor signed stays without a signature.
    let path = scratch.add(LABEL, "STATUS=1\n");
    keep(&scratch.1, &key()).unwrap();
    let text = fs::read_to_string(path.join("backup.info")).unwrap();
    assert_eq!(text, "STATUS=1\nKEEP=1\n");
}

fn sums(info: &str) -> String {
    let (other, digest) = ("0".repeat(128), hex::encode(&sha512(info.as_bytes())));
    format!("{other} *./data/backup.info.zstd\n{digest} *./backup.info\n{other} *./x\n")
}

/// A backup of the C program.
fn add_c(scratch: &Scratch, info: &str, sums: &str) -> std::path::PathBuf {
    let path = scratch.1.c_backup_path().join(LABEL);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("backup.info"), info).unwrap();
    fs::write(path.join("backup.sha512"), sums).unwrap();
    path
}

#[test]
fn the_digest_of_a_backup_of_the_c_program_is_changed_too() {
    let scratch = Scratch::new("change-c");
    let info = "STATUS=1\nKEEP=0\nENCRYPTION=1\nTYPE=0\nEXTRA=\n";
    let read = |path: &Path, name: &str| fs::read_to_string(path.join(name)).unwrap();
    let changed = info.replace("KEEP=0", "KEEP=1");
    let path = add_c(&scratch, info, &sums(info));
    keep(&scratch.1, &key()).unwrap();
    assert_eq!(read(&path, "backup.info"), changed);
    assert_eq!(read(&path, "backup.sha512"), sums(&changed));
    // Without the digest it is incomplete, and stays so.
    add_c(&scratch, info, "00 *./x\n");
    keep(&scratch.1, &key()).unwrap();
    assert_eq!(read(&path, "backup.info"), changed);
    assert_eq!(read(&path, "backup.sha512"), "00 *./x\n");
    assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
}

#[test]
fn an_interrupted_change_is_finished_or_undone_at_the_start() {
    let scratch = Scratch::new("change-rest");
    let (old, new) = ("STATUS=1\nKEEP=0\n", "STATUS=1\nKEEP=1\n");
    for (info, rest, expected) in [
        (old, sums(new), sums(old)),
        (new, sums(new), sums(new)),
        (old, "0".repeat(100), sums(old)),
    ] {
        let path = add_c(&scratch, info, &sums(old));
        fs::write(path.join(".backup.sha512.tmp"), rest).unwrap();
        fs::write(path.join(".backup.info.tmp"), "STA").unwrap();
        assert_eq!(scratch.1.sweep().unwrap(), 1);
        let found = fs::read_to_string(path.join("backup.sha512")).unwrap();
        assert_eq!(found, expected);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
    }
    assert_eq!(scratch.1.sweep().unwrap(), 0);
}

#[test]
fn after_any_change_of_a_bit_nothing_in_the_file_is_relied_on() {
    let scratch = Scratch::new("rot");
    for encryption in [Encryption::None, Encryption::Aes256] {
        let text = signed(encryption);
        let path = scratch.add(LABEL, &text).join("backup.info");
        let is_trusted = || {
            let backup = scratch.1.find(LABEL).unwrap();
            backup.has_trusted_info(&key()).unwrap()
        };
        assert!(is_trusted());
        for index in 0..text.len() {
            for bit in [1, 0x10, 0x80] {
                let mut changed = text.clone().into_bytes();
                changed[index] ^= bit;
                fs::write(&path, &changed).unwrap();
                assert!(!is_trusted(), "{}", String::from_utf8_lossy(&changed));
            }
        }
        fs::remove_file(&path).unwrap();
        assert!(!is_trusted(), "it is missing");
    }
    let directory = scratch.1.c_backup_path().join("20260102000000");
    fs::create_dir_all(&directory).unwrap();
    let info = "STATUS=1\nKEEP=1\n";
    fs::write(directory.join("backup.info"), info).unwrap();
    let digest = hex::encode(&sha512(info.as_bytes()));
    fs::write(
        directory.join("backup.sha512"),
        format!("{digest} *./backup.info\n"),
    )
    .unwrap();
    let is_trusted = || {
        let backup = scratch.1.find("20260102000000").unwrap();
        backup.has_trusted_info(&key()).unwrap()
    };
    assert!(is_trusted());
    fs::write(directory.join("backup.info"), "STATUS=1\nKEEP=0\n").unwrap();
    assert!(!is_trusted());
}
