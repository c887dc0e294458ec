//! Room on the disk: a backup that does not fit is refused or stopped, and WAL goes on.

use std::fs;
use std::process::Stdio;

use super::harness::{Cluster, Daemon, Output, Scratch, SmallDisk, wait_until, write_owned};

const RESERVE_MIB: u64 = 10;

/// A cluster, and a daemon with three backups of it on a small disk, the first two of which
/// retention does not keep.
struct World {
    _scratch: Scratch,
    cluster: Cluster,
    daemon: Daemon,
    disk: SmallDisk,
    /// The size of a backup.
    backup_mib: u64,
}

impl World {
    /// Labels are local time: the last backup is nearly two days younger than the others.
    fn new() -> Option<World> {
        let scratch = Scratch::new("room");
        let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
        let mut daemon = Daemon::builder(&scratch)
            .global("compression = none\nlink = off\nretention = 1\nretention_interval = 86400")
            .global(&format!("reserve_space = {RESERVE_MIB}M"))
            .env("TZ", "WEST+20")
            .server("primary", &cluster)
            .create();
        let disk = SmallDisk::mount(&daemon.base_dir(), 256)?;
        daemon.create_repository();
        daemon.start();
        cluster.wait_streaming("pgmoneta");
        daemon.backup("primary");
        daemon.backup("primary");
        daemon.stop();
        daemon.set_env("TZ", "EAST-20");
        daemon.start();
        cluster.wait_streaming("pgmoneta");
        daemon.backup("primary");
        let list = daemon.cli(&["-F", "raw", "list-backup", "primary"]).json();
        let size = &list["Response"]["Backups"][0]["BackupSize"];
        Some(World {
            _scratch: scratch,
            cluster,
            daemon,
            disk,
            backup_mib: size.as_u64().unwrap() >> 20,
        })
    }

    fn fails(&self, text: &str) {
        let output = self.daemon.cli(&["-F", "raw", "backup", "primary"]);
        assert_eq!(output.json()["Outcome"]["Error"], 107, "{output}");
        output
            .fails(1, text)
            .fails(1, "make room on the file system");
        assert!(self.daemon.unfinished("primary").is_empty());
    }

    /// Starts the daemon again with another configuration.
    fn configure(&mut self, from: &str, to: &str) {
        self.daemon.stop();
        let text = fs::read_to_string(self.daemon.configuration()).unwrap();
        write_owned(&self.daemon.configuration(), text.replacen(from, to, 1));
        self.daemon.start();
        self.cluster.wait_streaming("pgmoneta");
    }

    /// The problems in `status`.
    fn problems(&self) -> String {
        let status = self.daemon.cli(&["-F", "raw", "status"]).json();
        status["Response"]["Servers"][0]["Problems"].to_string()
    }
}

#[test]
fn a_backup_that_does_not_fit_is_refused_or_stopped_and_wal_goes_on() {
    let Some(mut world) = World::new() else {
        return;
    };
    retention_makes_room_for_a_backup(&world);
    retention_makes_room_for_wal(&world);
    it_is_refused_before_it_starts(&world);
    wal_takes_the_reserve(&world);
    it_stops_at_the_reserve(&mut world);
    let labels = world.daemon.labels("primary");
    let newest = world.daemon.backup("primary");
    assert!(!labels.contains(&newest));
    for label in world.daemon.labels("primary") {
        world.daemon.cli(&["verify", "primary", &label]).ok();
    }
}

/// Of the old backups only the first one goes, as the other one is excluded from retention.
fn retention_makes_room_for_a_backup(world: &World) {
    let before = world.daemon.labels("primary");
    world.daemon.cli(&["retain", "primary", &before[1]]).ok();
    world.disk.leave(RESERVE_MIB + world.backup_mib / 2);
    let newest = world.daemon.backup("primary");
    let left = [before[1].as_str(), &before[2], &newest];
    assert_eq!(world.daemon.labels("primary"), left);
    world.disk.give_back();
    world.daemon.cli(&["expunge", "primary", &before[1]]).ok();
}

/// WAL goes on by itself on a disk that was full to the last byte.
fn retention_makes_room_for_wal(world: &World) {
    let before = world.daemon.labels("primary");
    world.disk.leave(0);
    world.cluster.execute(
        "CREATE TABLE w AS SELECT repeat(md5(g::text), 30) AS x FROM generate_series(1, 8000) g",
    );
    world.cluster.wait_received("pgmoneta");
    assert_eq!(world.daemon.labels("primary"), before[1..]);
    let log = world.daemon.log();
    assert!(log.contains("WAL is received to the last byte"), "{log}");
    assert!(log.contains("the disk is full: retention runs now"));
    world.disk.give_back();
}

fn it_is_refused_before_it_starts(world: &World) {
    let before = world.daemon.labels("primary");
    world.disk.leave(RESERVE_MIB + world.backup_mib / 2);
    let log = world.daemon.log().len();
    world.fails("not enough space: the backup needs about");
    assert_eq!(world.daemon.labels("primary"), before);
    let log = &world.daemon.log()[log..];
    assert!(
        !log.contains("removing the unfinished backup"),
        "it had begun: {log}"
    );
    assert_eq!(world.problems(), "{}", "there is room for WAL");
    let status = world.daemon.cli(&["status"]).ok();
    assert!(
        status.stdout.contains(", 10.00MB reserved for WAL"),
        "{status}"
    );
    world.disk.give_back();
}

fn wal_takes_the_reserve(world: &World) {
    world.disk.leave(RESERVE_MIB - 3);
    world.fails("reserved for WAL (reserve_space)");
    for _ in 0..3 {
        world
            .cluster
            .execute("CREATE TABLE IF NOT EXISTS t (n int); SELECT pg_switch_wal()");
    }
    world.cluster.wait_received("pgmoneta");
    assert!(world.problems().contains("no backup can be taken"));
    world
        .daemon
        .cli(&["status"])
        .fails(1, "no backup can be taken");
    world.disk.give_back();
}

fn it_stops_at_the_reserve(world: &mut World) {
    // It would take half a minute.
    world.configure("link = off", "link = off\nmax_rate = 1M");
    let before = world.daemon.labels("primary");
    let mut command = world.daemon.cli_command(&["backup", "primary"]);
    let backup = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let backup = backup.unwrap();
    wait_until("the backup receives files", 60, || {
        let unfinished = world.daemon.unfinished("primary").pop();
        let data = unfinished.map(|name| world.daemon.backups("primary").join(name).join("data"));
        data.is_some_and(|data| data.join("base").exists())
    });
    world.disk.leave(RESERVE_MIB / 2);
    let output = backup.wait_with_output().unwrap();
    let output = Output {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    output.fails(1, "the backup was stopped: not enough space");
    assert_eq!(world.daemon.labels("primary"), before);
    assert!(world.daemon.unfinished("primary").is_empty());
    world.disk.give_back();
    world.configure("max_rate = 1M", "max_rate = 0");
}
