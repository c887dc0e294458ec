//! The output and exit status of the client.

use crate::harness::{Cluster, Daemon, Output, Scratch, streaming_daemon};

#[test]
fn exit_statuses_distinguish_success_failure_usage_and_no_daemon() {
    let scratch = Scratch::new("status");
    let cluster = Cluster::builder(&scratch).create();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    daemon.cli(&["ping"]).fails(3, "no daemon");
    let output = daemon.cli(&["ping", "-F", "json"]).fails(3, "no daemon");
    assert_eq!(output.json()["Header"]["Command"], "ping");
    assert_eq!(output.json()["Outcome"]["Status"], false);
    daemon.start();
    daemon.cli(&["ping"]).ok();
    daemon
        .cli(&["list-backup", "nobody"])
        .fails(1, "there is no server \"nobody\"");
    daemon
        .cli(&["info", "primary", "newest"])
        .fails(1, "backup");
    daemon.cli(&["conf", "ls"]).fails(1, "not implemented");
    for arguments in [
        &["nonsense"][..],
        &["backup"],
        &["ping", "--nonsense"],
        &["-F", "xml", "ping"],
        &["-h", "localhost", "-p", "5002", "ping"],
        &["restore", "primary", "newest", "/x", "--tablespace", "1"],
    ] {
        let output = daemon.cli(arguments);
        assert_eq!(output.status, 2, "{arguments:?}: {output}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{arguments:?}: {output}"
        );
        // With JSON output the error is printed as a document too.
        let json = [arguments, &["--format", "json"]].concat();
        let output = daemon.cli(&json);
        if arguments[0] != "-F" {
            assert_eq!(output.status, 2, "{json:?}: {output}");
            let outcome = &output.json()["Outcome"];
            assert_eq!(outcome["Status"], false, "{json:?}");
            assert!(outcome["Message"].is_string(), "{json:?}: {output}");
        }
    }
    let mut command = daemon.program("pgmoneta-cli");
    Output::of(command.args(["-c", "/nonexistent.conf", "ping"])).fails(2, "nonexistent");
    Output::of(daemon.program("pgmoneta-cli").arg("-V")).ok();
}

#[test]
fn errors_are_printed_on_standard_error_with_a_hint() {
    let scratch = Scratch::new("stderr");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    let output = daemon.cli(&["list-backup", "nobody"]);
    assert_eq!(output.stdout, "");
    assert_eq!(
        output.stderr,
        "pgmoneta-cli: there is no server \"nobody\"\nhint: the configuration has primary\n"
    );
    let output = daemon.cli(&["list-backup", "nobody", "--format", "json"]);
    assert_eq!(output.status, 1);
    assert_eq!(output.json()["Outcome"]["Error"], 304);
    let output = daemon.cli(&["-v", "list-backup", "nobody"]);
    assert_eq!(output.stdout, "Error (304)\n");
    assert!(
        daemon
            .cli(&["-v", "ping"])
            .ok()
            .stdout
            .ends_with("Success (0)\n")
    );
}

#[test]
fn every_compression_and_encryption_of_messages_works() {
    let scratch = Scratch::new("codecs");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    for compression in ["none", "gz", "zstd", "lz4", "bz2"] {
        for encryption in ["none", "aes256", "aes192", "aes128"] {
            let codec = ["-C", compression, "-E", encryption];
            let output =
                daemon.cli(&[&codec[..], &["-F", "json", "list-backup", "primary"]].concat());
            let document = output.ok().json();
            assert_eq!(document["Outcome"]["Status"], true);
            let name = match encryption {
                "none" => "none".to_owned(),
                aes => format!("aes-{}-gcm", &aes[3..]),
            };
            assert_eq!(document["Header"]["Encryption"], name.as_str());
        }
    }
}

#[test]
fn the_default_output_of_status_is_text() {
    let (_scratch, _cluster, daemon) = streaming_daemon("people");
    let text = daemon.cli(&["status"]).ok().stdout;
    assert!(text.starts_with("Repository: "), "{text}");
    for line in [
        "Server primary",
        "  WAL         streaming, timeline 1, ",
        "  Running     nothing",
    ] {
        assert!(
            text.lines().any(|printed| printed.starts_with(line)),
            "no {line:?} in {text}"
        );
    }
    assert_eq!(
        daemon
            .cli(&["list-backup", "primary"])
            .ok()
            .stdout
            .lines()
            .count(),
        1
    );
}

#[test]
fn an_unknown_server_is_reported_before_other_errors() {
    let scratch = Scratch::new("unknown");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    for (line, code) in [
        (&["mode", "nobody", "offline"][..], 2800),
        (&["delete", "nobody", "oldest"], 403),
        (&["archive", "nobody", "newest", "/a"], 901),
        (&["retain", "nobody", "newest"], 1201),
        (&["expunge", "nobody", "newest"], 1301),
        (&["annotate", "nobody", "newest", "add", "k", "c"], 2501),
        (&["s3", "ls", "nobody"], 2900),
        (&["s3", "restore", "nobody", "p", "/d"], 3100),
        (&["backup", "nobody", "20261122140000"], 111),
        (&["list-backup", "nobody"], 304),
        (&["info", "nobody", "newest"], 2201),
        (&["verify", "nobody", "newest"], 800),
        (&["restore", "nobody", "newest", "nonsense", "/r"], 603),
        (&["progress", "nobody"], 3000),
    ] {
        let output = daemon.cli(&[line, &["--format", "json"]].concat());
        let output = output.fails(1, "there is no server");
        assert_eq!(output.json()["Outcome"]["Error"], code, "{line:?}");
        assert_eq!(output.json()["Outcome"]["Workflow"], "main");
    }
    for line in [&["mode", "primary", "offline"][..], &["conf", "ls"]] {
        daemon.cli(line).fails(1, "not implemented");
    }
}
