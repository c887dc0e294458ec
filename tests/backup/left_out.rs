//! What a server leaves out of a base backup without an error: links and other special files, directories that are gone.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::harness::{Cluster, Daemon, Scratch, installed, server};

/// Moves a file or directory of a data directory away, and a link to it in its place. Back when it is dropped.
struct Moved {
    place: PathBuf,
    away: PathBuf,
}

impl Moved {
    /// Moves it away and puts nothing in its place.
    fn away(scratch: &Scratch, place: &Path) -> Moved {
        let away = scratch.join("away");
        fs::rename(place, &away).unwrap();
        Moved {
            place: place.to_owned(),
            away,
        }
    }

    fn linked(scratch: &Scratch, place: &Path) -> Moved {
        let moved = Moved::away(scratch, place);
        symlink(&moved.away, place).unwrap();
        moved
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        if self.place.is_symlink() {
            fs::remove_file(&self.place).unwrap();
        }
        fs::rename(&self.away, &self.place).unwrap();
    }
}

fn prepare(scratch: &Scratch, major: u32) -> (Cluster, Daemon) {
    let cluster = Cluster::builder(scratch)
        .name(&format!("pg{major}"))
        .major(major)
        .conf("autovacuum = off")
        .start();
    let location = scratch.directory(&format!("fast{major}"));
    cluster.sql(&format!(
        "CREATE TABLESPACE fast LOCATION '{}'",
        location.display()
    ));
    cluster.sql("CREATE DATABASE shop");
    cluster.sql("CREATE DATABASE depot TABLESPACE fast");
    cluster.sql_in(
        "shop",
        "CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g",
    );
    cluster.sql("CHECKPOINT");
    let daemon = Daemon::builder(scratch)
        .name(&format!("moneta{major}"))
        .global("compression = none")
        .server("primary", &cluster)
        .start();
    cluster.wait_streaming("pgmoneta");
    (cluster, daemon)
}

/// The places of what is taken away.
struct Places {
    data: PathBuf,
    shop: PathBuf,
    table: PathBuf,
    /// The directory of the tablespace `PG_…`, and the database in it.
    version: PathBuf,
    depot: PathBuf,
}

impl Places {
    fn of(cluster: &Cluster, scratch: &Scratch) -> Places {
        let data = cluster.data().to_owned();
        let oid = |name: &str| {
            cluster.sql(&format!(
                "SELECT oid FROM pg_database WHERE datname = '{name}'"
            ))
        };
        let location = scratch.join(format!("fast{}", cluster.major()));
        let version = fs::read_dir(location).unwrap().next().unwrap().unwrap();
        Places {
            shop: data.join("base").join(oid("shop")),
            table: data.join(cluster.sql_in("shop", "SELECT pg_relation_filepath('t')")),
            version: version.path(),
            depot: version.path().join(oid("depot")),
            data,
        }
    }
}

fn is_refused(daemon: &Daemon, moved: Moved, named: &str) {
    daemon.cli(&["backup", "primary"]).fails(1, named);
    assert!(daemon.labels("primary").is_empty());
    drop(moved);
}

#[test]
fn a_database_that_is_a_link_or_gone_fails_the_backup_on_every_version() {
    for major in [13, 15, 18] {
        if installed(major).is_none() {
            continue;
        }
        let scratch = Scratch::new("leftout");
        let (cluster, daemon) = prepare(&scratch, major);
        let places = Places::of(&cluster, &scratch);
        let name = places.shop.strip_prefix(&places.data).unwrap();
        let linked = Moved::linked(&scratch, &places.shop);
        is_refused(&daemon, linked, &format!("./{}", name.display()));
        let linked = Moved::linked(&scratch, &places.depot);
        let name = places.depot.strip_prefix(places.version.parent().unwrap());
        is_refused(&daemon, linked, &name.unwrap().display().to_string());
        let gone = Moved::away(&scratch, &places.shop);
        is_refused(&daemon, gone, "the database shop");
        // As if the file system of the tablespace were not mounted.
        let gone = Moved::away(&scratch, &places.version);
        is_refused(&daemon, gone, "the tablespace fast");
        what_is_not_needed_is_warned_of(&scratch, &cluster, &daemon);
    }
}

#[test]
fn what_a_cluster_needs_is_not_left_out() {
    let scratch = Scratch::new("needed");
    let (cluster, daemon) = prepare(&scratch, server().0);
    let places = Places::of(&cluster, &scratch);
    let table = places.table.strip_prefix(&places.data).unwrap();
    for (place, named) in [
        (places.table.clone(), table.to_str().unwrap()),
        (places.data.join("pg_xact"), "./pg_xact"),
        (places.version.clone(), "is not a directory"),
        (places.data.join("global/pg_control"), "global/pg_control"),
    ] {
        is_refused(&daemon, Moved::linked(&scratch, &place), named);
    }
    let tablespace = fs::read_dir(places.data.join("pg_tblspc")).unwrap().next();
    for (place, named) in [
        (places.shop.join("PG_VERSION"), "the database shop"),
        (tablespace.unwrap().unwrap().path(), "the tablespace fast"),
    ] {
        is_refused(&daemon, Moved::away(&scratch, &place), named);
    }
    daemon.backup("primary");
}

fn what_is_not_needed_is_warned_of(scratch: &Scratch, cluster: &Cluster, daemon: &Daemon) {
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
