//! An attacker who can write to the repository, but does not have the master key, forges backups
//! and WAL.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgmoneta::codec::{Compression, StoredFormat, StoredReader};
use pgmoneta::crypto::{MasterKey, Sha256};
use pgmoneta::unit::Encryption;
use serde_json::Value;

use crate::backup::by_hand::{key, manifest_bytes, manifest_text};
use crate::harness::{Cluster, Daemon, Scratch, copy_tree, wait_until, write_owned};

/// Forges an encrypted backup in several ways.
struct Forger<'a> {
    daemon: &'a Daemon,
    label: String,
    saved: PathBuf,
    /// The path of the file of a table, relative to the data directory.
    table: String,
    key: Arc<MasterKey>,
}

impl Forger<'_> {
    fn path(&self) -> PathBuf {
        self.daemon.backups("primary").join(&self.label)
    }

    /// Asserts that verify and restore refuse the forged backup, then restores the original one.
    fn assert_refused(&self, what: &str, label: &str) {
        let into = format!("r-{}", what.replace(' ', "-"));
        self.daemon.cli(&["verify", "primary", label]).fails(1, "");
        let output = self.daemon.restore_output("primary", label, None, &into);
        assert_eq!(output.status, 1, "{what}: {output}");
        let restored = fs::read_dir(self.daemon.directory().join(into)).unwrap();
        assert_eq!(restored.count(), 0, "{what}");
        fs::remove_dir_all(self.daemon.backups("primary").join(label)).unwrap();
        copy_tree(&self.saved, &self.path());
        self.daemon.cli(&["verify", "primary", &self.label]).ok();
    }

    /// Changes the lines of the manifest, and updates the digests of the manifest.
    fn rewrite(&self, change: impl Fn(&mut Value)) {
        let path = self.path().join("backup.manifest");
        let mut new = String::new();
        for line in manifest_text(&self.path()).lines() {
            let mut value: Value = serde_json::from_str(line).unwrap();
            change(&mut value);
            new.push_str(&format!("{value}\n"));
        }
        let new = manifest_bytes(&new);
        let (old, sum) = (sha256(&fs::read(&path).unwrap()), sha256(&new));
        write_owned(&path, new);
        for name in ["backup.sha256", "backup.info"] {
            self.edit(name, |text| text.replace(&old, &sum));
        }
    }

    fn edit(&self, name: &str, change: impl Fn(String) -> String) {
        let path = self.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        write_owned(&path, change(text));
    }

    fn unsign(&self) {
        self.edit("backup.info", |text| {
            let lines = text.lines().filter(|line| !line.starts_with("HMAC="));
            lines.map(|line| format!("{line}\n")).collect()
        });
    }

    /// Replaces a stored file by an unencrypted one, and updates its line and its digest.
    fn replace_unencrypted(&self, line: &mut Value, bytes: &[u8], encryption: Option<&str>) {
        let stored = line["stored"].as_str().unwrap().to_owned();
        let plain = stored.strip_suffix(".aes").unwrap().to_owned();
        fs::remove_file(self.path().join(&stored)).unwrap();
        write_owned(&self.path().join(&plain), bytes);
        let old = line["sha256"].as_str().unwrap().to_owned();
        let sum = sha256(bytes);
        self.edit("backup.sha256", |text| {
            text.replace(&format!("{old}  {stored}"), &format!("{sum}  {plain}"))
        });
        line["stored"] = plain.into();
        line["size"] = bytes.len().into();
        line["stored_size"] = bytes.len().into();
        line["crc32c"] = format!("{:08x}", crc32c::crc32c(bytes)).into();
        line["blake3"] = blake3::hash(bytes).to_hex().as_str().into();
        line["sha256"] = sum.into();
        if let Some(word) = encryption {
            line["encryption"] = word.into();
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::of(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

const STORED: StoredFormat = StoredFormat {
    compression: Compression::None,
    encryption: Encryption::Aes256,
};

fn decrypt(key: &Arc<MasterKey>, path: &Path) -> Vec<u8> {
    let mut source = StoredReader::open(path, STORED, Some(key.clone())).unwrap();
    let mut plain = Vec::new();
    source.read_to_end(&mut plain).unwrap();
    source.finish().unwrap();
    plain
}

/// The entry of the file at `path`, if the line is that one.
fn file<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    let line = value.get_mut("file")?;
    (line["path"] == path).then_some(line)
}

fn start(scratch: &Scratch, name: &str, cluster: &Cluster, lines: &str) -> Daemon {
    Daemon::builder(scratch)
        .name(name)
        .own_vault()
        .global(&format!("compression = none\n{lines}"))
        .server("primary", cluster)
        .start()
}

#[test]
fn a_forged_encrypted_backup_is_refused() {
    let scratch = Scratch::new("forged");
    let mut cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    cluster.execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 1000) g");
    cluster.execute("CHECKPOINT");
    let table = cluster.relation_path("t");
    let daemon = start(&scratch, "moneta", &cluster, "encryption = aes-256");
    cluster.wait_streaming("pgmoneta");
    let first = daemon.backup("primary");
    cluster.execute("UPDATE t SET n = -n");
    cluster.execute("CHECKPOINT");
    let label = daemon.backup("primary");
    let saved = scratch.join("saved");
    copy_tree(&daemon.backups("primary").join(&label), &saved);
    let forger = Forger {
        daemon: &daemon,
        label,
        saved,
        table,
        // To decrypt stored files; an attacker would invent the content.
        key: key(&daemon),
    };
    forger.one_unencrypted_file();
    forger.all_files_unencrypted();
    forger.changed_end_position();
    forger.file_of_another_backup(&first);
    forger.changed_label();
    forger.unencrypted_wal(&mut cluster);
}

impl Forger<'_> {
    fn one_unencrypted_file(&self) {
        for (what, word, signed) in [
            ("an unencrypted file", "none", true),
            (
                "an unencrypted file marked as encrypted",
                "aes-256-gcm",
                true,
            ),
            ("without HMAC", "none", false),
        ] {
            self.rewrite(|value| {
                if let Some(line) = file(value, &self.table) {
                    self.replace_unencrypted(line, &[0; 8192], Some(word));
                }
            });
            if !signed {
                self.unsign();
            }
            self.assert_refused(what, &self.label);
        }
    }

    /// The manifest says that the backup is not encrypted, as one with other settings would.
    fn all_files_unencrypted(&self) {
        self.rewrite(|value| {
            if let Some(head) = value.get_mut("backup") {
                head["encryption"] = "none".into();
            }
            for kind in ["file", "wal"] {
                if let Some(line) = value.get_mut(kind) {
                    let stored = self.path().join(line["stored"].as_str().unwrap());
                    self.replace_unencrypted(line, &decrypt(&self.key, &stored), None);
                }
            }
        });
        self.edit("backup.info", |text| {
            text.replace("ENCRYPTION=1", "ENCRYPTION=0")
        });
        self.assert_refused("all files unencrypted", &self.label);
    }

    fn changed_end_position(&self) {
        self.edit("backup.info", |text| {
            text.replace("END_WALPOS=0/", "END_WALPOS=0/1")
        });
        self.assert_refused("changed end position", &self.label);
    }

    /// It can be decrypted, because both backups were written with the same master key.
    fn file_of_another_backup(&self, other: &str) {
        let other = self.daemon.backups("primary").join(other);
        self.rewrite(|value| {
            let Some(line) = file(value, &self.table) else {
                return;
            };
            let stored = line["stored"].as_str().unwrap().to_owned();
            let bytes = fs::read(other.join(&stored)).unwrap();
            let plain = decrypt(&self.key, &other.join(&stored));
            let (old, sum) = (line["sha256"].as_str().unwrap().to_owned(), sha256(&bytes));
            self.edit("backup.sha256", |text| text.replace(&old, &sum));
            fs::remove_file(self.path().join(&stored)).unwrap();
            write_owned(&self.path().join(&stored), &bytes);
            line["sha256"] = sum.into();
            line["stored_size"] = bytes.len().into();
            line["size"] = plain.len().into();
            line["crc32c"] = format!("{:08x}", crc32c::crc32c(&plain)).into();
            line["blake3"] = blake3::hash(&plain).to_hex().as_str().into();
        });
        self.assert_refused("a file of another backup", &self.label);
    }

    /// An old backup with a newer label.
    fn changed_label(&self) {
        let newest = "20990101000000";
        self.rewrite(|value| {
            if let Some(head) = value.get_mut("backup") {
                head["label"] = newest.into();
            }
        });
        self.edit("backup.info", |text| text.replace(&self.label, newest));
        fs::rename(self.path(), self.daemon.backups("primary").join(newest)).unwrap();
        self.assert_refused("changed label", newest);
    }

    /// The WAL of the backup itself is read from the backup, not from the archive; unencrypted WAL
    /// after it is a warning.
    fn unencrypted_wal(&self, cluster: &mut Cluster) {
        let mut last = String::new();
        for _ in 0..2 {
            cluster.execute("INSERT INTO t VALUES (7777)");
            last = cluster.query_value("SELECT pg_walfile_name(pg_current_wal_lsn())");
            cluster.execute("SELECT pg_switch_wal()");
        }
        cluster.wait_received("pgmoneta");
        let encrypted = || {
            let entries = fs::read_dir(self.daemon.wal("primary")).unwrap();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.retain(|path| path.extension().is_some_and(|extension| extension == "aes"));
            paths
        };
        wait_until("the last segment is encrypted", 60, || {
            encrypted()
                .iter()
                .any(|path| path.ends_with(format!("{last}.aes")))
        });
        // Without a server the receiver does not read the archive.
        cluster.stop();
        self.daemon.wait_log("no WAL is received", 60);
        self.unencrypted_partial_wal(&last);
        for path in encrypted() {
            write_owned(&path.with_extension(""), decrypt(&self.key, &path));
            fs::remove_file(&path).unwrap();
        }
        self.daemon.restore("primary", &self.label, None, "own");
        let output = self
            .daemon
            .restore_output("primary", &self.label, Some("current"), "archive");
        assert_eq!(output.status, 0, "{output}");
        let warning = "in the archive is not encrypted";
        assert!(output.stdout.contains(warning), "{output}");
    }

    /// An unencrypted partial segment in place of a complete one, with the partial segment of the
    /// receiver moved away.
    fn unencrypted_partial_wal(&self, name: &str) {
        let wal = self.daemon.wal("primary");
        let encrypted = wal.join(format!("{name}.aes"));
        let partial = wal.join(format!("{name}.partial"));
        let entries = fs::read_dir(&wal).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let open: Vec<PathBuf> = paths
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "partial")
            })
            .collect();
        for path in &open {
            fs::rename(path, path.with_extension("away")).unwrap();
        }
        write_owned(&partial, decrypt(&self.key, &encrypted));
        fs::rename(&encrypted, self.daemon.directory().join("encrypted")).unwrap();
        let output = self
            .daemon
            .restore_output("primary", &self.label, Some("current"), "partial");
        fs::rename(self.daemon.directory().join("encrypted"), &encrypted).unwrap();
        fs::remove_file(&partial).unwrap();
        for path in &open {
            fs::rename(path.with_extension("away"), path).unwrap();
        }
        assert_eq!(output.status, 0, "{output}");
        let warning = format!("the WAL segment {name} in the archive is not encrypted");
        assert!(output.stdout.contains(&warning), "{output}");
    }
}

#[test]
fn a_plain_backup_of_another_master_key_is_restored_with_a_warning() {
    let scratch = Scratch::new("other-key");
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let mut first = start(&scratch, "first", &cluster, "");
    cluster.wait_streaming("pgmoneta");
    let label = first.backup("primary");
    let ours = ["info", "primary", &label, "--format", "json"];
    assert_eq!(first.cli(&ours).ok().json()["Response"]["Authentic"], true);
    first.stop();
    for (name, lines, refused) in [("second", "", false), ("third", "encryption = aes", true)] {
        let mut daemon = start(&scratch, name, &cluster, lines);
        let from = first.backups("primary").join(&label);
        copy_tree(&from, &daemon.backups("primary").join(&label));
        let info = daemon.cli(&["info", "primary", &label]).ok();
        assert!(info.stdout.contains("Authentic"), "{info}");
        let verify = daemon.cli(&["verify", "primary", &label]);
        let restore = daemon.restore_output("primary", &label, None, "restored");
        if refused {
            verify.fails(1, "neither encrypted nor authenticated");
            restore.fails(1, "neither encrypted nor authenticated");
        } else {
            assert!(verify.ok().stdout.contains("is not authenticated"));
            assert!(restore.ok().stdout.contains("is not authenticated"));
        }
        daemon.stop();
    }
}

#[test]
fn a_backup_of_another_cluster_is_refused() {
    let scratch = Scratch::new("other-cluster");
    let cluster = |name| {
        let builder = Cluster::builder(&scratch).name(name).own_identity();
        builder.wal_segment_mib(1).start()
    };
    let (one, other) = (cluster("one"), cluster("other"));
    let daemon = Daemon::builder(&scratch)
        .global("compression = none\nencryption = aes-256")
        .server("one", &one)
        .server("other", &other)
        .start_streaming();
    other.wait_streaming("pgmoneta");
    let label = daemon.backup("other");
    daemon.cli(&["verify", "other", &label]).ok();
    // The same daemon wrote it with the same master key, so that it is authentic.
    copy_tree(
        &daemon.backups("other").join(&label),
        &daemon.backups("one").join(&label),
    );
    daemon.cli(&["verify", "one", &label]).fails(1, "");
    let restore = daemon.restore_output("one", &label, None, "restored");
    assert_ne!(restore.status, 0, "{restore}");
}
