//! Somebody who can write to the repository, but has not the master key, makes bytes of their own look like a backup.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgmoneta::codec::{Source, Stored};
use pgmoneta::crypto::{MasterKey, Sha256};
use pgmoneta::unit::{Compression, Encryption};
use serde_json::Value;

use crate::backup::by_hand::key;
use crate::harness::{Cluster, Daemon, Scratch, copy_tree, wait_until, write_owned};

/// An encrypted backup that is taken apart and put together again.
struct Forger<'a> {
    daemon: &'a Daemon,
    label: String,
    saved: PathBuf,
    /// The path of a table's file.
    table: String,
    key: Arc<MasterKey>,
}

impl Forger<'_> {
    fn path(&self) -> PathBuf {
        self.daemon.backups("primary").join(&self.label)
    }

    /// Whatever was done to the backup, verify and restore must refuse it; afterwards it is as it was.
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

    /// Changes the lines of the manifest, and makes the digests of it what they must be.
    fn rewrite(&self, change: impl Fn(&mut Value)) {
        let path = self.path().join("backup.manifest");
        let text = fs::read_to_string(&path).unwrap();
        let mut new = String::new();
        for line in text.lines() {
            let mut value: Value = serde_json::from_str(line).unwrap();
            change(&mut value);
            new.push_str(&format!("{value}\n"));
        }
        let (old, sum) = (sha256(text.as_bytes()), sha256(new.as_bytes()));
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

    /// Puts plain bytes in the place of a stored file and notes them in its line; the old digest and the new one.
    fn put_plain(&self, line: &mut Value, bytes: &[u8], encryption: Option<&str>) {
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

const STORED: Stored = Stored {
    compression: Compression::None,
    encryption: Encryption::Aes256,
};

fn decrypt(key: &Arc<MasterKey>, path: &Path) -> Vec<u8> {
    let mut source = Source::open(path, STORED, Some(key.clone())).unwrap();
    let mut plain = Vec::new();
    source.read_to_end(&mut plain).unwrap();
    source.finish().unwrap();
    plain
}

/// The line of a file of the cluster, if it is that of `path`.
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
fn an_encrypted_backup_that_was_forged_is_refused() {
    let scratch = Scratch::new("forged");
    let mut cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    cluster.sql("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 1000) g");
    cluster.sql("CHECKPOINT");
    let table = cluster.sql("SELECT pg_relation_filepath('t')");
    let daemon = start(&scratch, "moneta", &cluster, "encryption = aes-256");
    cluster.wait_streaming("pgmoneta");
    let first = daemon.backup("primary");
    cluster.sql("UPDATE t SET n = -n");
    cluster.sql("CHECKPOINT");
    let label = daemon.backup("primary");
    let saved = scratch.join("saved");
    copy_tree(&daemon.backups("primary").join(&label), &saved);
    let forger = Forger {
        daemon: &daemon,
        label,
        saved,
        table,
        // The tests have it; somebody else would make up a whole cluster.
        key: key(&daemon),
    };
    forger.one_plain_file();
    forger.all_of_it_plain();
    forger.another_end();
    forger.a_file_of(&first);
    forger.another_label();
    forger.plain_wal(&mut cluster);
}

impl Forger<'_> {
    fn one_plain_file(&self) {
        for (what, word, signed) in [
            ("a plain file", "none", true),
            ("one that says it is not", "aes-256-gcm", true),
            ("without HMAC", "none", false),
        ] {
            self.rewrite(|value| {
                if let Some(line) = file(value, &self.table) {
                    self.put_plain(line, &[0; 8192], Some(word));
                }
            });
            if !signed {
                self.unsign();
            }
            self.assert_refused(what, &self.label);
        }
    }

    /// And it says so, as a backup of another time or another master key would.
    fn all_of_it_plain(&self) {
        self.rewrite(|value| {
            if let Some(head) = value.get_mut("backup") {
                head["encryption"] = "none".into();
            }
            for kind in ["file", "wal"] {
                if let Some(line) = value.get_mut(kind) {
                    let stored = self.path().join(line["stored"].as_str().unwrap());
                    self.put_plain(line, &decrypt(&self.key, &stored), None);
                }
            }
        });
        self.edit("backup.info", |text| {
            text.replace("ENCRYPTION=1", "ENCRYPTION=0")
        });
        self.assert_refused("all of it plain", &self.label);
    }

    fn another_end(&self) {
        self.edit("backup.info", |text| {
            text.replace("END_WALPOS=0/", "END_WALPOS=0/1")
        });
        self.assert_refused("another end", &self.label);
    }

    /// It decrypts, since the other backup was written with the same master key.
    fn a_file_of(&self, other: &str) {
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

    /// An old backup as the newest one.
    fn another_label(&self) {
        let newest = "20990101000000";
        self.rewrite(|value| {
            if let Some(head) = value.get_mut("backup") {
                head["label"] = newest.into();
            }
        });
        self.edit("backup.info", |text| text.replace(&self.label, newest));
        fs::rename(self.path(), self.daemon.backups("primary").join(newest)).unwrap();
        self.assert_refused("another label", newest);
    }

    /// WAL of the backup itself is read from it, not from what lies in the archive now; what is behind it is warned of.
    fn plain_wal(&self, cluster: &mut Cluster) {
        let mut behind = String::new();
        for _ in 0..2 {
            cluster.sql("INSERT INTO t VALUES (7777)");
            behind = cluster.sql("SELECT pg_walfile_name(pg_current_wal_lsn())");
            cluster.sql("SELECT pg_switch_wal()");
        }
        cluster.wait_received("pgmoneta");
        let sealed = || {
            let entries = fs::read_dir(self.daemon.wal("primary")).unwrap();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.retain(|path| path.extension().is_some_and(|extension| extension == "aes"));
            paths
        };
        wait_until("the last segment is sealed", 60, || {
            sealed()
                .iter()
                .any(|path| path.ends_with(format!("{behind}.aes")))
        });
        // From here on the receiver looks at nothing in the archive.
        cluster.stop();
        self.daemon.wait_log("no WAL is received", 60);
        self.partial_wal(&behind);
        for path in sealed() {
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

    /// In the place of a sealed segment, as if it were the one that was received last, and the open one out of the way.
    fn partial_wal(&self, name: &str) {
        let wal = self.daemon.wal("primary");
        let sealed = wal.join(format!("{name}.aes"));
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
        write_owned(&partial, decrypt(&self.key, &sealed));
        fs::rename(&sealed, self.daemon.directory().join("sealed")).unwrap();
        let output = self
            .daemon
            .restore_output("primary", &self.label, Some("current"), "partial");
        fs::rename(self.daemon.directory().join("sealed"), &sealed).unwrap();
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
            verify.fails(1, "neither encrypted nor proven");
            restore.fails(1, "neither encrypted nor proven");
        } else {
            assert!(verify.ok().stdout.contains("is not authenticated"));
            assert!(restore.ok().stdout.contains("is not authenticated"));
        }
        daemon.stop();
    }
}

#[test]
fn a_backup_of_another_cluster_is_none_of_this_one() {
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
        .start();
    one.wait_streaming("pgmoneta");
    other.wait_streaming("pgmoneta");
    let label = daemon.backup("other");
    daemon.cli(&["verify", "other", &label]).ok();
    // The same daemon has written it, with the same master key: nothing in it is forged.
    copy_tree(
        &daemon.backups("other").join(&label),
        &daemon.backups("one").join(&label),
    );
    daemon.cli(&["verify", "one", &label]).fails(1, "");
    let restore = daemon.restore_output("one", &label, None, "restored");
    assert_ne!(restore.status, 0, "{restore}");
}
