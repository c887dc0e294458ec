//! Files that have not changed since the last backup are stored once.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::by_hand::{ManifestLines, check_sums};
use crate::harness::{Call, Cluster, Daemon, Faults, Random, Scratch, write_owned};

/// The paths of the stored files of the data directory that `backup` does not share with `other`.
fn own_files(backup: &Path, other: &Path) -> BTreeSet<String> {
    let inode = |at: &Path, stored: &str| fs::metadata(at.join(stored)).ok().map(|m| m.ino());
    let lines = ManifestLines::of(backup);
    let files = lines.all("file").into_iter();
    let own = files.filter(|file| {
        let stored = file["stored"].as_str().unwrap();
        inode(backup, stored) != inode(other, stored)
    });
    own.map(|file| file["path"].as_str().unwrap().to_owned())
        .collect()
}

/// What every backup stores anew.
fn always_new() -> BTreeSet<String> {
    ["backup_label", "backup_manifest", "global/pg_control"]
        .map(str::to_owned)
        .into()
}

/// A stored file of a table, in the directory of the backup.
fn stored_table(cluster: &Cluster, backup: &Path, table: &str) -> PathBuf {
    let path = cluster.query_value::<String>(&format!("SELECT pg_relation_filepath('{table}')"));
    let lines = ManifestLines::of(backup);
    let files = lines.all("file");
    let file = files.iter().find(|file| file["path"] == path.as_str());
    backup.join(file.unwrap()["stored"].as_str().unwrap())
}

fn corrupt(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A cluster that changes nothing by itself, with three tables.
fn quiet_cluster(scratch: &Scratch) -> Cluster {
    let mut cluster = Cluster::builder(scratch)
        .wal_segment_mib(1)
        .conf("autovacuum = off")
        .start();
    for table in ["stays", "changes", "rots"] {
        cluster.execute(&format!(
            "CREATE TABLE {table} AS SELECT g AS n, md5(g::text) AS x \
             FROM generate_series(1, 40000) g"
        ));
    }
    cluster.execute("VACUUM FREEZE");
    cluster.restart();
    cluster
}

fn back_up(daemon: &Daemon) -> (String, PathBuf) {
    let label = daemon.backup("primary");
    let path = daemon.backups("primary").join(&label);
    (label, path)
}

#[test]
fn backups_share_what_did_not_change_and_a_damaged_file_is_stored_anew() {
    let scratch = Scratch::new("links");
    let cluster = quiet_cluster(&scratch);
    let daemon = Daemon::builder(&scratch)
        .global("encryption = aes-256")
        .server("primary", &cluster)
        .start_streaming();
    let (first, first_path) = back_up(&daemon);
    let (_, second_path) = back_up(&daemon);
    assert_eq!(own_files(&second_path, &first_path), always_new());
    check_sums(&second_path);

    // A changed table is stored anew.
    cluster.execute("UPDATE changes SET x = 'new' WHERE n = 1");
    let (third, third_path) = back_up(&daemon);
    let own = own_files(&third_path, &second_path);
    let path = |table: &str| -> String {
        cluster.query_value(&format!("SELECT pg_relation_filepath('{table}')"))
    };
    let (stays, changes, rots) = (path("stays"), path("changes"), path("rots"));
    assert!(own.contains(&changes) && !own.contains(&stays), "{own:?}");
    let info = daemon.cli(&["info", "primary", &third, "--format", "raw"]);
    let info = info.ok().json();
    let size = |member: &str| info["Response"][member].as_u64().unwrap();
    assert_eq!(size("OwnSize") + size("SharedSize"), size("BackupSize"));
    assert!(size("SharedSize") > size("OwnSize"), "{info}");

    // A shared file that became bad: each backup that has it is damaged, the next one is not.
    corrupt(&stored_table(&cluster, &first_path, "rots"));
    let (fourth, fourth_path) = back_up(&daemon);
    daemon.wait_log(&format!("backup {third}: "), 10);
    assert!(daemon.log().contains("the new backup stores the file anew"));
    let own = own_files(&fourth_path, &third_path);
    assert!(own.contains(&rots) && !own.contains(&stays), "{own:?}");
    for label in [&first, &third] {
        let verified = daemon.cli(&["verify", "primary", label]);
        verified.fails(1, &rots);
    }
    daemon.cli(&["verify", "primary", &fourth]).ok();
}

#[test]
fn symbolic_links_move_with_the_repository_and_name_an_owner_that_is_gone() {
    let scratch = Scratch::new("symbolic");
    let mut cluster = quiet_cluster(&scratch);
    let mut daemon = Daemon::builder(&scratch)
        .server_with("primary", &cluster, "link = symbolic")
        .start_streaming();
    let (first, first_path) = back_up(&daemon);
    back_up(&daemon);
    let (third, third_path) = back_up(&daemon);
    assert_eq!(own_files(&third_path, &first_path), always_new());
    let stored = stored_table(&cluster, &third_path, "stays");
    let target = stored.read_link().unwrap();
    let owner = Path::new("../../../..").join(&first);
    assert!(target.starts_with(owner), "{target:?}");
    daemon.cli(&["verify", "primary", &third]).ok();

    daemon.stop();
    let moved = scratch.join("moved");
    fs::rename(daemon.base_dir(), &moved).unwrap();
    let text = fs::read_to_string(daemon.configuration()).unwrap();
    let base = daemon.base_dir().display().to_string();
    let text = text.replace(&base, &moved.display().to_string());
    write_owned(&daemon.configuration(), text);
    daemon.start();
    let rows: i64 = cluster.query_value("SELECT sum(n) FROM rots");
    cluster.stop();
    let data = daemon.restore("primary", &third, Some("immediate"), "restored");
    let mut restored = Cluster::adopt(&scratch, cluster.major(), data);
    restored.start();
    restored.wait_primary(60);
    let again: i64 = restored.query_value("SELECT sum(n) FROM rots");
    assert_eq!(again, rows);
    restored.stop();

    fs::remove_dir_all(moved.join("primary/basebackup").join(&first)).unwrap();
    let gone = format!("the backup {first}, which is gone");
    daemon.cli(&["verify", "primary", &third]).fails(1, &gone);
    let refused = daemon.restore_output("primary", &third, None, "refused");
    refused.fails(1, &gone);
}

#[test]
fn kills_while_an_owner_is_deleted_leave_every_backup_readable() {
    let scratch = Scratch::new("hand-over");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf("autovacuum = off")
        .start();
    let faults = Faults::new(&scratch, &scratch.join("moneta"));
    let builder = Daemon::builder(&scratch).server_with("primary", &cluster, "link = symbolic");
    let mut daemon = faults.daemon(builder).start_streaming();
    for _ in 0..4 {
        back_up(&daemon);
    }
    // The calls of a deletion that is not disturbed.
    faults.steps.count("/primary/basebackup/2");
    daemon.cli(&["delete", "primary", "oldest"]).ok();
    let counts = faults.steps.counted();
    let mut random = Random::new();
    // After a kill the next deletion makes fewer calls: some files have an owner of their own. The
    // symbolic links are made in the second half of the work.
    for call in [Call::Link, Call::Rename, Call::Link, Call::Create] {
        back_up(&daemon);
        let count = counts[call as usize];
        assert!(count > 100, "{call:?}: {count}");
        let labels = daemon.labels("primary");
        let number = 1 + random.below(count / 8);
        faults.steps.kill_at("/primary/basebackup/2", call, number);
        let deleted = daemon.cli(&["delete", "primary", "oldest"]);
        assert!(
            faults.steps.reached(),
            "{call:?} {number} of {count}: {deleted}"
        );
        assert_ne!(deleted.status, 0, "{deleted}");
        faults.steps.release();
        daemon.process().wait(30);
        daemon.kill();
        daemon.start();
        assert_eq!(daemon.listed("primary"), labels, "it was not deleted yet");
        for label in &labels {
            daemon.cli(&["verify", "primary", label]).ok();
        }
        cluster.wait_streaming("pgmoneta");
        daemon.cli(&["delete", "primary", "oldest"]).ok();
        for label in &labels[1..] {
            daemon.cli(&["verify", "primary", label]).ok();
        }
    }
}
