//! Backups with every compression and encryption method.

use std::fs;
use std::os::unix::fs::MetadataExt;

use pgmoneta::unit::Encryption;

use super::by_hand::{ManifestLines, check_sums, key, restore, verify};
use crate::harness::{Cluster, Daemon, Scratch, streaming_daemon};

#[test]
fn none() {
    check_storage("none", "");
}

#[test]
fn gzip() {
    check_storage("gzip", ".gz");
}

#[test]
fn zstd() {
    check_storage("zstd", ".zstd");
}

#[test]
fn lz4() {
    check_storage("lz4", ".lz4");
}

#[test]
fn bzip2() {
    check_storage("bzip2", ".bz2");
}

fn check_storage(compression: &str, suffix: &str) {
    let scratch = Scratch::new("storage");
    // Small segments are sealed before the deadline, so that none is copied.
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    cluster.execute(
        "CREATE TABLE t AS SELECT g AS n, md5(g::text) AS x FROM generate_series(1, 60000) g",
    );
    for (encryption, method) in [
        (Encryption::None, "none"),
        (Encryption::Aes256, "aes-256-gcm"),
        (Encryption::Aes192, "aes-192-gcm"),
        (Encryption::Aes128, "aes-128-gcm"),
    ] {
        let mut daemon = Daemon::builder(&scratch)
            .name(method)
            .global(&format!(
                "compression = {compression}\nencryption = {method}"
            ))
            .server("primary", &cluster)
            .start_streaming();
        let label = daemon.backup("primary");
        let backup = daemon.backups("primary").join(&label);
        check_sums(&backup);

        let suffix = format!("{suffix}{}", if method == "none" { "" } else { ".aes" });
        let lines = ManifestLines::of(&backup);
        for file in lines.all("file") {
            let (path, stored) = (
                file["path"].as_str().unwrap(),
                file["stored"].as_str().unwrap(),
            );
            assert_eq!(stored, format!("data/{path}{suffix}"));
        }
        // WAL files are hard links to the archive.
        for file in lines.all("wal") {
            let stored = file["stored"].as_str().unwrap();
            let name = stored.strip_prefix("wal/").unwrap();
            assert!(name.ends_with(&suffix), "{name}");
            let inode = |path| fs::metadata(path).unwrap().ino();
            assert_eq!(
                inode(backup.join(stored)),
                inode(daemon.wal("primary").join(name))
            );
        }
        assert!(!lines.all("wal").is_empty());

        let key = (encryption != Encryption::None).then(|| (encryption, key(&daemon)));
        let target = scratch.join(format!("restored-{method}"));
        restore(&backup, &target, key);
        verify(&target, cluster.major());
        daemon.cli(&["verify", "primary", &label]).ok();
        daemon.stop();
        // The next daemon has a new archive, which refuses a slot that was used before.
        cluster.execute("SELECT pg_drop_replication_slot('pgmoneta')");
    }
}

#[test]
fn sizes_and_positions_in_backup_info_are_correct() {
    let (scratch, cluster, daemon) = streaming_daemon("sizes");
    let label = daemon.backup("primary");
    let backup = daemon.backups("primary").join(&label);
    let target = scratch.join("restored");
    restore(&backup, &target, None);

    let info = fs::read_to_string(backup.join("backup.info")).unwrap();
    let value = |key: &str| -> String {
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key} in {info}")).to_owned()
    };
    let lines = ManifestLines::of(&backup);
    let sum = |kind, key: &str| -> u64 {
        lines
            .all(kind)
            .iter()
            .map(|file| file[key].as_u64().unwrap())
            .sum()
    };
    assert_eq!(value("RESTORE"), sum("file", "size").to_string());
    let biggest = lines
        .all("file")
        .iter()
        .map(|file| file["size"].as_u64().unwrap())
        .max();
    assert_eq!(value("BIGGEST_FILE"), biggest.unwrap().to_string());
    let files = sum("file", "stored_size") + sum("wal", "stored_size");
    let lists: u64 = ["backup.manifest", "backup.sha256"]
        .iter()
        .map(|name| fs::metadata(backup.join(name)).unwrap().len())
        .sum();
    assert_eq!(value("BACKUP"), (files + lists).to_string());
    assert_eq!(value("LABEL"), label);
    assert_eq!(value("STATUS"), "1");

    let text = fs::read_to_string(target.join("backup_label")).unwrap();
    assert!(text.contains(&format!("LABEL: pgmoneta_{label}")));
    assert!(text.contains(&format!(
        "START WAL LOCATION: {} (file {})",
        value("START_WALPOS"),
        value("WAL")
    )));
    assert!(text.contains(&format!("CHECKPOINT LOCATION: {}", value("CHKPT_WALPOS"))));
    let stopped: i64 = value("STOP_TIME").parse().unwrap();
    let now: i64 =
        cluster.query_value("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
    assert!(stopped < now && now - stopped < 600_000_000);
    for entry in fs::read_dir(&backup).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().mode() & 0o7777;
        let expected = if entry.path().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, expected, "{}", entry.path().display());
    }
}
