//! `annotate`, `retain` and `expunge`.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use super::c_program::{value, write_backup};
use crate::harness::{Cluster, Daemon, Faults, Process, Scratch, write_owned};

/// Runs a command that fails with this code of the management protocol.
fn fails(daemon: &Daemon, arguments: &[&str], code: u64, text: &str) {
    let arguments = [arguments, &["--format", "json"]].concat();
    let output = daemon.cli(&arguments).fails(1, text);
    assert_eq!(output.json()["Outcome"]["Error"], code, "{output}");
}

/// The comments that `info` shows.
fn comments(daemon: &Daemon, label: &str) -> Value {
    let output = daemon.cli(&["info", "primary", label, "--format", "json"]);
    output.ok().json()["Response"]["Annotations"].clone()
}

const FULL: &str = "20260101000000";
const CHILD: &str = "20260102000000";
const INVALID: &str = "20260103000000";

/// A daemon that has a full and an incremental backup of the C program, and an invalid one.
fn with_c_backups(scratch: &Scratch) -> Daemon {
    let cluster = Cluster::builder(scratch).create();
    let daemon = Daemon::builder(scratch).server("primary", &cluster).start();
    daemon.cli(&["list-backup", "primary"]).ok();
    write_backup(&daemon, FULL, "");
    write_backup(&daemon, CHILD, FULL);
    let invalid = write_backup(&daemon, INVALID, "").join("backup.info");
    let text = fs::read_to_string(&invalid).unwrap();
    write_owned(&invalid, text.replace("STATUS=1", "STATUS=0"));
    daemon
}

#[test]
fn any_text_can_be_a_comment_and_comes_back_unchanged() {
    let scratch = Scratch::new("annotate");
    let daemon = with_c_backups(&scratch);
    let path = daemon.base_dir().join("primary/backup").join(CHILD);
    let annotate = |arguments: &[&str]| {
        daemon
            .cli(&[&["annotate", "primary", CHILD], arguments].concat())
            .ok()
    };
    annotate(&["add", "mykey", "my value"]);
    assert_eq!(value(&path, "COMMENTS"), "mykey|my value");
    let texts = [
        "a,b|c=d",
        "two\nlines\t\\n",
        "%2C \\x2c \u{241b}2c",
        "größe '\"\u{1f40b}",
    ];
    for text in texts {
        annotate(&["add", text, text]);
    }
    annotate(&["update", "mykey", "other"]);
    let expected = |first: &[Value]| {
        let texts = texts
            .iter()
            .map(|text| json!({"Key": text, "Comment": text}));
        Value::Array(first.iter().cloned().chain(texts).collect())
    };
    let first = json!({"Key": "mykey", "Comment": "other"});
    assert_eq!(comments(&daemon, CHILD), expected(&[first]));
    let output = annotate(&["remove", "mykey"]);
    assert_eq!(comments(&daemon, CHILD), expected(&[]));
    assert!(output.stdout.contains("a,b|c=d: a,b|c=d\n"), "{output}");
    let listed = daemon.cli(&["list-backup", "primary"]).ok().stdout;
    assert!(listed.contains("  a,b|c=d: a,b|c=d; "), "{listed}");
    value(&path, "COMMENTS");
}

#[test]
fn a_change_of_comments_that_makes_no_sense_is_an_error_and_changes_nothing() {
    let scratch = Scratch::new("annotatebad");
    let daemon = with_c_backups(&scratch);
    let path = daemon.base_dir().join("primary/backup").join(CHILD);
    let add = ["annotate", "primary", CHILD, "add", "a,b", "c|d"];
    daemon.cli(&add).ok();
    let stored = value(&path, "COMMENTS");
    for (arguments, code, text) in [
        (&[CHILD, "add", "a,b", "x"][..], 2505, "already"),
        (&[CHILD, "add", "new"], 2505, "needs a comment"),
        (&[CHILD, "add", "new", ""], 2505, "needs a comment"),
        (&[CHILD, "add", "", "x"], 2505, "empty"),
        (&[CHILD, "update", "new", "x"], 2505, "there is no comment"),
        (&[CHILD, "remove", "new"], 2505, "there is no comment"),
        (&[CHILD, "change", "new", "x"], 2506, "neither add"),
        (
            &[CHILD, "add", "new", &"x".repeat(3000)],
            2505,
            "2047 are possible",
        ),
        (
            &["20200101000000", "add", "k", "x"],
            2500,
            "there is no backup",
        ),
        (
            &["../20260101000000", "add", "k", "x"],
            2500,
            "there is no backup",
        ),
    ] {
        fails(
            &daemon,
            &[&["annotate", "primary"], arguments].concat(),
            code,
            text,
        );
    }
    assert_eq!(value(&path, "COMMENTS"), stored);
    fails(
        &daemon,
        &["annotate", "nobody", CHILD, "add", "k", "x"],
        2501,
        "no server",
    );
}

#[test]
fn a_retained_chain_is_whole_and_an_invalid_backup_is_not_retained() {
    let scratch = Scratch::new("retain");
    let daemon = with_c_backups(&scratch);
    let backups = daemon.base_dir().join("primary/backup");
    let keep = || [FULL, CHILD].map(|label| value(&backups.join(label), "KEEP"));
    let run = |arguments: &[&str]| {
        let output = daemon.cli(&[arguments, &["--format", "json"]].concat());
        output.ok().json()["Response"].clone()
    };
    let reply = run(&["retain", "primary", "newest", "--cascade"]);
    assert_eq!(reply["Backups"], json!([CHILD, FULL]));
    assert_eq!([&reply["Keep"], &reply["Cascade"]], [true, true]);
    assert_eq!(keep(), ["1", "1"]);
    let reply = run(&["expunge", "primary", CHILD]);
    assert_eq!(reply["Backups"], json!([CHILD]));
    assert_eq!([&reply["Keep"], &reply["Cascade"]], [false, false]);
    assert_eq!(keep(), ["1", "0"]);
    run(&["expunge", "primary", CHILD, "--cascade"]);
    assert_eq!(keep(), ["0", "0"]);
    for (command, code) in [("retain", 1204), ("expunge", 1304)] {
        fails(
            &daemon,
            &[command, "primary", INVALID],
            code,
            "is not valid",
        );
        fails(
            &daemon,
            &[command, "primary", "2019"],
            code - 4,
            "there is no backup",
        );
        fails(&daemon, &[command, "nobody", FULL], code - 3, "no server");
    }
    fs::remove_dir_all(backups.join(FULL)).unwrap();
    let broken = ["retain", "primary", CHILD, "--cascade"];
    fails(&daemon, &broken, 1204, "which is not there");
    assert_eq!(value(&backups.join(CHILD), "KEEP"), "0");
}

#[test]
fn of_changes_at_the_same_time_none_is_lost_and_the_backup_remains_authentic() {
    let scratch = Scratch::new("annotatemany");
    let cluster = Cluster::builder(&scratch).start();
    let faults = Faults::new(&scratch, &scratch.join("moneta/repo/primary/basebackup"));
    let builder = Daemon::builder(&scratch)
        .global("encryption = aes")
        .server("primary", &cluster);
    let mut daemon = faults.daemon(builder).start_streaming();
    let label = daemon.backup("primary");
    let clients: Vec<Process> = (0..40)
        .map(|number| {
            let (key, text) = (format!("key{number}"), format!("text, {number}"));
            let mut command = match number % 10 {
                0 => daemon.cli_command(&["retain", "primary", &label]),
                _ => daemon.cli_command(&["annotate", "primary", "newest", "add", &key, &text]),
            };
            command.stdin(Stdio::null()).stdout(Stdio::null());
            Process::new(command.spawn().unwrap(), "pgmoneta-cli")
        })
        .collect();
    for mut client in clients {
        assert!(client.wait(60).success());
    }
    let found = comments(&daemon, &label);
    let found: BTreeSet<(&str, &str)> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| {
            (
                pair["Key"].as_str().unwrap(),
                pair["Comment"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(found.len(), 36);
    assert!(found.contains(&("key39", "text, 39")), "{found:?}");
    fails(
        &daemon,
        &["delete", "primary", "newest"],
        506,
        "is retained",
    );
    daemon.cli(&["verify", "primary", &label]).ok();

    refused_by_a_full_disk(&daemon, &faults, &label);
    refused_if_forged(&daemon, &label);
    daemon.stop();
}

fn refused_by_a_full_disk(daemon: &Daemon, faults: &Faults, label: &str) {
    let before = comments(daemon, label);
    faults.on("full");
    let add = ["annotate", "primary", label, "add", "more", "text"];
    fails(daemon, &add, 2503, "space");
    assert!(faults.happened("full"));
    faults.off("full");
    let long = "=".repeat(4000);
    let too_long = ["annotate", "primary", label, "add", "long", &long];
    fails(daemon, &too_long, 2505, "8000 are possible");
    assert_eq!(comments(daemon, label), before);
    daemon.cli(&add).ok();
}

/// A changed file does not become authentic by a change.
fn refused_if_forged(daemon: &Daemon, label: &str) {
    let path = daemon.backups("primary").join(label).join("backup.info");
    let text = fs::read_to_string(&path).unwrap();
    for forged in [
        text.replace("COMMENTS=", "COMMENTS=forged|1,"),
        text.lines()
            .filter(|line| !line.starts_with("HMAC="))
            .map(|line| format!("{line}\n"))
            .collect(),
    ] {
        write_owned(&path, &forged);
        let retain = ["retain", "primary", label, "--cascade"];
        fails(daemon, &retain, 1204, "cannot be changed");
        assert_eq!(fs::read_to_string(&path).unwrap(), forged);
    }
    write_owned(&path, &text);
    daemon.cli(&["verify", "primary", label]).ok();
}
