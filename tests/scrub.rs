//! The verification by the schedule finds damage in backups and in the archived WAL.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::backup::by_hand::manifest_text;
use super::harness::{Cluster, Daemon, Output, Scratch, wait_until, write_owned};

/// The members of the only server, and the exit status.
fn status(daemon: &Daemon) -> (Value, i32) {
    let output = daemon.cli(&["--format", "json", "status"]);
    let server = output.json()["Response"]["Servers"][0].clone();
    (server, output.status)
}

fn configure(daemon: &Daemon, from: &str, to: &str) {
    let text = fs::read_to_string(daemon.configuration()).unwrap();
    assert!(text.contains(from), "{text}");
    write_owned(&daemon.configuration(), text.replace(from, to));
}

/// The stored file of a table in a backup.
fn stored_table(cluster: &Cluster, backup: &Path, table: &str) -> PathBuf {
    let path = cluster.query_value::<String>(&format!("SELECT pg_relation_filepath('{table}')"));
    let manifest = manifest_text(backup);
    let lines = manifest
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let mut files = lines.filter_map(|line: Value| line.get("file").cloned());
    let file = files.find(|file| file["path"] == path.as_str()).unwrap();
    backup.join(file["stored"].as_str().unwrap())
}

fn corrupt(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The names of the sealed segments, sorted.
fn sealed(daemon: &Daemon) -> Vec<String> {
    let names = fs::read_dir(daemon.wal("primary")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".zstd")).collect();
    names.sort();
    names
}

/// Fills that many segments; returns the name of the last one.
fn write_segments(cluster: &Cluster, daemon: &Daemon, count: usize) -> String {
    let mut last = String::new();
    for _ in 0..count {
        cluster.execute("INSERT INTO other SELECT g, md5(g::text) FROM generate_series(1, 500) g");
        last = cluster.query_value("SELECT pg_walfile_name(pg_switch_wal())");
    }
    cluster.wait_received("pgmoneta");
    wait_until("the segments are sealed", 60, || {
        sealed(daemon).contains(&format!("{last}.zstd"))
    });
    last
}

struct World {
    cluster: Cluster,
    daemon: Daemon,
    _scratch: Scratch,
}

impl World {
    /// Three backups that share files, and the labels.
    fn new() -> (World, [String; 3]) {
        let scratch = Scratch::new("scrub");
        let mut cluster = Cluster::builder(&scratch)
            .wal_segment_mib(1)
            .conf("autovacuum = off")
            .start();
        for table in ["rots", "other"] {
            cluster.execute(&format!(
                "CREATE TABLE {table} AS SELECT g AS n, md5(g::text) AS x \
                 FROM generate_series(1, 5000) g"
            ));
        }
        cluster.execute("VACUUM FREEZE");
        cluster.restart();
        let daemon = Daemon::builder(&scratch)
            .global("compression = zstd\nverification = 1\nverification_rate = 1")
            .server("primary", &cluster)
            .start_streaming();
        let labels = [(); 3].map(|()| daemon.backup("primary"));
        let world = World {
            cluster,
            daemon,
            _scratch: scratch,
        };
        (world, labels)
    }

    fn backup(&self, label: &str) -> PathBuf {
        self.daemon.backups("primary").join(label)
    }

    /// Whether a backup is listed as valid.
    fn is_valid(&self, label: &str) -> bool {
        let info = fs::read_to_string(self.backup(label).join("backup.info")).unwrap();
        info.contains("STATUS=1\n")
    }

    /// Waits until the status has that problem.
    fn wait_problem(&self, text: &str) {
        wait_until(text, 60, || {
            let (server, exit) = status(&self.daemon);
            exit == 1 && server["Problems"].to_string().contains(text)
        });
    }

    fn wait_healthy(&self) {
        wait_until("the server is healthy", 60, || status(&self.daemon).1 == 0);
    }
}

#[test]
fn damage_is_found_by_the_schedule_and_the_next_backup_does_not_have_it() {
    let (mut world, [oldest, first, second]) = World::new();
    // At a byte per second it takes years; it gives way to a removal, and a stop ends it at once.
    wait_until("the verification runs", 60, || {
        status(&world.daemon).0["ActiveVerify"] == true
    });
    world.daemon.cli(&["delete", "primary", &oldest]).ok();
    world.daemon.stop();
    // The server is not needed.
    world.cluster.stop();
    let rate = "verification_rate = 1";
    configure(&world.daemon, rate, "verification_rate = 0");
    world.daemon.start();
    let verified = world.daemon.base_dir().join("primary/verification.info");
    let recorded = |label: &str| {
        let text = fs::read_to_string(&verified).unwrap_or_default();
        text.contains(&format!("backup={label} "))
    };
    wait_until("both backups are verified", 60, || {
        recorded(&first) && recorded(&second)
    });
    assert!(world.is_valid(&first) && world.is_valid(&second));
    world.cluster.start();
    world.cluster.wait_streaming("pgmoneta");

    // A damaged file that both backups have.
    let table = stored_table(&world.cluster, &world.backup(&first), "rots");
    corrupt(&table);
    let invalid = |label: &str| format!("the backup {label} is not valid any more: 1 file is bad");
    for label in [&first, &second] {
        world.daemon.wait_log(&invalid(label), 60);
        assert!(!world.is_valid(label));
        world.wait_problem(&format!("the backup {label} cannot be restored"));
    }
    let third = world.daemon.backup("primary");
    let anew = stored_table(&world.cluster, &world.backup(&third), "rots");
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_ne!(inode(&anew), inode(&table));
    // When the file is good again, so are the backups.
    corrupt(&table);
    world.wait_healthy();
    assert!(world.is_valid(&first) && world.is_valid(&second));
    for label in [&first, &second] {
        world.daemon.cli(&["delete", "primary", label]).ok();
    }
    world.wait_healthy();
    check_wal(&mut world, &third);
}

/// Damage in the archived WAL after the backup, and `verify wal`.
fn check_wal(world: &mut World, backup: &str) {
    let daemon = &world.daemon;
    let segment = write_segments(&world.cluster, daemon, 2);
    write_segments(&world.cluster, daemon, 1);
    let name = format!("{segment}.zstd");
    let path = daemon.wal("primary").join(&name);
    let good = fs::read(&path).unwrap();
    wait_until("the WAL is proven", 60, || {
        let proven = &status(daemon).0["RestorableTo"];
        proven
            .as_str()
            .is_some_and(|to| position(to) >= end(&segment))
    });
    let text = daemon.cli(&["status"]).ok().stdout;
    assert!(
        text.contains("of timeline 1, all WAL read since 2"),
        "{text}"
    );

    // The stored bytes, and with valid frames the bytes of a record.
    let mut plain = zstd::decode_all(&good[..]).unwrap();
    plain[8192 + 3000] ^= 1;
    let damaged = [
        good[..good.len() - 3].to_vec(),
        zstd::encode_all(&plain[..], 1).unwrap(),
    ];
    for bytes in damaged {
        write_owned(&path, bytes);
        world.wait_problem(&format!("WAL segment {segment} is damaged"));
        world.wait_problem(&format!("the backup {backup} can be recovered up to"));
        let (server, _) = status(daemon);
        let to = server["RestorableTo"].as_str().unwrap();
        assert!(position(to) < end(&segment), "{server}");
        verify_wal(daemon, &[])
            .fails(1, &format!("wal/{name}"))
            .fails(1, "the archived WAL of server primary");
        write_owned(&path, &good);
        let all = verify_wal(daemon, &["all"]).ok();
        assert!(all.stdout.contains(&format!("wal/{name}")), "{all}");
        world.wait_healthy();
    }
    fs::remove_file(&path).unwrap();
    verify_wal(daemon, &[]).fails(1, &segment);
    write_owned(&path, &good);

    // What is known survives a restart.
    let interval = |server: &Value| {
        let members = ["RestorableFrom", "RestorableTo", "RestorableProven"];
        members.map(|member| server[member].as_str().unwrap_or_default().to_owned())
    };
    verify_wal(&world.daemon, &[]).ok();
    configure(&world.daemon, "verification = 1\n", "verification = 0\n");
    world.daemon.stop();
    world.daemon.start();
    let (server, _) = status(&world.daemon);
    assert!(
        interval(&server).iter().all(|text| !text.is_empty()),
        "{server}"
    );
}

/// The answer to `verify wal`, once the schedule does not verify.
fn verify_wal(daemon: &Daemon, arguments: &[&str]) -> Output {
    let arguments = [&["verify", "primary", "wal"], arguments].concat();
    let mut answer = None;
    wait_until("the schedule does not verify", 60, || {
        let output = daemon.cli(&arguments);
        let is_busy = output.stderr.contains("running already");
        answer = Some(output);
        !is_busy
    });
    answer.unwrap()
}

/// An LSN as a number.
fn position(lsn: &str) -> u64 {
    let (high, low) = lsn.split_once('/').unwrap();
    u64::from_str_radix(high, 16).unwrap() << 32 | u64::from_str_radix(low, 16).unwrap()
}

/// The end of a segment of 1 MiB.
fn end(segment: &str) -> u64 {
    let part = |from: usize| u64::from_str_radix(&segment[from..from + 8], 16).unwrap();
    (part(8) << 32) + ((part(16) + 1) << 20)
}
