//! A `backup.info` that was changed, in a backup that is not encrypted.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Cluster, Daemon, Scratch, installed, write_owned};

/// A daemon with two backups, and WAL after them.
struct Setup {
    daemon: Daemon,
    _cluster: Cluster,
    _scratch: Scratch,
    label: String,
    /// `backup.info` of the newer backup, and its text.
    path: PathBuf,
    text: String,
}

impl Setup {
    fn new(major: Option<u32>) -> Setup {
        let scratch = Scratch::new("info");
        let mut builder = Cluster::builder(&scratch).wal_segment_mib(1);
        if let Some(major) = major {
            builder = builder.major(major);
        }
        let cluster = builder.start();
        let daemon = Daemon::builder(&scratch)
            .server("primary", &cluster)
            .start_streaming();
        daemon.backup("primary");
        let label = daemon.backup("primary");
        cluster.execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 1000) g");
        for _ in 0..3 {
            cluster.execute("INSERT INTO t VALUES (0)");
            cluster.execute("SELECT pg_switch_wal()");
        }
        cluster.wait_received("pgmoneta");
        let path = daemon.backups("primary").join(&label).join("backup.info");
        let text = fs::read_to_string(&path).unwrap();
        Setup {
            daemon,
            _cluster: cluster,
            _scratch: scratch,
            label,
            path,
            text,
        }
    }

    fn value(&self, key: &str) -> &str {
        let mut lines = self.text.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap()
    }

    /// A value as a position, moved by segments of 1 MiB.
    fn moved(&self, key: &str, segments: i64) -> String {
        let (high, low) = self.value(key).split_once('/').unwrap();
        let low = i64::from_str_radix(low, 16).unwrap() + (segments << 20);
        format!("{high}/{low:X}")
    }

    fn set(&self, key: &str, value: &str) {
        let line = |line: &str| match line.strip_prefix(key) {
            Some(rest) if rest.starts_with('=') => format!("{key}={value}\n"),
            _ => format!("{line}\n"),
        };
        let changed: String = self.text.lines().map(line).collect();
        assert_ne!(changed, self.text, "{key}={value}");
        write_owned(&self.path, changed);
    }

    /// Asserts that verify, restore and its dry run refuse the backup because of a value.
    fn assert_refused(&self, key: &str, value: &str) {
        self.set(key, value);
        let texts = [
            format!("{key} is {value}, and "),
            format!(" is {}", self.value(key)),
        ];
        let verify = ["verify", "primary", &self.label, "--format", "json"];
        let verify = self.daemon.cli(&verify).fails(1, &texts[0]);
        let files = &verify.json()["Response"]["Files"]["Failed"];
        let named = |file: &serde_json::Value| file["FileName"] == "backup.info";
        assert!(files.as_array().unwrap().iter().any(named), "{verify}");
        let into = self.daemon.directory().join(format!("{key}-{value}"));
        let into = into.to_str().unwrap().replace("0/", "");
        for arguments in [
            &[&self.label, "--dry-run"][..],
            &[&self.label],
            &["newest", "immediate"],
        ] {
            let arguments = [&["restore", "primary"], arguments, &[&into]].concat();
            let mut output = self.daemon.cli(&arguments);
            for text in &texts {
                output = output.fails(1, text);
            }
            assert!(output.stderr.contains("backup.info"), "{output}");
            assert!(fs::metadata(&into).is_err(), "{into}");
        }
    }

    fn assert_good(&self) {
        write_owned(&self.path, &self.text);
        self.daemon.cli(&["verify", "primary", &self.label]).ok();
        self.daemon
            .restore("primary", "newest", Some("current"), "restored");
    }
}

#[test]
fn a_backup_info_that_contradicts_the_backup_is_refused() {
    let setup = Setup::new(None);
    for (key, value) in [
        ("START_WALPOS", setup.moved("START_WALPOS", 1)),
        ("START_WALPOS", setup.moved("START_WALPOS", -1)),
        ("END_WALPOS", setup.moved("END_WALPOS", -1)),
        ("END_WALPOS", setup.moved("END_WALPOS", 1)),
        ("CHKPT_WALPOS", setup.moved("CHKPT_WALPOS", 1)),
        ("START_TIMELINE", "3".to_owned()),
        ("END_TIMELINE", "3".to_owned()),
        ("MAJOR_VERSION", "12".to_owned()),
        ("SYSTEM_IDENTIFIER", "7".to_owned()),
    ] {
        setup.assert_refused(key, &value);
    }
    setup.assert_good();
}

#[test]
fn a_system_identifier_that_contradicts_the_manifest_of_the_server_is_refused() {
    for major in [17, 18] {
        if installed(major).is_some() {
            let setup = Setup::new(Some(major));
            setup.assert_refused("SYSTEM_IDENTIFIER", "7");
            setup.assert_refused("END_WALPOS", &setup.moved("END_WALPOS", -1));
            setup.assert_good();
        }
    }
}

#[test]
fn the_warning_about_a_changed_backup_info_says_what_can_be_the_cause() {
    let setup = Setup::new(None);
    setup.set("COMMENTS", "a note");
    let mut output = setup.daemon.cli(&["verify", "primary", &setup.label]).ok();
    output.stdout = output
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let means =
        "either the backup was made with another master key, or its backup.info was changed";
    assert!(output.stdout.contains(means), "{output}");
    assert!(!output.stdout.contains("cannot be detected"), "{output}");
}
