//! Restores a backup without pgmoneta: with standard tools if it is not encrypted.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use pgmoneta::codec::{StoredFormat, StoredReader, Suffixes};
use pgmoneta::crypto::{MasterKey, Secret};
use pgmoneta::unit::Encryption;

use crate::harness::{Daemon, MASTER_KEY, client};

/// The lines of `backup.manifest`.
pub struct ManifestLines(Vec<serde_json::Value>);

impl ManifestLines {
    pub fn of(backup: &Path) -> ManifestLines {
        ManifestLines(
            manifest_text(backup)
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        )
    }

    /// The values of the lines with the key `kind`.
    pub fn all(&self, kind: &str) -> Vec<&serde_json::Value> {
        self.0.iter().filter_map(|line| line.get(kind)).collect()
    }
}

/// The lines of the manifest of a backup: the first one is plain, the others are compressed.
pub fn manifest_text(backup: &Path) -> String {
    let shell = "head -n 1 backup.manifest && tail -n +2 backup.manifest | zstdcat";
    let output = Command::new("sh")
        .args(["-c", shell])
        .current_dir(backup)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The bytes of a manifest with these lines.
pub fn manifest_bytes(text: &str) -> Vec<u8> {
    let (header, lines) = text.split_once('\n').unwrap();
    let lines = zstd::bulk::compress(lines.as_bytes(), 3).unwrap();
    [header.as_bytes(), b"\n", &lines].concat()
}

/// The master key of the daemon; read without the check of the file's owner, who is another user
/// here.
pub fn key(daemon: &Daemon) -> Arc<MasterKey> {
    let path = daemon.directory().join("home/.pgmoneta/master.key");
    let text = fs::read_to_string(path).unwrap();
    let salt = base64::engine::general_purpose::STANDARD.decode(text.lines().nth(1).unwrap());
    let secret = Secret::new(MASTER_KEY.as_bytes().to_vec());
    Arc::new(MasterKey::derive(
        &secret,
        &salt.unwrap().try_into().unwrap(),
    ))
}

/// Checks the digests of all stored files with `sha256sum`.
pub fn check_sums(backup: &Path) {
    let output = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "backup.sha256"])
        .current_dir(backup)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Writes the data directory to `target` from the manifest, WAL included.
pub fn restore(backup: &Path, target: &Path, key: Option<(Encryption, Arc<MasterKey>)>) {
    let lines = ManifestLines::of(backup);
    fs::create_dir(target).unwrap();
    for tablespace in lines.all("tablespace") {
        let oid = &tablespace["oid"];
        fs::create_dir_all(target.join(format!("pg_tblspc/{oid}"))).unwrap();
    }
    for directory in lines.all("directory") {
        let path = target.join(directory["path"].as_str().unwrap());
        fs::create_dir_all(path).unwrap();
    }
    for file in lines.all("file").into_iter().chain(lines.all("wal")) {
        let stored = backup.join(file["stored"].as_str().unwrap());
        let plain = decode(&stored, key.as_ref());
        assert_eq!(plain.len() as u64, file["size"].as_u64().unwrap());
        assert_eq!(
            blake3::hash(&plain).to_hex().as_str(),
            file["blake3"].as_str().unwrap()
        );
        fs::write(target.join(file["path"].as_str().unwrap()), plain).unwrap();
    }
}

fn decode(stored: &Path, key: Option<&(Encryption, Arc<MasterKey>)>) -> Vec<u8> {
    let name = stored.file_name().unwrap().to_str().unwrap();
    if let Some((encryption, key)) = key {
        let named = Suffixes::split_name(name).1;
        let how = StoredFormat {
            compression: named.compression,
            encryption: *encryption,
        };
        assert!(named.encrypted);
        let mut plain = Vec::new();
        let mut source = StoredReader::open(stored, how, Some(key.clone())).unwrap();
        source.read_to_end(&mut plain).unwrap();
        source.finish().unwrap();
        return plain;
    }
    let tool = match stored.extension().and_then(|extension| extension.to_str()) {
        Some("zstd") => "zstd",
        Some("gz") => "gzip",
        Some("lz4") => "lz4",
        Some("bz2") => "bzip2",
        _ => return fs::read(stored).unwrap(),
    };
    let input = fs::File::open(stored).unwrap();
    let output = Command::new(tool).arg("-dc").stdin(input).output().unwrap();
    assert!(
        output.status.success(),
        "{tool} {}: {output:?}",
        stored.display()
    );
    output.stdout
}

/// Runs `pg_verifybackup` on a restored data directory; it reads the WAL too if it is of the same
/// version.
pub fn verify(target: &Path, major: u32) {
    let program = client("pg_verifybackup");
    let mut command = Command::new(&program);
    let same = version(&program) == major;
    if !same && major >= 17 {
        return; // the manifest has another format
    }
    if !same {
        command.arg("--no-parse-wal");
    }
    let output = command.arg(target).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn version(program: &PathBuf) -> u32 {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let number = text
        .split_whitespace()
        .find_map(|word| word.split('.').next()?.parse().ok());
    number.unwrap()
}
