//! kill -9 of the daemon at random moments while it streams, seals, backs up, verifies and restores. After each the
//! catalogue is an old or a new one, what it lists is good, nothing half made is left, the WAL has no gap, is the
//! server's byte for byte, and reaches what was acknowledged.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::harness::{
    Cluster, Daemon, Load, Process, Random, Reference, Scratch, assert_sound, user,
};

/// Crashes in each of the two tests.
const CRASHES: u32 = 50;

#[test]
fn crashes_with_compressed_wal() {
    crashes("compression = zstd");
}

#[test]
fn crashes_with_plain_wal() {
    crashes("compression = none");
}

fn crashes(storage: &str) {
    let mut random = Random::new();
    let scratch = Scratch::new("crash");
    let archive = scratch.directory("archive");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(&format!(
            "archive_mode = on\narchive_command = 'cp %p {0}/%f.new && mv {0}/%f.new {0}/%f'",
            archive.display()
        ))
        .start();
    let mut daemon = Daemon::builder(&scratch)
        .global(storage)
        .server("primary", &cluster)
        .start();
    cluster.wait_streaming("pgmoneta");
    let mut reference = Reference::new(&cluster, &archive);
    let mut load = Load::start(&cluster, &scratch, 0, 1, Duration::from_millis(2));
    let mut bulk = start_bulk(&cluster);
    let mut interrupted = 0;
    let mut known = BTreeSet::from([daemon.backup("primary")]);

    for crash in 0..CRASHES {
        let mut job = start_job(&daemon, &mut random, crash);
        std::thread::sleep(Duration::from_millis(random.below(1200)));
        daemon.kill();
        interrupted += u32::from(!job.wait(30).success());
        reference.check(&daemon.wal("primary"), &acknowledged(&cluster));
        daemon.start();
        known = check_catalogue(&daemon, &known);
    }

    println!(
        "{interrupted} of {CRASHES} crashes hit a job; {} backups were completed",
        known.len()
    );
    assert!(
        interrupted > CRASHES / 5 && known.len() > 1,
        "the crashes hit too little"
    );
    load.stop();
    bulk.kill();
    cluster.wait_quiet();
    cluster.wait_received("pgmoneta");
    let rows = cluster.fingerprint();
    let data = daemon.restore("primary", "newest", Some("current"), "last");
    let mut restored = Cluster::adopt(&scratch, cluster.major(), data).with("archive_mode", "off");
    restored.start();
    restored.wait_primary(120);
    assert_eq!(restored.fingerprint(), rows);
    assert_sound(&restored);
    daemon.stop();
    reference.forget();
    reference.check(&daemon.wal("primary"), &acknowledged(&cluster));
}

/// The position that the daemon acknowledged last; the slot keeps it.
fn acknowledged(cluster: &Cluster) -> String {
    cluster.sql("SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'pgmoneta'")
}

/// What the daemon is busy with when it is killed.
fn start_job(daemon: &Daemon, random: &mut Random, crash: u32) -> Process {
    let mut command = match random.below(4) {
        0 | 1 => daemon.cli_command(&["backup", "primary"]),
        2 => daemon.cli_command(&["verify", "primary", "newest"]),
        _ => {
            let directory = daemon.directory().join(format!("restored-{crash}"));
            fs::create_dir(&directory).unwrap();
            user().own(&directory);
            daemon.cli_command(&[
                "restore",
                "primary",
                "newest",
                "current",
                directory.to_str().unwrap(),
            ])
        }
    };
    Process::new(quiet(&mut command).spawn().unwrap(), "pgmoneta-cli")
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

/// Checks the catalogue after a start; its labels.
fn check_catalogue(daemon: &Daemon, known: &BTreeSet<String>) -> BTreeSet<String> {
    let hidden = daemon.unfinished("primary");
    assert!(hidden.is_empty(), "left after a start: {hidden:?}");
    let listed: BTreeSet<_> = daemon.listed("primary").into_iter().collect();
    assert_eq!(listed, daemon.labels("primary").into_iter().collect());
    assert!(listed.is_superset(known), "{known:?} became {listed:?}");
    for label in listed.difference(known) {
        daemon.cli(&["verify", "primary", label]).ok();
    }
    for entry in fs::read_dir(daemon.directory()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("restored-")
        {
            fs::remove_dir_all(path).unwrap(); // whatever the restore came to
        }
    }
    listed
}

/// A client that fills several segments a second.
fn start_bulk(cluster: &Cluster) -> Process {
    cluster.sql("CREATE TABLE bulk (n int, x text)");
    let mut child = quiet(&mut cluster.psql("postgres"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::thread::spawn(move || {
        while writeln!(
            input,
            "TRUNCATE bulk; INSERT INTO bulk SELECT g, md5(g::text) FROM generate_series(1, 12000) g; \
             SELECT pg_sleep(0.2);"
        )
        .is_ok()
        {}
    });
    Process::new(child, "psql")
}
