//! Names of servers, backups and directories that would lead to other paths.

use std::fs;

use crate::harness::{Cluster, Daemon, Scratch, streaming_daemon, write_owned};

/// Invalid names of servers and backups.
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
fn invalid_names_from_clients_are_refused() {
    let (scratch, _cluster, daemon) = streaming_daemon("names");
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
            assert!(!output.stderr.is_empty(), "{arguments:?} prints no error");
        }
    }
    assert_eq!(files(), before);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    assert_eq!(daemon.labels("primary"), [label]);
    daemon.cli(&["ping"]).ok();
}

#[test]
fn invalid_restore_directories_are_refused() {
    let (scratch, _cluster, daemon) = streaming_daemon("dirs");
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

    // A target directory that is not empty is refused and not changed.
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
fn a_restore_directory_may_contain_a_newline() {
    let (_scratch, _cluster, daemon) = streaming_daemon("newline");
    daemon.backup("primary");
    let output = daemon.restore_output("primary", "newest", None, "a\nb");
    // Either completely restored, or refused; never to another directory.
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
        let printed = format!("{}{}", output.stdout, output.stderr);
        assert!(printed.contains("pgmoneta.conf:"), "{name:?}: {output}");
        let directory = daemon.directory().to_owned();
        drop(daemon);
        fs::remove_dir_all(directory).unwrap();
    }
}
