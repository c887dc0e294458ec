//! Servers with their configuration files outside the data directory, as on Debian.

use std::fs;
use std::path::{Path, PathBuf};

use super::by_hand::check_sums;
use crate::harness::{Cluster, Daemon, Output, Scratch, installed, user, write_owned};

/// Moves the configuration out of the data directory, with a file that it includes, and starts the
/// server with it.
fn start(scratch: &Scratch, major: u32) -> (Cluster, PathBuf) {
    let cluster = Cluster::builder(scratch)
        .name(&format!("pg{major}"))
        .major(major)
        .create();
    let etc = scratch.directory(&format!("etc{major}"));
    for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"] {
        fs::rename(cluster.data().join(name), etc.join(name)).unwrap();
    }
    let conf = etc.join("postgresql.conf");
    let old = fs::read_to_string(&conf).unwrap();
    let more = format!(
        "{old}\nhba_file = '{0}/pg_hba.conf'\nident_file = '{0}/pg_ident.conf'\n\
         data_directory = '{1}'\ninclude_dir = 'conf.d'\n",
        etc.display(),
        cluster.data().display()
    );
    write_owned(&conf, more);
    fs::create_dir(etc.join("conf.d")).unwrap();
    user().chown(&etc.join("conf.d"));
    write_owned(&etc.join("conf.d/a.conf"), "work_mem = '7MB'\n");
    let mut cluster = cluster.with("config_file", conf.to_str().unwrap());
    cluster.start();
    (cluster, etc)
}

fn warnings(output: Output) -> Vec<String> {
    let answer = output.ok().json();
    let warnings = answer["Response"]["Warnings"].as_array().cloned();
    let texts = warnings.unwrap_or_default();
    texts
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

fn restore(daemon: &Daemon, directory: &Path, more: &[&str]) -> Vec<String> {
    let directory = directory.to_str().unwrap();
    let mut arguments = vec![
        "--format", "json", "restore", "primary", "newest", directory,
    ];
    arguments.extend(more);
    warnings(daemon.cli(&arguments))
}

#[test]
fn configuration_files_outside_the_data_directory_are_backed_up_and_restored() {
    for major in [13, 18] {
        if installed(major).is_some() {
            check_config_files(major);
        }
    }
}

const BACKUP: [&str; 4] = ["--format", "json", "backup", "primary"];

fn check_warnings_without_privileges(
    cluster: &Cluster,
    daemon: &Daemon,
    etc: &Path,
    target: &Path,
) {
    // The role has no privileges for it.
    let warnings_given = warnings(daemon.cli(&BACKUP));
    for name in ["postgresql.conf", "pg_hba.conf"] {
        let found = warnings_given
            .iter()
            .any(|text| text.contains(name) && text.contains("pg_read_all_settings"));
        assert!(found, "{name}: {warnings_given:?}");
    }
    let warnings_given = restore(daemon, target, &["--dry-run"]);
    let missing = warnings_given
        .iter()
        .any(|text| text.contains("there is no postgresql.conf"));
    assert!(missing, "{warnings_given:?}");

    // The role may see the paths.
    cluster.execute("GRANT pg_read_all_settings TO repl");
    let warnings_given = warnings(daemon.cli(&BACKUP));
    let conf = etc.join("postgresql.conf").display().to_string();
    let found = warnings_given
        .iter()
        .any(|text| text.contains(&conf) && text.contains("pg_read_server_files"));
    assert!(found, "{warnings_given:?}");
}

fn check_config_files(major: u32) {
    let scratch = Scratch::new("config");
    let (cluster, etc) = start(&scratch, major);
    let daemon = Daemon::builder(&scratch)
        .global("encryption = aes-256-gcm")
        .server("primary", &cluster)
        .start_streaming();
    let target = scratch.directory("r");
    check_warnings_without_privileges(&cluster, &daemon, &etc, &target);

    // The role may read the files.
    cluster.execute("GRANT pg_read_server_files TO repl");
    let function = "pg_read_binary_file(text, bigint, bigint, boolean)";
    cluster.execute(&format!("GRANT EXECUTE ON FUNCTION {function} TO repl"));
    assert_eq!(warnings(daemon.cli(&BACKUP)), Vec::<String>::new());
    let label = daemon.labels("primary").pop().unwrap();
    let stored = daemon.backups("primary").join(&label);
    check_sums(&stored);
    daemon.cli(&["verify", "primary", &label]).ok();

    let warnings_given = restore(&daemon, &target, &[]);
    let [hint] = &warnings_given[..] else {
        panic!("{warnings_given:?}")
    };
    let data = target.join(format!("primary-{label}"));
    let copy = data
        .join("pgmoneta_config")
        .join(etc.strip_prefix("/").unwrap());
    for name in [
        "postgresql.conf",
        "pg_hba.conf",
        "pg_ident.conf",
        "conf.d/a.conf",
    ] {
        let expected = fs::read(etc.join(name)).unwrap();
        assert_eq!(fs::read(copy.join(name)).unwrap(), expected, "{name}");
    }
    check_start_with_hint(&scratch, major, &data, hint);

    // The stored configuration files are verified too.
    let hba = walk(&stored.join("config")).pop().unwrap();
    fs::write(&hba, "x").unwrap();
    daemon.cli(&["verify", "primary", &label]).fails(1, "conf");
}

/// Starts the server in the restored directory with the settings in the hint.
fn check_start_with_hint(scratch: &Scratch, major: u32, data: &Path, hint: &str) {
    let mut restored = Cluster::adopt(scratch, major, data);
    let mut words = hint.split_whitespace();
    while words.by_ref().any(|word| word == "-c") {
        let (name, value) = words.next().unwrap().split_once('=').unwrap();
        restored = restored.with(name, value);
    }
    restored.start();
    restored.wait_primary(60);
    assert_eq!(
        restored.setting("data_directory"),
        data.display().to_string()
    );
    assert_eq!(restored.setting("work_mem"), "7MB");
    assert!(
        restored
            .setting("hba_file")
            .starts_with(data.to_str().unwrap())
    );
}

/// The files below a directory.
fn walk(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
