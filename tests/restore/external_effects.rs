//! Settings of the backup that would affect other servers: their directories and archives are not
//! used, and commits do not wait for their standbys.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::after_recovery::{Rows, majors};
use super::scenario::unique;
use crate::harness::{
    Certificate, Cluster, Daemon, REPLICATION_PASSWORD, Scratch, user, write_owned,
};

/// Restores with more arguments; returns the answer in JSON, and the cluster, not started.
fn restore(rows: &Rows, position: &str, more: &[&str]) -> (Value, Cluster) {
    let directory = rows.scratch.directory(&unique("outside"));
    let mut arguments = vec!["restore", "primary", "newest", position];
    arguments.extend([directory.to_str().unwrap(), "--format", "json"]);
    arguments.extend(more);
    let answer = rows.daemon.cli(&arguments).ok().json();
    let data = answer["Response"]["Plan"]["Target"].as_str().unwrap();
    let cluster = Cluster::adopt(&rows.scratch, rows.cluster.major(), data);
    (answer, cluster)
}

fn warnings(answer: &Value) -> Vec<&str> {
    let warnings = answer["Response"]["Warnings"].as_array();
    warnings
        .into_iter()
        .flatten()
        .map(|note| note.as_str().unwrap())
        .collect()
}

/// Asserts that a warning contains all of `words`.
fn assert_warns(answer: &Value, words: &[&str]) {
    let warnings = warnings(answer);
    let fits = |note: &&&str| words.iter().all(|word| note.contains(word));
    assert!(
        warnings.iter().any(|note| fits(&note)),
        "{words:?} in {warnings:?}"
    );
}

#[test]
fn commits_wait_for_no_standby_of_the_other_server() {
    for major in majors() {
        let rows = Rows::new(major, "");
        rows.cluster
            .configure("synchronous_standby_names = 'pgmoneta'");
        rows.cluster.reload();
        rows.cluster.wait_true(
            "SELECT current_setting('synchronous_standby_names') = 'pgmoneta'",
            60,
        );
        rows.daemon.backup("primary");
        let (answer, mut restored) = restore(&rows, "current", &[]);
        assert_warns(
            &answer,
            &["synchronous_standby_names", "--keep-synchronous"],
        );
        restored.start();
        restored.wait_primary(60);
        assert_eq!(restored.setting("synchronous_standby_names"), "");
        restored.execute("INSERT INTO t VALUES (4)");
        restored.restart();
        assert_eq!(restored.setting("synchronous_standby_names"), "");
        restored.stop();
        // Set by ALTER SYSTEM, which wins over postgresql.conf.
        rows.cluster
            .execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (pgmoneta, other)'");
        rows.daemon.backup("primary");
        let (answer, mut restored) = restore(&rows, "immediate", &[]);
        assert_warns(
            &answer,
            &["synchronous_standby_names", "ANY 1 (pgmoneta, other)"],
        );
        restored.start();
        restored.wait_primary(60);
        assert_eq!(restored.setting("synchronous_standby_names"), "");
        restored.stop();
        let (answer, mut restored) = restore(&rows, "immediate", &["--keep-synchronous"]);
        assert_warns(&answer, &["synchronous_standby_names", "is kept"]);
        restored.start();
        restored.wait_primary(60);
        let names = restored.setting("synchronous_standby_names");
        assert_eq!(names, "ANY 1 (pgmoneta, other)");
    }
}

#[test]
fn a_restored_server_need_not_archive() {
    for major in majors() {
        let archive = Scratch::new("archive");
        let archived = archive.directory("archived");
        let command = format!("cp %p \"{}/%f\"", archived.display());
        let conf = format!("archive_mode = on\narchive_command = '{command}'");
        let rows = Rows::new(major, &conf);
        let (answer, _) = restore(&rows, "current", &["--dry-run"]);
        assert_warns(
            &answer,
            &[
                "archive_mode is on",
                "archive_command",
                "--archive-mode=off",
            ],
        );
        let (answer, mut restored) = restore(&rows, "current", &["--archive-mode=off"]);
        assert_warns(&answer, &["archive_mode is off"]);
        restored.start();
        restored.wait_primary(60);
        assert_eq!(restored.setting("archive_mode"), "off");
        restored.execute("SELECT pg_switch_wal()");
        restored.stop();
        let names = fs::read_dir(&archived).unwrap();
        let of_restored = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("00000002"));
        assert_eq!(of_restored.count(), 0);
    }
}

/// A server whose configuration has paths outside of its data directory, as `pid` and `logs` in
/// `places`, and its backup.
fn with_external_paths(major: u32, places: &Scratch) -> Rows {
    let scratch = Scratch::new("named");
    let mut cluster = Cluster::builder(&scratch).major(major).create();
    let (pid, logs) = (places.join("pid"), places.directory("logs"));
    let (pid, logs) = (pid.display(), logs.display());
    cluster.configure(&format!(
        "external_pid_file = '{pid}'\nlog_directory = '{logs}'\ninclude_dir = 'more.d'\n\
         include_if_exists = '/etc/none.conf'"
    ));
    if major < 15 {
        let stats = places.directory("stats");
        cluster.configure(&format!("stats_temp_directory = '{}'", stats.display()));
    }
    let data = cluster.data().to_owned();
    let more = data.join("more.d");
    fs::create_dir(&more).unwrap();
    user().chown(&more);
    let data = data.display();
    let lines = format!("DATA_DIRECTORY='{data}'\nhba_file = '{data}/pg_hba.conf' # here\n");
    write_owned(&more.join("10.conf"), lines);
    cluster.start();
    with_backup(scratch, cluster, "")
}

/// Creates a table and takes a backup.
fn with_backup(scratch: Scratch, cluster: Cluster, lines: &str) -> Rows {
    let daemon = Daemon::builder(&scratch)
        .server_with("primary", &cluster, lines)
        .start_streaming();
    cluster.execute("CREATE TABLE t (n int)");
    daemon.backup("primary");
    cluster.wait_received("pgmoneta");
    Rows {
        scratch,
        cluster,
        daemon,
        time: String::new(),
    }
}

#[test]
fn settings_with_external_paths_are_overridden_or_reported() {
    for major in majors() {
        let places = Scratch::new("places");
        let rows = with_external_paths(major, &places);
        let kept = fs::read(places.join("pid")).unwrap();
        let (answer, mut restored) = restore(&rows, "immediate", &[]);
        let data = rows.cluster.data().to_str().unwrap();
        assert_warns(&answer, &["data_directory", data, "10.conf"]);
        assert_warns(&answer, &["hba_file", "pg_hba.conf"]);
        let path = |name: &str| places.join(name).to_str().unwrap().to_owned();
        assert_warns(&answer, &["external_pid_file", &path("pid")]);
        assert_warns(&answer, &["log_directory", &path("logs")]);
        assert_warns(&answer, &["include", "/etc/none.conf"]);
        restored.start();
        restored.wait_primary(60);
        let shown = restored.setting("data_directory");
        assert_eq!(shown, restored.data().to_str().unwrap(), "{major}");
        assert_eq!(restored.setting("log_directory"), "log");
        assert_eq!(fs::read(places.join("pid")).unwrap(), kept, "{major}");
        if major < 15 {
            assert_eq!(restored.setting("stats_temp_directory"), "pg_stat_tmp");
        }
        let conf = fs::read_to_string(restored.data().join("more.d/10.conf")).unwrap();
        let comment = "# Disabled by pgmoneta: DATA_DIRECTORY=";
        assert!(conf.starts_with(comment), "{conf}");
    }
}

/// The C program's client cannot show quotes.
#[test]
fn the_plan_lists_settings_without_quotes() {
    let rows = Rows::new(15, "");
    rows.cluster
        .execute("SELECT pg_create_restore_point('it''s')");
    rows.cluster.execute("INSERT INTO t VALUES (4)");
    rows.cluster.wait_received("pgmoneta");
    for (position, target) in [
        ("immediate", "recovery_target = immediate"),
        ("name=it's", "recovery_target_name = it's"),
    ] {
        let (answer, _) = restore(&rows, position, &["--dry-run"]);
        let settings = answer["Response"]["Plan"]["Settings"].as_array().unwrap();
        let settings: Vec<&str> = settings.iter().filter_map(Value::as_str).collect();
        assert!(settings.contains(&target), "{settings:?}");
        assert!(settings.contains(&"recovery_target_xid ="), "{settings:?}");
    }
}

/// A server that accepts TLS connections only, its backup, and its CA file.
fn with_tls(major: u32) -> (Rows, PathBuf) {
    let scratch = Scratch::new("replica-tls");
    let authority = Certificate::authority("authority");
    let signed = authority.sign("server", "127.0.0.1");
    let (certificate, key) = signed.write(&scratch, "server");
    let (root, _) = authority.write(&scratch, "authority");
    let (certificate, key) = (certificate.display(), key.display());
    let mut cluster = Cluster::builder(&scratch)
        .major(major)
        .conf(&format!(
            "ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'"
        ))
        .create();
    cluster
        .hba("local all postgres trust\nhostssl all,replication all 127.0.0.1/32 scram-sha-256\n");
    cluster.start();
    let tls = format!("tls_ca_file = {}", root.display());
    (with_backup(scratch, cluster, &tls), root)
}

/// Adds a password to the connection of a standby.
fn with_password(rows: &Rows, replica: Cluster, conf: &str) -> Cluster {
    let password = REPLICATION_PASSWORD
        .replace('\\', "\\\\")
        .replace(':', "\\:");
    let pass = rows
        .scratch
        .write("pgpass", format!("*:*:*:*:{password}\n"));
    let mut lines = conf.lines();
    let line = lines.rfind(|line| line.starts_with("primary_conninfo"));
    let (_, value) = line.unwrap().split_once(" = '").unwrap();
    let value = value.strip_suffix('\'').unwrap().replace("''", "'");
    // Otherwise libpq would use a certificate in the home directory of the user that runs the
    // tests.
    let none = rows.scratch.join("none");
    let (pass, none) = (pass.display(), none.display());
    let value = format!("{value} passfile={pass} sslcert={none}");
    replica.with("primary_conninfo", &value)
}

#[test]
fn a_standby_connects_with_the_tls_settings_of_pgmoneta() {
    for major in majors() {
        let (rows, root) = with_tls(major);
        let (answer, replica) = restore(&rows, "replica", &[]);
        assert_warns(&answer, &["primary_conninfo", root.to_str().unwrap()]);
        assert_warns(&answer, &["primary_conninfo", "password"]);
        assert_warns(&answer, &["ssl_cert_file", "server.crt"]);
        let conf = replica.data().join("postgresql.auto.conf");
        let conf = fs::read_to_string(conf).unwrap();
        // libpq checks IP addresses in certificates from 15 on.
        let mode = if major < 15 {
            "verify-ca"
        } else {
            "verify-full"
        };
        assert!(conf.contains(&format!("sslmode=''{mode}''")), "{conf}");
        assert!(conf.contains("sslrootcert=''"), "{conf}");
        let mut replica = with_password(&rows, replica, &conf);
        replica.start();
        let ssl = "SELECT count(*) = 1 FROM pg_stat_ssl JOIN pg_stat_replication USING (pid) \
                   WHERE ssl AND application_name LIKE 'primary-%'";
        rows.cluster.wait_true(ssl, 60);
        rows.cluster.execute("INSERT INTO t VALUES (1)");
        replica.wait_true("SELECT count(*) = 1 FROM t", 60);
    }
}
