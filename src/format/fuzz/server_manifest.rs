//! The server's manifest of a base backup.

#![allow(clippy::unwrap_used)] // as in tests

use std::collections::BTreeMap;

use crate::crypto::Sha256;
use crate::format::{BackupManifest, ManifestSummary, hex};

/// The bytes as a manifest, and as one whose last line, with the checksum, is missing.
pub fn server_manifest(input: &[u8]) {
    check(input);
    let mut text = input.to_vec();
    text.push(b'\n');
    let checksum = hex::encode(&Sha256::of(&text));
    text.extend_from_slice(format!("\"Manifest-Checksum\": \"{checksum}\"}}\n").as_bytes());
    check(&text);
}

fn check(text: &[u8]) {
    let Ok(manifest) = BackupManifest::parse(text) else {
        // Not longer than what it was made of.
        let _ = ManifestSummary::read(text);
        let _ = BackupManifest::replace_files(text, &BTreeMap::new());
        return;
    };
    let summary = ManifestSummary::read(text).unwrap();
    assert_eq!(summary.system_identifier, manifest.system_identifier);
    assert_eq!(summary.wal_ranges, manifest.wal_ranges);
    let written = BackupManifest::replace_files(text, &BTreeMap::new()).unwrap();
    assert_eq!(BackupManifest::parse(&written).unwrap(), manifest);
}
