//! The files of a repository, of this and of the C program.

#![allow(clippy::unwrap_used)] // as in tests

use std::path::Path;

use super::c_backup::fuzz::lists;
use super::manifest_line::{FileLine, Line, is_relative_path};
use super::repository_info::RepositoryInfo;
use super::signature::Signature;
use super::{BackupInfo, Manifest, PrunedWal, SystemInfo, VerificationInfo, sums};
use crate::codec::StoredFormat;
use crate::crypto::Sha256;
use crate::format::{Comments, hex};
use crate::unit::Label;

/// The bytes as each of the files: what is read from them is written, and read again.
pub fn repository(input: &[u8]) {
    backup_info(input);
    manifest(input);
    backup_sums(input);
    verification(input);
    small_files(input);
    lists(input);
}

fn label() -> Label {
    "20261122082253".parse().unwrap()
}

fn backup_info(input: &[u8]) {
    let _ = Signature::parse(input);
    let Ok(info) = BackupInfo::parse(input, &label()) else {
        return;
    };
    let comments = Comments::parse(&info.comments);
    assert_eq!(
        Comments::parse(&comments.stored()).pairs(),
        comments.pairs()
    );
    // What the C program writes otherwise is written as this program does.
    let text = info.to_text(&label());
    let again = BackupInfo::parse(text.as_bytes(), &label()).unwrap();
    assert_eq!(again.to_text(&label()), text);
    assert_eq!(again.tablespaces.len(), info.tablespaces.len());
    assert_eq!(again.start, info.start);
    assert_eq!(again.end, info.end);
    assert_eq!(again.manifest_sha256, info.manifest_sha256);
}

fn manifest(input: &[u8]) {
    if let Ok(manifest) = Manifest::parse(&mut &*input, &label()) {
        for file in manifest.all_files() {
            assert!(is_relative_path(&file.path), "{file:?}");
            assert!(is_relative_path(&file.stored_path), "{file:?}");
        }
        for (path, target) in &manifest.links {
            let within = path == Path::new("pg_wal") || is_relative_path(target);
            assert!(is_relative_path(path) && within, "{path:?} {target:?}");
        }
        let mut all = manifest.directories.iter();
        assert!(all.all(|(path, mode)| is_relative_path(path) && *mode <= 0o7777));
        let _ = manifest.segment_size();
    }
    for line in input.split(|byte| *byte == b'\n') {
        manifest_line(line);
    }
}

fn manifest_line(bytes: &[u8]) {
    let Ok(line) = Line::parse(bytes) else {
        return;
    };
    let written = line.to_bytes().unwrap();
    assert_eq!(Line::parse(&written).unwrap(), line);
    let (Line::File(line) | Line::Wal(line)) = line else {
        return;
    };
    let stored = StoredFormat::PLAIN;
    if let Ok(file) = line.parse(Some(stored)) {
        let written = FileLine::of(&file, stored).unwrap();
        assert_eq!(written.parse(Some(stored)).unwrap(), file);
    }
}

fn backup_sums(input: &[u8]) {
    let Ok(all) = sums::parse_all(input) else {
        return;
    };
    let lines = all
        .iter()
        .map(|(path, digest)| sums::format_line(digest, path));
    let text = lines.collect::<Vec<_>>().concat();
    assert_eq!(sums::parse_all(&*text).unwrap(), all);
}

/// The bytes with the right digest in their last line.
fn verification(input: &[u8]) {
    let digest = hex::encode(&Sha256::of(input));
    let text = [input, b"sha256=", digest.as_bytes(), b"\n"].concat();
    if let Some(info) = VerificationInfo::parse(&text) {
        let written = info.to_text();
        assert_eq!(VerificationInfo::parse(written.as_bytes()), Some(info));
    }
}

fn small_files(input: &[u8]) {
    if let Ok(pruned) = PrunedWal::parse(input) {
        assert_eq!(
            PrunedWal::parse(pruned.to_text().as_bytes()).unwrap(),
            pruned
        );
    }
    if let Ok(info) = RepositoryInfo::parse(input) {
        assert_eq!(
            RepositoryInfo::parse(info.to_text().as_bytes()).unwrap(),
            info
        );
    }
    if let Ok(info) = SystemInfo::parse(input) {
        let text = info.render(input).unwrap();
        assert_eq!(SystemInfo::parse(text.as_bytes()).unwrap(), info);
        let text = info.render(b"").unwrap();
        assert_eq!(SystemInfo::parse(text.as_bytes()).unwrap(), info);
    }
}
