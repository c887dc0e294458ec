//! Files that a server skips in a base backup without an error: links, special files, and removed
//! directories.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::harness::{Cluster, Daemon, Scratch, installed, server};

/// A file or directory that was moved out of a data directory, with or without a link in its place.
/// Moved back on drop.
struct MovedPath {
    original: PathBuf,
    away: PathBuf,
}

impl MovedPath {
    /// Moves it away and puts nothing in its place.
    fn away(scratch: &Scratch, original: &Path) -> MovedPath {
        let away = scratch.join("away");
        fs::rename(original, &away).unwrap();
        MovedPath {
            original: original.to_owned(),
            away,
        }
    }

    fn linked(scratch: &Scratch, original: &Path) -> MovedPath {
        let moved = MovedPath::away(scratch, original);
        symlink(&moved.away, original).unwrap();
        moved
    }
}

impl Drop for MovedPath {
    fn drop(&mut self) {
        if self.original.is_symlink() {
            fs::remove_file(&self.original).unwrap();
        }
        fs::rename(&self.away, &self.original).unwrap();
    }
}

fn prepare(scratch: &Scratch, major: u32) -> (Cluster, Daemon) {
    let cluster = Cluster::builder(scratch)
        .name(&format!("pg{major}"))
        .major(major)
        .conf("autovacuum = off")
        .template_databases()
        .start();
    let location = scratch.directory(&format!("fast{major}"));
    cluster.execute(&format!(
        "CREATE TABLESPACE fast LOCATION '{}'",
        location.display()
    ));
    cluster.execute("CREATE DATABASE shop");
    cluster.execute("CREATE DATABASE depot TABLESPACE fast");
    let table = "CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g";
    cluster.connect("shop").batch_execute(table).unwrap();
    cluster.execute("CHECKPOINT");
    let daemon = Daemon::builder(scratch)
        .name(&format!("moneta{major}"))
        .global("compression = none")
        .server("primary", &cluster)
        .start_streaming();
    (cluster, daemon)
}

/// The paths that the tests move away.
struct MovablePaths {
    data: PathBuf,
    shop: PathBuf,
    table: PathBuf,
    /// The directory of the tablespace `PG_…`, and the database in it.
    version: PathBuf,
    depot: PathBuf,
}

impl MovablePaths {
    fn new(cluster: &Cluster, scratch: &Scratch) -> MovablePaths {
        let data = cluster.data().to_owned();
        let oid = |name: &str| {
            cluster.query_value::<String>(&format!(
                "SELECT oid::text FROM pg_database WHERE datname = '{name}'"
            ))
        };
        let table = "SELECT pg_relation_filepath('t')";
        let table = cluster.connect("shop").query_one(table, &[]).unwrap();
        let location = scratch.join(format!("fast{}", cluster.major()));
        let version = fs::read_dir(location).unwrap().next().unwrap().unwrap();
        MovablePaths {
            shop: data.join("base").join(oid("shop")),
            table: data.join(table.get::<_, String>(0)),
            version: version.path(),
            depot: version.path().join(oid("depot")),
            data,
        }
    }
}

fn check_refused(daemon: &Daemon, moved: MovedPath, named: &str) {
    daemon.cli(&["backup", "primary"]).fails(1, named);
    assert!(daemon.labels("primary").is_empty());
    drop(moved);
}

#[test]
fn a_database_that_is_a_link_or_missing_fails_the_backup_on_every_version() {
    for major in [13, 15, 18] {
        if installed(major).is_none() {
            continue;
        }
        let scratch = Scratch::new("leftout");
        let (cluster, daemon) = prepare(&scratch, major);
        let paths = MovablePaths::new(&cluster, &scratch);
        let name = paths.shop.strip_prefix(&paths.data).unwrap();
        let linked = MovedPath::linked(&scratch, &paths.shop);
        check_refused(&daemon, linked, &format!("./{}", name.display()));
        let linked = MovedPath::linked(&scratch, &paths.depot);
        let name = paths.depot.strip_prefix(paths.version.parent().unwrap());
        check_refused(&daemon, linked, &name.unwrap().display().to_string());
        let gone = MovedPath::away(&scratch, &paths.shop);
        check_refused(&daemon, gone, "the database shop");
        // As if the file system of the tablespace were not mounted.
        let gone = MovedPath::away(&scratch, &paths.version);
        check_refused(&daemon, gone, "the tablespace fast");
        check_warnings_for_other_files(&scratch, &cluster, &daemon);
    }
}

#[test]
fn a_backup_without_a_required_path_is_refused() {
    let scratch = Scratch::new("needed");
    let (cluster, daemon) = prepare(&scratch, server().0);
    let paths = MovablePaths::new(&cluster, &scratch);
    let table = paths.table.strip_prefix(&paths.data).unwrap();
    for (original, named) in [
        (paths.table.clone(), table.to_str().unwrap()),
        (paths.data.join("pg_xact"), "./pg_xact"),
        (paths.version.clone(), "is not a directory"),
        (paths.data.join("global/pg_control"), "global/pg_control"),
    ] {
        check_refused(&daemon, MovedPath::linked(&scratch, &original), named);
    }
    let tablespace = fs::read_dir(paths.data.join("pg_tblspc")).unwrap().next();
    for (original, named) in [
        (paths.shop.join("PG_VERSION"), "the database shop"),
        (tablespace.unwrap().unwrap().path(), "the tablespace fast"),
    ] {
        check_refused(&daemon, MovedPath::away(&scratch, &original), named);
    }
    daemon.backup("primary");
}

fn check_warnings_for_other_files(scratch: &Scratch, cluster: &Cluster, daemon: &Daemon) {
    let data = cluster.data();
    symlink(scratch.path(), data.join("old logs")).unwrap();
    let _socket = UnixListener::bind(data.join("socket")).unwrap();
    let answer = daemon.cli(&["--format", "json", "backup", "primary"]).ok();
    let label = daemon.labels("primary").pop().unwrap();
    let info = daemon.cli(&["--format", "json", "info", "primary", &label]);
    for answer in [answer.json(), info.ok().json()] {
        let warnings = answer["Response"]["Warnings"].as_array().unwrap().clone();
        let mut texts: Vec<&str> = warnings.iter().filter_map(|text| text.as_str()).collect();
        texts.sort_unstable();
        let expected = [
            "skipping special file ./old logs",
            "skipping special file ./socket",
        ];
        assert_eq!(texts, expected, "{answer}");
    }
    let text = daemon.cli(&["info", "primary", &label]).ok();
    assert!(text.to_string().contains("./old logs"), "{text}");
    assert!(daemon.log().contains("./old logs"));
    daemon.cli(&["verify", "primary", &label]).ok();
}
