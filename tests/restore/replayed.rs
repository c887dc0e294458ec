//! Tablespaces that were made after the backup: recovery makes them at their old path, where a server may live.

use std::fs;

use serde_json::Value;

use super::story::unique;
use crate::harness::{Cluster, Daemon, Scratch, installed, user, write_owned};

struct Later {
    scratch: Scratch,
    cluster: Cluster,
    daemon: Daemon,
    /// Before the tablespaces were made.
    before: String,
}

impl Later {
    /// A backup, then a tablespace `gone` that is dropped again, one in place where there are such, and one with a table
    /// of ten rows, `later`.
    fn new(major: u32) -> Later {
        let scratch = Scratch::new("later");
        let cluster = Cluster::builder(&scratch).major(major).start();
        let daemon = Daemon::builder(&scratch)
            .server("primary", &cluster)
            .start();
        cluster.wait_streaming("pgmoneta");
        daemon.backup("primary");
        cluster.sql("CREATE TABLE t (n int)");
        let before = cluster.sql("SELECT pg_current_wal_lsn()");
        for name in ["gone", "later"] {
            let at = scratch.directory(name);
            let at = at.display();
            cluster.sql(&format!("CREATE TABLESPACE {name} LOCATION '{at}'"));
        }
        cluster.sql("DROP TABLESPACE gone");
        if major >= 15 {
            let inside = cluster
                .psql("postgres")
                .args(["-c", "SET allow_in_place_tablespaces = on"])
                .args(["-c", "CREATE TABLESPACE inside LOCATION ''"])
                .status();
            assert!(inside.unwrap().success());
        }
        cluster.sql("CREATE TABLE far TABLESPACE later AS SELECT g FROM generate_series(1, 10) g");
        cluster.wait_received("pgmoneta");
        Later {
            scratch,
            cluster,
            daemon,
            before,
        }
    }

    fn refused(&self, what: &str) {
        let place = self.scratch.join(what);
        for more in [&[][..], &["--dry-run"]] {
            let into = self.scratch.directory(&unique("no"));
            let mut arguments = vec!["restore", "primary", "newest", "current"];
            arguments.push(into.to_str().unwrap());
            arguments.extend(more);
            self.daemon
                .cli(&arguments)
                .fails(1, "recovery would make the tablespace")
                .fails(1, &format!("in {}, where it was", place.display()))
                .fails(1, "restore on another host");
            assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
        }
    }

    /// Restores to the end; what the plan warns of.
    fn warned(&self) -> (std::path::PathBuf, Vec<String>) {
        let into = self.scratch.directory(&unique("w"));
        let at = into.to_str().unwrap();
        let arguments = ["restore", "primary", "newest", "current", at, "-F", "json"];
        let answer = self.daemon.cli(&arguments).ok().json();
        let answer = &answer["Response"];
        let Value::Array(warnings) = &answer["Warnings"] else {
            panic!("no warnings in {answer}");
        };
        let warnings = warnings
            .iter()
            .map(|text| text.as_str().unwrap().to_owned());
        let target = answer["Plan"]["Target"].as_str().unwrap();
        (target.into(), warnings.collect())
    }
}

#[test]
fn a_tablespace_that_is_made_later_does_not_reach_into_a_live_server() {
    for major in [13, 15, 18] {
        if installed(major).is_none() {
            continue;
        }
        let mut later = Later::new(major);
        later.refused("later");
        // Created and dropped on the way counts too.
        write_owned(&later.scratch.join("gone/mine"), "x");
        later.refused("gone");
        fs::remove_file(later.scratch.join("gone/mine")).unwrap();
        let before = format!("lsn={}", later.before);
        let into = unique("before");
        later
            .daemon
            .restore("primary", "newest", Some(&before), &into);

        // On another host.
        later.cluster.stop();
        let place = later.scratch.join("later");
        fs::rename(&place, later.scratch.join("live")).unwrap();
        let (_, warnings) = later.warned();
        let says = |text: &str| warnings.iter().any(|warning| warning.contains(text));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(says("gone, where it was on the server"), "{warnings:?}");
        assert!(says("later, which does not exist here"), "{warnings:?}");
        fs::create_dir(&place).unwrap();
        user().own(&place);
        let (data, warnings) = later.warned();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let mut restored = Cluster::adopt(&later.scratch, major, data);
        restored.start();
        restored.wait_primary(60);
        assert_eq!(restored.sql("SELECT count(*) FROM far"), "10");
        restored.stop();
    }
}
