//! Tablespaces that were created after the backup: recovery creates them at their original path,
//! which a server may use.

use std::fs;

use postgres::types::PgLsn;
use serde_json::Value;

use super::scenario::unique;
use crate::harness::{Cluster, Daemon, Scratch, installed, user, write_owned};

struct LaterTablespaces {
    scratch: Scratch,
    cluster: Cluster,
    daemon: Daemon,
    /// The end of WAL before the tablespaces were created.
    before: PgLsn,
}

impl LaterTablespaces {
    /// A backup, then a tablespace `gone` that is dropped, an in-place tablespace where supported,
    /// and `later` with a table of ten rows.
    fn new(major: u32) -> LaterTablespaces {
        let scratch = Scratch::new("later");
        let cluster = Cluster::builder(&scratch).major(major).start();
        let daemon = Daemon::builder(&scratch)
            .server("primary", &cluster)
            .start_streaming();
        daemon.backup("primary");
        cluster.execute("CREATE TABLE t (n int)");
        let before = cluster.flush_lsn();
        for name in ["gone", "later"] {
            let at = scratch.directory(name);
            let at = at.display();
            cluster.execute(&format!("CREATE TABLESPACE {name} LOCATION '{at}'"));
        }
        cluster.execute("DROP TABLESPACE gone");
        if major >= 15 {
            let mut client = cluster.connect("postgres");
            for sql in [
                "SET allow_in_place_tablespaces = on",
                "CREATE TABLESPACE inside LOCATION ''",
            ] {
                client.batch_execute(sql).unwrap();
            }
        }
        cluster
            .execute("CREATE TABLE far TABLESPACE later AS SELECT g FROM generate_series(1, 10) g");
        cluster.wait_received("pgmoneta");
        LaterTablespaces {
            scratch,
            cluster,
            daemon,
            before,
        }
    }

    fn assert_refused(&self, what: &str) {
        let place = self.scratch.join(what);
        for more in [&[][..], &["--dry-run"]] {
            let into = self.scratch.directory(&unique("no"));
            let mut arguments = vec!["restore", "primary", "newest", "current"];
            arguments.push(into.to_str().unwrap());
            arguments.extend(more);
            self.daemon
                .cli(&arguments)
                .fails(1, "recovery would create the tablespace")
                .fails(1, &format!("in {}, where it was", place.display()))
                .fails(1, "restore on another host");
            assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
        }
    }

    /// Restores to the end of WAL; returns the data directory and the warnings.
    fn restore_warnings(&self) -> (std::path::PathBuf, Vec<String>) {
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
fn a_tablespace_created_after_the_backup_does_not_overwrite_a_live_server() {
    for major in [13, 15, 18] {
        if installed(major).is_none() {
            continue;
        }
        let mut later = LaterTablespaces::new(major);
        later.assert_refused("later");
        // A tablespace that is created and dropped during recovery is refused too.
        write_owned(&later.scratch.join("gone/mine"), "x");
        later.assert_refused("gone");
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
        let (_, warnings) = later.restore_warnings();
        let says = |text: &str| warnings.iter().any(|warning| warning.contains(text));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(says("gone, where it was on the server"), "{warnings:?}");
        assert!(says("later, which does not exist here"), "{warnings:?}");
        fs::create_dir(&place).unwrap();
        user().chown(&place);
        let (data, warnings) = later.restore_warnings();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let mut restored = Cluster::adopt(&later.scratch, major, data);
        restored.start();
        restored.wait_primary(60);
        assert_eq!(restored.count("far"), 10);
        restored.stop();
    }
}
