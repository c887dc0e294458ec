//! The client, as people and scripts see it.

use crate::harness::{Cluster, Daemon, Output, Scratch};

#[test]
fn exit_statuses_say_what_happened() {
    let scratch = Scratch::new("status");
    let cluster = Cluster::builder(&scratch).create();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    daemon.cli(&["ping"]).fails(3, "no daemon");
    daemon.start();
    daemon.cli(&["ping"]).ok();
    daemon
        .cli(&["list-backup", "nobody"])
        .fails(1, "there is no server \"nobody\"");
    daemon
        .cli(&["info", "primary", "newest"])
        .fails(1, "backup");
    daemon
        .cli(&["delete", "primary", "oldest"])
        .fails(1, "not there yet");
    for wrong in [
        &["nonsense"][..],
        &["backup"],
        &["ping", "--nonsense"],
        &["-F", "xml", "ping"],
        &["-h", "localhost", "-p", "5002", "ping"],
        &["restore", "primary", "newest", "/x", "--tablespace", "1"],
    ] {
        let output = daemon.cli(wrong);
        assert_eq!(output.status, 2, "{wrong:?}: {output}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{wrong:?}: {output}"
        );
    }
    let mut command = daemon.program("pgmoneta-cli");
    Output::of(command.args(["-c", "/nonexistent.conf", "ping"])).fails(2, "nonexistent");
    Output::of(daemon.program("pgmoneta-cli").arg("-V")).ok();
}

#[test]
fn failures_are_on_standard_error_with_a_hint() {
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
fn every_wire_codec_works() {
    let scratch = Scratch::new("codecs");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    for compression in ["none", "gz", "zstd", "lz4", "bz2"] {
        for encryption in ["none", "aes256", "aes192", "aes128"] {
            let output = daemon.cli(&["-C", compression, "-E", encryption, "-F", "json", "status"]);
            let document = output.ok().json();
            assert_eq!(document["Outcome"]["Status"], true);
            let word = match encryption {
                "none" => "none".to_owned(),
                aes => format!("aes-{}-gcm", &aes[3..]),
            };
            assert_eq!(document["Header"]["Encryption"], word.as_str());
        }
    }
}

#[test]
fn status_is_for_people_by_default() {
    let scratch = Scratch::new("people");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    cluster.wait_streaming("pgmoneta");
    let text = daemon.cli(&["status"]).ok().stdout;
    assert!(text.starts_with("Repository: "), "{text}");
    for line in [
        "Server primary",
        "  WAL         streaming, timeline 1, ",
        "  Running     nothing",
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
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
