//! The directories and configuration that a restore writes, and what remains after it fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::scenario::{Scenario, last_row, unique};
use crate::harness::{
    Cluster, Daemon, Output, Scratch, check_pages, client, server, streaming_daemon, user,
    wait_until, write_owned,
};

struct TablespaceCluster {
    scratch: Scratch,
    cluster: Cluster,
    daemon: Daemon,
    label: String,
    oids: Vec<String>,
}

/// A cluster with two tablespaces and a backup of it.
fn with_tablespaces() -> TablespaceCluster {
    let (scratch, cluster, daemon) = streaming_daemon("spread");
    for name in ["one", "two"] {
        let location = scratch.directory(name);
        cluster.execute(&format!(
            "CREATE TABLESPACE {name} LOCATION '{}'",
            location.display()
        ));
        cluster.execute(&format!(
            "CREATE TABLE {name}_t TABLESPACE {name} AS SELECT g FROM generate_series(1, 3000) g"
        ));
    }
    let oids = cluster.query_values(
        "SELECT oid::text FROM pg_tablespace WHERE spcname IN ('one', 'two') ORDER BY spcname",
    );
    let label = daemon.backup("primary");
    cluster.execute("INSERT INTO two_t VALUES (-1)");
    cluster.wait_received("pgmoneta");
    TablespaceCluster {
        oids,
        scratch,
        cluster,
        daemon,
        label,
    }
}

impl TablespaceCluster {
    /// Restores everything into `directory`, with more arguments.
    fn restore(&self, directory: &Path, more: &[&str]) -> Output {
        let directory = directory.to_str().unwrap();
        let mut arguments = vec!["restore", "primary", "newest", "current", directory];
        arguments.extend(more);
        self.daemon.cli(&arguments)
    }

    /// `<location of tablespace two>=<directory>`
    fn two_to(&self, directory: &Path) -> String {
        let two = self.scratch.join("two");
        format!("{}={}", two.display(), directory.display())
    }
}

#[test]
fn tablespaces_are_mapped() {
    let mut test = with_tablespaces();
    test.cluster.stop();
    let directory = test.scratch.directory("r");
    let mapped = test.scratch.directory("elsewhere");
    let option = format!("two={}", mapped.display());
    test.restore(&directory, &["--tablespace", &option]).ok();
    let data = directory.join(format!("primary-{}", test.label));
    let link = |oid: &str| fs::read_link(data.join("pg_tblspc").join(oid)).unwrap();
    assert_eq!(link(&test.oids[1]), mapped);
    let beside = format!("primary-{}-tblspc_one", test.label);
    assert_eq!(link(&test.oids[0]), directory.join(beside));
    let mode = fs::metadata(&data).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(!data.join("tablespace_map").exists());
    // The original locations must not be used.
    fs::rename(test.scratch.join("one"), test.scratch.join("gone")).unwrap();
    let mut restored = Cluster::adopt(&test.scratch, test.cluster.major(), &data);
    restored.start();
    restored.wait_primary(60);
    assert_eq!(restored.count("one_t"), 3000);
    assert_eq!(restored.count("two_t"), 3001);
    restored.stop();
    assert!(check_pages(&data).bad.is_empty());
    // Again into the same directory.
    test.restore(&directory, &["--tablespace", &option])
        .fails(1, "not an empty directory");
}

#[test]
fn invalid_mappings_and_dry_runs_write_nothing() {
    let test = with_tablespaces();
    let directory = test.scratch.directory("r");
    let mapped = test.scratch.directory("elsewhere");
    let option = test.two_to(&mapped);
    let one = &test.oids[0];
    let refused = |mappings: &[&str], text: &str| {
        let options = mappings
            .iter()
            .flat_map(|mapping| ["--tablespace", mapping]);
        let output = test.restore(&directory, &options.collect::<Vec<_>>());
        assert!(output.status == 1 || output.status == 2, "{output}");
        assert!(output.stderr.contains(text), "no {text:?} in {output}");
    };
    refused(&["99=/tmp/x"], one);
    let same = format!("{one}={}", mapped.display());
    refused(&[&option, &same], "overlap");
    let inside = format!("{one}={}/primary-{}/x", directory.display(), test.label);
    refused(&[&inside], "overlap");
    write_owned(&mapped.join("mine"), "x");
    refused(&[&option], "not an empty directory");
    fs::remove_file(mapped.join("mine")).unwrap();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);

    let dry = ["--tablespace", &option, "--dry-run", "--format", "json"];
    let dry = test.restore(&directory, &dry).ok().json();
    let plan = &dry["Response"]["Plan"];
    assert_eq!(
        plan["Tablespaces"][1]["Directory"],
        mapped.to_str().unwrap()
    );
    let number = |key: &str| plan[key].as_u64().unwrap();
    assert!(number("Files") > 300 && number("Bytes") > 5 << 20, "{plan}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    assert_eq!(fs::read_dir(&mapped).unwrap().count(), 0);
}

#[test]
fn settings_of_an_earlier_recovery_have_no_effect() {
    let scratch = Scratch::new("conf");
    let cluster = Cluster::builder(&scratch)
        .conf(
            "recovery_target_name = 'never'\nrecovery_target_inclusive = off\n\
             recovery_end_command = 'exit 1'\nprimary_slot_name = 'gone'\n\
             recovery_min_apply_delay = '1h'",
        )
        .start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start_streaming();
    cluster.execute("ALTER SYSTEM SET recovery_target_action = 'shutdown'");
    cluster.execute("ALTER SYSTEM SET restore_command = 'exit 200'");
    cluster.execute("ALTER SYSTEM SET work_mem = '5MB'");
    cluster.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    daemon.backup("primary");
    let xid: i64 = cluster.query_value("INSERT INTO t VALUES (2) RETURNING txid_current()");
    cluster.execute("INSERT INTO t VALUES (3)");
    cluster.wait_received("pgmoneta");
    for (position, row) in [
        ("immediate".to_owned(), "1"),
        (format!("xid={xid}"), "2"),
        ("current".to_owned(), "3"),
    ] {
        let data = daemon.restore("primary", "newest", Some(&position), &unique("c"));
        let mut restored = Cluster::adopt(&scratch, cluster.major(), data);
        restored.start();
        restored.wait_primary(60);
        assert_eq!(last_row(&restored), row, "{position}");
        assert_eq!(restored.setting("work_mem"), "5MB");
        let conf = fs::read_to_string(restored.data().join("postgresql.auto.conf")).unwrap();
        assert!(conf.contains("#restore_command"), "{conf}");
        assert!(!conf.contains("password"), "{conf}");
    }
}

#[test]
fn a_replica_streams_from_the_server() {
    let scenario = Scenario::new(server().0, "");
    let data = scenario.restore("newest", "replica");
    let conf = fs::read_to_string(data.join("postgresql.auto.conf")).unwrap();
    assert!(
        conf.contains("primary_conninfo") && !conf.contains("password"),
        "{conf}"
    );
    assert!(data.join("standby.signal").exists() && !data.join("recovery.signal").exists());
    let mut replica = Cluster::adopt(&scenario.scratch, scenario.cluster.major(), &data);
    // A restore writes no password.
    let password = crate::harness::REPLICATION_PASSWORD;
    let line = format!(
        "*:*:*:*:{}\n",
        password.replace('\\', "\\\\").replace(':', "\\:")
    );
    let pass = scenario.scratch.write("pgpass", line);
    let conf = format!(
        "{conf}\nprimary_conninfo = '{} passfile={}'\n",
        conninfo(&conf),
        pass.display()
    );
    write_owned(&data.join("postgresql.auto.conf"), conf);
    replica.start();
    assert!(replica.is_in_recovery());
    scenario.cluster.execute("INSERT INTO t VALUES (6)");
    replica.wait_true("SELECT max(n) = 6 FROM t", 60);
    replica.stop();
}

fn conninfo(conf: &str) -> String {
    let line = conf
        .lines()
        .rfind(|line| line.starts_with("primary_conninfo"))
        .unwrap();
    let (_, value) = line.split_once(" = '").unwrap();
    value.strip_suffix('\'').unwrap().to_owned()
}

/// `pg_verifybackup` checks the restored files against the server's manifest.
#[test]
fn pg_verifybackup_accepts_a_restore() {
    let scenario = Scenario::new(15, "compression = zstd");
    let data = scenario.restore("newest", "current");
    let output = user()
        .command(client("pg_verifybackup"))
        .args(["--exit-on-error", "--no-parse-wal"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_stopped_restore_removes_everything() {
    use crate::harness::{Call, Faults};

    let scratch = Scratch::new("stop");
    let cluster = Cluster::builder(&scratch).start();
    let directory = scratch.directory("r");
    let faults = Faults::new(&scratch, &directory);
    let builder = Daemon::builder(&scratch)
        .global("workers = 1")
        .server("primary", &cluster);
    let mut daemon = faults.daemon(builder).start_streaming();
    daemon.backup("primary");
    loop {
        let restore = ["restore", "primary", "newest", directory.to_str().unwrap()];
        faults.steps.hold_at("", Call::Write, 50);
        let mut cli = daemon.cli_command(&restore).spawn().unwrap();
        faults.steps.wait_reached();
        assert_ne!(fs::read_dir(&directory).unwrap().count(), 0);
        daemon.signal(rustix::process::Signal::TERM);
        // The receivers stop first, then the jobs.
        let receivers = "SELECT count(*) = 0 FROM pg_stat_replication";
        cluster.wait_true(receivers, 30);
        faults.steps.release();
        assert!(daemon.process().wait(30).success());
        daemon.kill();
        if !cli.wait().unwrap().success() {
            break;
        }
        // The restore ended before the stop.
        fs::remove_dir_all(
            fs::read_dir(&directory)
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .path(),
        )
        .unwrap();
        daemon.start();
        cluster.wait_streaming("pgmoneta");
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

/// A backup of a standby ends at its replay position, not at a backup end record.
#[test]
fn a_backup_of_a_standby_is_restored() {
    let scratch = Scratch::new("standby");
    let primary = Cluster::builder(&scratch).start();
    primary.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    let standby = primary.standby(&scratch, "standby");
    let daemon = Daemon::builder(&scratch)
        .server("primary", &standby)
        .start_streaming();
    // A backup of a standby begins at a checkpoint of the primary.
    primary.execute("CHECKPOINT");
    primary.execute("INSERT INTO t VALUES (2)");
    standby.wait_true("SELECT max(n) = 2 FROM t", 30);
    daemon.backup("primary");
    let xid: i64 = primary.query_value("INSERT INTO t VALUES (3) RETURNING txid_current()");
    primary.execute("INSERT INTO t VALUES (4)");
    let end = pgmoneta::unit::Lsn(primary.flush_lsn().into());
    wait_until("all is received", 30, || {
        let dry = daemon.cli(&[
            "restore",
            "primary",
            "newest",
            &format!("lsn={end}"),
            "/tmp",
            "--dry-run",
        ]);
        dry.status == 0
    });
    for (position, row) in [
        ("immediate".to_owned(), "2"),
        (format!("xid={xid}"), "3"),
        ("current".to_owned(), "4"),
    ] {
        let data = daemon.restore("primary", "newest", Some(&position), &unique("s"));
        let mut restored = Cluster::adopt(&scratch, primary.major(), data);
        restored.start();
        restored.wait_primary(60);
        assert_eq!(last_row(&restored), row, "{position}");
    }
}
