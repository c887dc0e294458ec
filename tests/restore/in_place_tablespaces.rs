//! In-place tablespaces, which are directories below `pg_tblspc` (`allow_in_place_tablespaces`):
//! PostgreSQL refuses them in recovery without that setting.

use std::fs;
use std::path::Path;

use super::after_recovery::{leftovers, majors};
use super::scenario::{unique, wait_paused};
use crate::harness::{Cluster, Daemon, Scratch, names, streaming_daemon};

const SETTING: &str = "allow_in_place_tablespaces";

struct InPlace {
    scratch: Scratch,
    cluster: Cluster,
    daemon: Daemon,
    /// The OID of `early`.
    oid: u32,
}

impl InPlace {
    /// Table `one` in the tablespace `early`, if there is one before the backup, and table `two` in
    /// the tablespace `late`, which is created after the backup.
    fn new(major: u32, before_backup: bool) -> InPlace {
        let scratch = Scratch::new("in-place");
        let cluster = Cluster::builder(&scratch).major(major).start();
        let daemon = Daemon::builder(&scratch)
            .server("primary", &cluster)
            .start_streaming();
        let mut oid = 0;
        if before_backup {
            create(&cluster, "early", "one");
            oid = cluster.query_value("SELECT oid FROM pg_tablespace WHERE spcname = 'early'");
        }
        daemon.backup("primary");
        create(&cluster, "late", "two");
        cluster.wait_received("pgmoneta");
        InPlace {
            scratch,
            cluster,
            daemon,
            oid,
        }
    }

    /// Restores into a new directory; not started.
    fn restore(&self, position: &str) -> Cluster {
        let into = unique(position);
        let data = self
            .daemon
            .restore("primary", "newest", Some(position), &into);
        Cluster::adopt(&self.scratch, self.cluster.major(), data)
    }
}

/// Creates an in-place tablespace and a table of five rows in it.
fn create(cluster: &Cluster, tablespace: &str, table: &str) {
    let mut client = cluster.connect("postgres");
    for sql in [
        &format!("SET {SETTING} = on"),
        &format!("CREATE TABLESPACE {tablespace} LOCATION ''"),
        &format!("CREATE TABLE {table} TABLESPACE {tablespace} AS SELECT generate_series(1, 5)"),
    ] {
        client.batch_execute(sql).unwrap();
    }
}

/// The arguments of a dry run of a restore into a directory.
fn dry_run(into: &Path) -> [&str; 7] {
    let at = into.to_str().unwrap();
    [
        "restore",
        "primary",
        "newest",
        at,
        "--dry-run",
        "-F",
        "json",
    ]
}

/// Asserts that the setting is gone, and that all tablespaces are directories.
fn assert_recovered(restored: &mut Cluster, tables: &[&str]) {
    restored.wait_primary(60);
    for table in tables {
        assert_eq!(restored.count(table), 5);
    }
    assert_eq!(leftovers(restored.data()), [""; 0]);
    restored.restart();
    assert_eq!(restored.setting(SETTING), "off");
    let entries = fs::read_dir(restored.data().join("pg_tblspc")).unwrap();
    let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), tables.len());
    assert!(paths.iter().all(|path| !path.is_symlink() && path.is_dir()));
    for table in tables {
        restored.execute(&format!("INSERT INTO {table} VALUES (6)"));
    }
}

#[test]
fn in_place_tablespaces_are_restored_in_place() {
    for major in majors() {
        let test = InPlace::new(major, true);
        test.daemon.cli(&["verify", "primary", "newest"]).ok();
        let mut restored = test.restore("current");
        restored.start();
        let parent = restored.data().parent().unwrap().to_owned();
        assert_recovered(&mut restored, &["one", "two"]);
        assert_eq!(names(&parent).len(), 1, "nothing beside it");
    }
}

#[test]
fn in_place_tablespaces_cannot_be_moved() {
    for major in majors() {
        let test = InPlace::new(major, true);
        let into = test.scratch.directory("into");
        let elsewhere = test.scratch.directory("elsewhere");
        let restore = |more: &[&str]| test.daemon.cli(&[&dry_run(&into)[..], more].concat());
        let plan = restore(&[]).ok().json()["Response"]["Plan"].clone();
        assert!(
            plan["Settings"]
                .to_string()
                .contains(&format!("\"{SETTING} = on\""))
        );
        assert!(!plan["Tablespaces"].to_string().contains("early"), "{plan}");
        let oid = test.oid.to_string();
        for (name, text) in [
            (oid.as_str(), "is a directory below pg_tblspc"),
            ("early", &oid),
        ] {
            let mapping = format!("{name}={}", elsewhere.display());
            restore(&["--tablespace", &mapping]).fails(1, text);
        }
        assert!(names(&into).is_empty());
    }
}

/// Each start checks the tablespaces again.
#[test]
fn recovery_that_created_an_in_place_tablespace_can_be_restarted() {
    for major in majors() {
        let test = InPlace::new(major, false);
        let mut restored = test.restore("current,action=pause");
        restored.start();
        for _ in 0..2 {
            wait_paused(&restored);
            assert_eq!(restored.count("two"), 5);
            restored.restart();
        }
        wait_paused(&restored);
        restored.execute("SELECT pg_wal_replay_resume()");
        assert_recovered(&mut restored, &["two"]);
    }
}

#[test]
fn a_standby_with_in_place_tablespaces_can_be_restarted_until_its_promotion() {
    for major in majors() {
        let test = InPlace::new(major, true);
        let (sockets, port) = (test.cluster.sockets(), test.cluster.port());
        let conninfo = format!("host={} port={port} user=postgres", sockets.display());
        let restored = test.restore("replica");
        let mut restored = restored.with("primary_conninfo", &conninfo);
        restored.start();
        test.cluster.execute("INSERT INTO one VALUES (6)");
        test.cluster
            .execute("DELETE FROM two WHERE generate_series = 5");
        test.cluster.execute("INSERT INTO two VALUES (7)");
        for _ in 0..2 {
            restored.wait_true("SELECT count(*) = 6 FROM one", 60);
            restored.restart();
            assert_eq!(restored.setting(SETTING), "on");
        }
        restored.wait_true("SELECT max(generate_series) = 7 FROM two", 60);
        restored.execute("SELECT pg_promote(true, 600)");
        restored.wait_primary(60);
        restored.execute("DELETE FROM one WHERE generate_series = 6");
        assert_recovered(&mut restored, &["one", "two"]);
    }
}

#[test]
fn clusters_without_in_place_tablespaces_recover_without_the_setting() {
    let (scratch, cluster, daemon) = streaming_daemon("no-in-place");
    let location = scratch.directory("ts");
    let location = location.display();
    cluster.execute(&format!("CREATE TABLESPACE ts LOCATION '{location}'"));
    daemon.backup("primary");
    let into = scratch.directory("into");
    let answer = daemon.cli(&dry_run(&into)).ok();
    assert!(!answer.stdout.contains(SETTING), "{answer}");
}
