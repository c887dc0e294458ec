//! Compression and encryption settings change between backups: files that were stored before remain
//! readable.

use std::fs;

use super::scenario::{last_row, unique};
use crate::harness::{Cluster, Daemon, Scratch, write_owned};

/// Compression and encryption for each backup: every method, and every key size.
const SETTINGS: [(&str, &str); 7] = [
    ("zstd", "aes-256"),
    ("zstd", "aes-128"),
    ("none", "aes-192"),
    ("gzip", "none"),
    ("none", "none"),
    ("lz4", "aes-128"),
    ("bzip2", "aes-256"),
];

struct Mixed {
    daemon: Daemon,
    /// The name of the server's section.
    name: &'static str,
    host: &'static str,
    port: u16,
}

impl Mixed {
    /// Restarts the daemon with other settings.
    fn configure(&mut self, compression: &str, encryption: &str, level: usize) {
        if self.daemon.is_running() {
            self.daemon.stop();
        }
        let at = self.daemon.directory().display();
        let (name, host, port) = (self.name, self.host, self.port);
        let text = format!(
            "[pgmoneta]\nhost = 127.0.0.1\nunix_socket_dir = {at}/run\nbase_dir = {at}/repo\n\
             log_type = console\n\
             log_level = debug\ncompression = {compression}\ncompression_level = {level}\n\
             encryption = {encryption}\n\
             workers = {level}\n\n[{name}]\nhost = {host}\nport = {port}\nuser = repl\n\
             wal_slot = pgmoneta\n\
             create_slot = on\n"
        );
        write_owned(&self.daemon.configuration(), text);
        self.daemon.start();
    }

    fn verify_all(&self) {
        for label in self.daemon.labels(self.name) {
            self.daemon.cli(&["verify", self.name, &label]).ok();
        }
    }

    /// Asserts that segments with each suffix exist in the archive.
    fn assert_archived(&self, suffixes: &[&str]) {
        let names: Vec<String> = fs::read_dir(self.daemon.wal(self.name))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        for suffix in suffixes {
            let has = |name: &String| name.len() == 24 + suffix.len() && name.ends_with(suffix);
            assert!(names.iter().any(has), "{suffix} in {names:?}");
        }
    }

    fn restore(&self, backup: &str, position: &str) -> std::path::PathBuf {
        self.daemon
            .restore(self.name, backup, Some(position), &unique(position))
    }
}

#[test]
fn files_stored_with_other_settings_remain_readable() {
    let scratch = Scratch::new("mixed");
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    cluster.execute("CREATE TABLE t (n int)");
    // A file name with the suffixes of other settings.
    fs::write(cluster.data().join("notes.gz.aes"), "neither of both").unwrap();
    let mut mixed = Mixed {
        daemon: Daemon::builder(&scratch)
            .server("primary", &cluster)
            .create(),
        name: "primary",
        host: "127.0.0.1",
        port: cluster.port(),
    };
    let mut ends = Vec::new();
    for (number, (compression, encryption)) in SETTINGS.into_iter().enumerate() {
        mixed.configure(compression, encryption, number + 1);
        cluster.wait_streaming("pgmoneta");
        let label = mixed.daemon.backup("primary");
        cluster.execute(&format!("INSERT INTO t VALUES ({number})"));
        ends.push((label, cluster.flush_lsn()));
        // Complete segments with each setting, in addition to those of the backups.
        cluster.execute("SELECT pg_switch_wal()");
        cluster.execute("INSERT INTO t VALUES (-1)");
        cluster.execute("SELECT pg_switch_wal()");
    }
    cluster.wait_received("pgmoneta");
    mixed.assert_archived(&[".zstd.aes", ".aes", ".gz", ".lz4.aes"]);

    // From the first backup to a position written with each of the settings.
    mixed.verify_all();
    let (first, _) = &ends[0];
    for (number, (_, end)) in ends.iter().enumerate() {
        let data = mixed.restore(first, &format!("lsn={end}"));
        assert_eq!(
            fs::read(data.join("notes.gz.aes")).unwrap(),
            b"neither of both"
        );
        if number == 2 || number == 5 {
            let mut restored = Cluster::adopt(&scratch, cluster.major(), data);
            restored.start();
            restored.wait_primary(60);
            assert_eq!(last_row(&restored), number.to_string());
            restored.stop();
        }
    }

    // Encryption is off, and the server has another section name and another host name.
    mixed.daemon.stop();
    let repository = mixed.daemon.base_dir();
    fs::rename(repository.join("primary"), repository.join("renamed")).unwrap();
    mixed.name = "renamed";
    mixed.host = "localhost";
    mixed.configure("zstd", "none", 1);
    mixed.verify_all();
    for (label, _) in &ends {
        mixed.restore(label, "immediate");
    }
    let mut restored = Cluster::adopt(
        &scratch,
        cluster.major(),
        mixed.restore("oldest", "current"),
    );
    restored.start();
    restored.wait_primary(60);
    assert_eq!(last_row(&restored), "6");
    restored.stop();
}
