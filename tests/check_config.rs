//! `pgmoneta --check-config`: a valid file has no problems, all problems of an invalid one are
//! reported, and what the start refuses is a problem.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{
    Output, REPLICATION_PASSWORD, Scratch, copy_vault, make, program, user, write_owned,
};

/// A user whose password is encrypted with another master key.
const RECORD: &str = "repl:EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK50hbe/KF2Sfr7Lx5CtXiwnGRu0VXg==\n";

/// A directory with a master key, a users file, a directory for the socket, and a repository in it.
fn prepare() -> Scratch {
    let scratch = Scratch::new("check");
    scratch.directory("run");
    scratch.directory("home");
    copy_vault(scratch.path(), REPLICATION_PASSWORD);
    let repository = scratch.join("run/backup");
    let arguments = ["repository", "create", repository.to_str().unwrap()];
    Output::of(command(&scratch, "pgmoneta-admin").args(arguments)).ok();
    scratch
}

fn command(scratch: &Scratch, name: &str) -> Command {
    let mut command = user().command(program(name));
    command.env("HOME", scratch.join("home"));
    command.env("PGMONETA_CONFIG_DIR", scratch.path());
    command
}

fn check(scratch: &Scratch, arguments: &[&str]) -> Output {
    let mut command = command(scratch, "pgmoneta");
    Output::of(command.arg("--check-config").args(arguments))
}

/// The sample file, with the paths changed to directories in `scratch`.
fn sample(scratch: &Scratch) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/pgmoneta.conf");
    let run = scratch.join("run").display().to_string();
    let text = fs::read_to_string(path).unwrap();
    text.replace("/run/pgmoneta", &run)
        .replace("/var/lib/pgmoneta", &format!("{run}/backup"))
        .replace("/var/log/pgmoneta", &run)
}

/// The names of all files and directories.
fn names(directory: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(self::names(&path));
        }
        names.push(path);
    }
    names.sort();
    names
}

#[test]
fn the_sample_file_has_no_problems() {
    let scratch = prepare();
    scratch.write("pgmoneta.conf", sample(&scratch));
    let before = names(scratch.path());
    let checked = check(&scratch, &[]).ok();
    assert_eq!(checked.stderr, "", "no warnings");
    assert!(
        checked.stdout.contains("no problems, one server"),
        "{checked}"
    );
    assert_eq!(names(scratch.path()), before, "a check creates nothing");
}

#[test]
fn a_toml_file_is_found_and_valid() {
    let scratch = prepare();
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
    let scratch = prepare();
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
    let scratch = prepare();
    scratch.write(
        "pgmoneta.conf",
        sample(&scratch).replace("user = repl", "user = other"),
    );
    check(&scratch, &[]).fails(1, "-U other user add");
}

#[test]
fn missing_and_ambiguous_files_are_named() {
    let scratch = prepare();
    check(&scratch, &["-c", "/no/such/file"]).fails(1, "/no/such/file");
    check(&scratch, &["-D", "/no/such/directory"]).fails(1, "/no/such/directory");
    scratch.write("pgmoneta.conf", sample(&scratch));
    scratch.write("pgmoneta.toml", "");
    check(&scratch, &[]).fails(1, "there are both");
    check(&scratch, &["--config"]).fails(2, "--config");
}

/// A change of the files, from the sample, after which the start refuses with a text.
type Refusal = (&'static str, fn(&Scratch, &str) -> String);

/// Writes a file, and leaves the configuration as it is.
fn with_file(scratch: &Scratch, text: &str, name: &str, content: &str) -> String {
    write_owned(&scratch.join(name), content);
    text.to_owned()
}

const REFUSALS: &[Refusal] = &[
    ("master.key", |scratch, text| {
        fs::remove_file(scratch.join("home/.pgmoneta/master.key")).unwrap();
        text.to_owned()
    }),
    ("can be decrypted with this master key", |scratch, text| {
        with_file(scratch, text, "pgmoneta_users.conf", RECORD)
    }),
    ("pgmoneta_users.conf:2", |scratch, text| {
        let path = scratch.join("pgmoneta_users.conf");
        let users = fs::read_to_string(path).unwrap() + "not a record\n";
        with_file(scratch, text, "pgmoneta_users.conf", &users)
    }),
    ("pgmoneta_admins.conf:1", |scratch, text| {
        with_file(scratch, text, "pgmoneta_admins.conf", "not a record\n")
    }),
    ("-U other user add", |_, text| {
        text.replace("user = repl", "user = other")
    }),
    ("repository create", |scratch, text| {
        fs::remove_dir_all(scratch.join("run/backup")).unwrap();
        text.to_owned()
    }),
    ("has no repository.info", |scratch, text| {
        make(&scratch.join("empty"));
        text.replace("/run/backup", "/empty")
    }),
    (
        "backup/.lock: it does not contain a process ID",
        |scratch, text| with_file(scratch, text, "run/backup/.lock", "some text\n"),
    ),
    (
        "pgmoneta.localhost.pid: it does not contain",
        |scratch, text| with_file(scratch, text, "run/pgmoneta.localhost.pid", "some text\n"),
    ),
    (".s.pgmoneta.lock: it does not contain", |scratch, text| {
        with_file(scratch, text, "run/.s.pgmoneta.lock", "some text\n")
    }),
    ("not a socket of this user", |scratch, text| {
        with_file(scratch, text, "run/.s.pgmoneta", "some text\n")
    }),
    ("create directory", |scratch, text| {
        with_file(scratch, text, "run/backup/primary", "some text\n")
    }),
    ("backup/primary/wal", |scratch, text| {
        let directory = scratch.join("run/backup/primary");
        make(&directory);
        fs::set_permissions(directory, Permissions::from_mode(0o500)).unwrap();
        text.to_owned()
    }),
    ("backup/primary/wal", |scratch, text| {
        // An earlier start has recorded the server.
        let info = scratch.join("run/backup/repository.info");
        let recorded = fs::read_to_string(&info).unwrap() + "SERVER=primary\n";
        write_owned(&info, recorded);
        for name in ["", "wal", "basebackup"] {
            make(&scratch.join("run/backup/primary").join(name));
        }
        let directory = scratch.join("run/backup/primary/wal");
        fs::set_permissions(directory, Permissions::from_mode(0o000)).unwrap();
        text.to_owned()
    }),
    ("open log file", |_, text| {
        text.replace("log_path = ", "log_path = /nowhere")
    }),
    ("open log file", |scratch, text| {
        make(&scratch.join("run/pgmoneta.log"));
        text.to_owned()
    }),
    ("the maximum is 103", |scratch, text| {
        // The limit was longer where only the configuration was checked.
        let length = 105 - scratch.path().as_os_str().len() - "/.s.pgmoneta".len() - 1;
        let name = "d".repeat(length);
        make(&scratch.join(&name));
        let run = format!("unix_socket_dir = {}", scratch.join("run").display());
        text.replace(
            &run,
            &format!("unix_socket_dir = {}", scratch.join(name).display()),
        )
    }),
    ("mkdir -m 0700", |_, text| {
        text.replace("unix_socket_dir = ", "unix_socket_dir = /nowhere")
    }),
];

#[test]
fn what_the_start_refuses_is_reported() {
    for (expected, change) in REFUSALS {
        let scratch = prepare();
        let text = change(&scratch, &sample(&scratch));
        scratch.write("pgmoneta.conf", text);
        let before = names(scratch.path());
        check(&scratch, &[]).fails(1, expected);
        assert_eq!(names(scratch.path()), before, "a check creates nothing");
        Output::of(&mut command(&scratch, "pgmoneta")).fails(1, expected);
    }
}

#[test]
fn a_detached_daemon_with_a_log_on_the_console_is_reported() {
    let scratch = prepare();
    let text = sample(&scratch).replace("log_type = file", "log_type = console");
    scratch.write("pgmoneta.conf", text);
    let expected = "a detached daemon cannot log to the console";
    check(&scratch, &["-d"]).fails(1, expected);
    Output::of(command(&scratch, "pgmoneta").arg("-d")).fails(1, expected);
    check(&scratch, &[]).ok();
}

#[test]
fn all_that_the_start_refuses_is_reported_at_once() {
    let scratch = prepare();
    scratch.write("pgmoneta.conf", sample(&scratch));
    scratch.write("pgmoneta_users.conf", RECORD);
    fs::remove_dir_all(scratch.join("run/backup")).unwrap();
    scratch.write("run/.s.pgmoneta", "some text\n");
    let checked = check(&scratch, &[]).fails(1, "can be decrypted");
    for text in ["repository create", "not a socket of this user"] {
        assert!(checked.stderr.contains(text), "no {text:?} in {checked}");
    }
}
