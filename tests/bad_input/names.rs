//! Names that mean to be elsewhere.

use std::fs;

use crate::harness::{Cluster, Daemon, Scratch, write_owned};

/// Names that no server and no backup has.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "..",
        ".",
        "../primary",
        "primary/..",
        "/etc",
        "a\nb",
        "primary\n",
        "",
        "*",
        "%s",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("x".repeat(300));
    names.push("9".repeat(300));
    names
}

#[test]
fn names_from_clients_lead_nowhere() {
    let scratch = Scratch::new("names");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    cluster.wait_streaming("pgmoneta");
    let label = daemon.backup("primary");
    let target = scratch.directory("target");
    let directory = target.to_str().unwrap();
    let files = || {
        let mut names: Vec<_> = fs::read_dir(scratch.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        names
    };
    let before = files();
    for name in names() {
        for arguments in [
            &["backup", &name][..],
            &["list-backup", &name],
            &["verify", &name, "newest"],
            &["info", "primary", &name],
            &["verify", "primary", &name],
            &["restore", "primary", &name, directory],
            &["restore", &name, "newest", directory],
        ] {
            let output = daemon.cli(arguments);
            assert!(
                output.status == 1 || output.status == 2,
                "{arguments:?}: {output}"
            );
            assert!(!output.stderr.is_empty(), "{arguments:?} says nothing");
        }
    }
    assert_eq!(files(), before);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    assert_eq!(daemon.labels("primary"), [label]);
    daemon.cli(&["ping"]).ok();
}

#[test]
fn directories_that_cannot_be_are_refused() {
    let scratch = Scratch::new("dirs");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    cluster.wait_streaming("pgmoneta");
    daemon.backup("primary");
    let file = scratch.write("file", "x").to_str().unwrap().to_owned();
    let long = scratch.join("x".repeat(300)).to_str().unwrap().to_owned();
    for directory in ["", "/proc/1", &file, &long] {
        let output = daemon.cli(&["restore", "primary", "newest", directory]);
        assert!(
            output.status == 1 || output.status == 2,
            "{directory:?}: {output}"
        );
    }

    // What is there stays: a target with something in it is refused.
    let label = daemon.labels("primary").pop().unwrap();
    let taken = scratch.directory("taken");
    let inside = scratch.directory(&format!("taken/primary-{label}"));
    write_owned(&inside.join("keep"), "mine");
    daemon
        .cli(&["restore", "primary", "newest", taken.to_str().unwrap()])
        .fails(1, "empty");
    assert_eq!(fs::read(inside.join("keep")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 1);
}

#[test]
fn a_newline_in_a_directory_is_a_name_like_another() {
    let scratch = Scratch::new("newline");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    cluster.wait_streaming("pgmoneta");
    daemon.backup("primary");
    let output = daemon.restore_output("primary", "newest", None, "a\nb");
    // Restored or refused, but not elsewhere and not half.
    let directory = daemon.directory().join("a\nb");
    let restored = fs::read_dir(&directory).unwrap().count();
    assert_eq!(output.status == 0, restored == 1, "{output}");
    assert!(!daemon.directory().join("a").exists());
}

#[test]
fn server_names_in_the_configuration_are_checked() {
    let scratch = Scratch::new("sections");
    let cluster = Cluster::builder(&scratch).create();
    for name in ["..", "a/b", "", &"x".repeat(300)] {
        let daemon = Daemon::builder(&scratch).server(name, &cluster).create();
        let output = crate::harness::Output::of(daemon.command().arg("--check-config"));
        assert_eq!(output.status, 1, "{name:?}: {output}");
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains("pgmoneta.conf:"), "{name:?}: {output}");
        let directory = daemon.directory().to_owned();
        drop(daemon);
        fs::remove_dir_all(directory).unwrap();
    }
}
