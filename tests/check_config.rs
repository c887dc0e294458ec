//! `pgmoneta --check-config`: a valid file has no problems, and all problems of an invalid one are
//! reported.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Output, Scratch, program, user};

const RECORD: &str = "repl:EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK50hbe/KF2Sfr7Lx5CtXiwnGRu0VXg==\n";

/// A directory with a users file and a directory for the socket.
fn scratch_with_users() -> Scratch {
    let scratch = Scratch::new("check");
    scratch.write("pgmoneta_users.conf", RECORD);
    scratch.directory("run");
    scratch
}

fn check(scratch: &Scratch, arguments: &[&str]) -> Output {
    let mut command = user().command(program("pgmoneta"));
    command.arg("--check-config").args(arguments);
    Output::of(command.env("PGMONETA_CONFIG_DIR", scratch.path()))
}

/// The sample file, with the paths changed to directories in `scratch`.
fn sample(scratch: &Scratch) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/pgmoneta.conf");
    let run = scratch.join("run").display().to_string();
    let text = fs::read_to_string(path).unwrap();
    text.replace("/run/pgmoneta", &run)
        .replace("/var/lib/pgmoneta", &format!("{run}/backup"))
}

#[test]
fn the_sample_file_has_no_problems() {
    let scratch = scratch_with_users();
    scratch.write("pgmoneta.conf", sample(&scratch));
    let checked = check(&scratch, &[]).ok();
    assert_eq!(checked.stderr, "", "no warnings");
    assert!(
        checked.stdout.contains("no problems, one server"),
        "{checked}"
    );
    assert!(
        !scratch.join("run/backup").exists(),
        "a check creates nothing"
    );
}

#[test]
fn a_toml_file_is_found_and_valid() {
    let scratch = scratch_with_users();
    let run = scratch.join("run");
    let text = format!(
        "[pgmoneta]\nhost = 'localhost'\nbase_dir = '{0}/backup'\nunix_socket_dir = '{0}'\n\
         [server.primary]\nhost = 'localhost'\nport = 5432\nuser = 'repl'\nwal_slot = 'moneta'\n",
        run.display()
    );
    scratch.write("pgmoneta.toml", text);
    check(&scratch, &[]).ok();
}

#[test]
fn all_problems_are_reported_with_their_lines() {
    let scratch = scratch_with_users();
    let text = sample(&scratch)
        .replace("workers = 0", "wokers = 0")
        .replace("port = 5432", "port = 543200")
        .replace("user = repl", "user = repl\ntls = verify")
        .replace("encryption = none", "encryption = rot13\nmetrics = 5001");
    let path = scratch.write("pgmoneta.conf", &text);
    let checked = check(&scratch, &["-c", path.to_str().unwrap()]).fails(1, "");
    let line = |key: &str| 1 + text.lines().position(|line| line.starts_with(key)).unwrap();
    for (key, what) in [
        ("encryption", "\"rot13\" is not one of none, aes-256-gcm"),
        ("wokers", "there is no such option"),
        ("port", "\"543200\" is not an integer from 1 to 65535"),
        ("tls", "verify needs a tls_ca_file"),
    ] {
        let expected = format!("{}:{}: {key}: {what}", path.display(), line(key));
        assert!(
            checked.stderr.contains(&expected),
            "no {expected:?} in {checked}"
        );
    }
    assert!(
        checked.stderr.contains("did you mean workers?"),
        "{checked}"
    );
    assert_eq!(checked.stdout, "");
}

#[test]
fn a_role_that_is_not_in_the_users_file_is_a_problem() {
    let scratch = scratch_with_users();
    scratch.write(
        "pgmoneta.conf",
        sample(&scratch).replace("user = repl", "user = other"),
    );
    check(&scratch, &[]).fails(1, "-U other user add");
}

#[test]
fn missing_and_ambiguous_files_are_named() {
    let scratch = scratch_with_users();
    check(&scratch, &["-c", "/no/such/file"]).fails(1, "/no/such/file");
    check(&scratch, &["-D", "/no/such/directory"]).fails(1, "/no/such/directory");
    scratch.write("pgmoneta.conf", sample(&scratch));
    scratch.write("pgmoneta.toml", "");
    check(&scratch, &[]).fails(1, "there are both");
    check(&scratch, &["--config"]).fails(2, "--config");
}
