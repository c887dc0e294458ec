//! Restore points with any name that PostgreSQL accepts, and times, are valid targets.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::scenario::{last_row, unique};
use crate::harness::{Cluster, Daemon, Output, Scratch, server};

#[test]
fn restore_points_of_any_name_and_dates_alone_are_reached() {
    let scratch = Scratch::new("names");
    let cluster = Cluster::builder(&scratch).template_databases().start();
    let daemon = Daemon::builder(&scratch)
        .env("TZ", "UTC")
        .server("primary", &cluster)
        .start_streaming();
    cluster.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (0)");
    cluster.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0");
    daemon.backup("primary");
    let names: [(&str, &[u8]); 5] = [
        ("a,b", b"name=a,b"),
        (" blank", b"name= blank"),
        (r"caf\351", b"name=caf\xE9"),
        ("x,replica", br"name=x\,replica"),
        ("last", br"name=l\x61st,timeline=1"),
    ];
    for (row, (name, _)) in (1..).zip(names) {
        cluster.execute(&format!("INSERT INTO t VALUES ({row})"));
        let point = format!("SELECT pg_create_restore_point(E'{name}')");
        cluster.connect("bytes").batch_execute(&point).unwrap();
    }
    cluster.execute("INSERT INTO t VALUES (6)");
    cluster.wait_received("pgmoneta");
    for (row, (_, position)) in (1..).zip(names) {
        let into = scratch.directory(&unique("n"));
        let mut command = daemon.cli_command(&["restore", "primary", "newest"]);
        command
            .arg(OsString::from_vec(position.to_vec()))
            .arg(&into);
        let answer = Output::of(command.args(["-F", "json"])).ok().json();
        // Only three of the five are started.
        if row == 2 || row == 5 {
            continue;
        }
        let data = answer["Response"]["Plan"]["Target"].as_str().unwrap();
        let mut restored = Cluster::adopt(&scratch, server().0, data);
        restored.start();
        restored.wait_primary(60);
        assert_eq!(last_row(&restored), row.to_string(), "{answer}");
        restored.stop();
    }
    let refused = |position: &str, text: &str| {
        let arguments = ["restore", "primary", "newest", position, "/tmp"];
        daemon.cli(&arguments).fails(1, text);
    };
    refused("name=a,b,c", "\"a,b,c\" cannot be reached");
    refused("time=2001-01-31", "2001-01-31 00:00:00");
    refused("time=2001-01-31", "before the end of the backup");
    refused("time=2099-12-31 Europe/Berlin", "2099-12-30 23:00:00");
}
