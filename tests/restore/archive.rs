//! Archives: standard tools extract a cluster that starts, as a restore writes it; and nothing is
//! left of an archive that fails.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::scenario::{last_row, unique};
use crate::harness::{Cluster, Daemon, Output, Scratch, SmallDisk, names, user, write_owned};

/// Every path below `directory` with its mode and content; the targets of links are left out.
fn tree(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let entries = |path: &Path| {
        names(path)
            .into_iter()
            .map(|name| path.join(name))
            .collect()
    };
    let mut left: Vec<PathBuf> = entries(directory);
    while let Some(path) = left.pop() {
        let status = path.symlink_metadata().unwrap();
        let content = if status.is_dir() {
            left.extend(entries(&path));
            Vec::new()
        } else if status.is_symlink() {
            b"link".to_vec()
        } else {
            fs::read(&path).unwrap()
        };
        let mode = status.permissions().mode();
        let below = path.strip_prefix(directory).unwrap().to_owned();
        found.insert(below, (mode, content));
    }
    found
}

/// Replaces the compression and the encryption of a daemon, and starts it again.
fn configure(daemon: &mut Daemon, storage: &str) {
    daemon.stop();
    let text = fs::read_to_string(daemon.configuration()).unwrap();
    let lines = text.lines().filter(|line| {
        let key = line.split('=').next().unwrap().trim();
        key != "compression" && key != "encryption"
    });
    let text: Vec<&str> = lines.collect();
    let text = text.join("\n");
    let text = text.replacen("log_type", &format!("{storage}\nlog_type"), 1);
    write_owned(&daemon.configuration(), text);
    daemon.start();
}

/// Writes an archive to a new directory; returns the directory and the response.
fn archive(daemon: &Daemon, position: &str) -> (PathBuf, serde_json::Value) {
    let directory = daemon.directory().join(unique("archive"));
    let at = directory.join("new").to_str().unwrap().to_owned();
    fs::create_dir(&directory).unwrap();
    user().chown(&directory);
    let arguments = ["archive", "primary", "newest", position, &at];
    let output = daemon.cli(&[&arguments[..], &["--format", "raw"]].concat());
    (directory.join("new"), output.ok().json()["Response"].take())
}

/// Decodes an archive with the given tools and extracts it.
fn extract(daemon: &Daemon, directory: &Path, tools: &[&str]) {
    for tool in tools {
        let file = directory.join(&names(directory)[0]);
        let file = file.to_str().unwrap();
        if *tool == "decrypt" {
            daemon.cli(&["decrypt", file]).ok();
            continue;
        }
        let shell = match *tool {
            "tar" => format!("tar -xf {file} && rm {file}"),
            tool => format!("{tool} -dc {file} > archive.tar && rm {file}"),
        };
        let mut command = user().command("sh");
        command.args(["-c", &shell]).current_dir(directory);
        Output::of(&mut command).ok();
    }
}

/// Asserts that a response describes the file.
fn assert_describes(reply: &serde_json::Value, file: &Path) {
    assert_eq!(reply["FileName"], file.to_str().unwrap());
    assert_eq!(reply["FileSize"], fs::metadata(file).unwrap().len());
    let sum = Output::of(user().command("sha256sum").arg(file)).ok();
    let digest = reply["SHA256"].as_str().unwrap();
    assert!(
        digest.len() == 64 && sum.stdout.starts_with(digest),
        "{reply}"
    );
    // There may be another about WAL that was received after a change of the encryption.
    let warnings = reply["Warnings"].as_array().unwrap();
    let links = |warning: &serde_json::Value| warning.as_str().unwrap().contains("ln -sfn");
    assert!(warnings.iter().any(links), "{reply}");
}

/// Asserts that the directory with an extracted archive has what a restore writes.
fn assert_as_restored(daemon: &Daemon, directory: &Path, position: &str) {
    let restored = daemon.restore("primary", "newest", Some(position), "restored");
    let [archived, restored] = [directory, restored.parent().unwrap()].map(tree);
    let paths = |tree: &BTreeMap<PathBuf, _>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&archived), paths(&restored));
    let differ = archived
        .iter()
        .filter(|(path, of)| restored.get(*path) != Some(*of));
    let differ: Vec<_> = differ.map(|(path, (mode, _))| (path, mode)).collect();
    assert_eq!(differ, [], "a restore writes something else");
}

#[test]
fn standard_tools_extract_a_cluster_that_recovers_to_each_target() {
    let scratch = Scratch::new("archive");
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let at = scratch.directory("ts");
    cluster.execute(&format!(
        "CREATE TABLESPACE fast LOCATION '{}'",
        at.display()
    ));
    cluster.execute("CREATE TABLE t (n int) TABLESPACE fast; INSERT INTO t VALUES (1)");
    write_owned(&cluster.data().join("a name of 'mine' \\ more"), "mine");
    let mut daemon = Daemon::builder(&scratch)
        .global("compression = lz4\nencryption = aes192")
        .server("primary", &cluster)
        .start_streaming();
    let label = daemon.backup("primary");
    cluster.execute("INSERT INTO t VALUES (2)");
    let time = format!("time={}", cluster.clock());
    cluster.execute("INSERT INTO t VALUES (3)");
    cluster.wait_received("pgmoneta");

    let zstd = ("compression = zstd\nencryption = aes256", ".zstd.aes");
    let plain = ("compression = none\nencryption = none", "");
    let gzip = ("compression = gzip\nencryption = none", ".gz");
    for ((storage, suffix), tools, position, row) in [
        (zstd, &["decrypt", "zstd", "tar"][..], "immediate", "1"),
        (plain, &["tar"], "current", "3"),
        (gzip, &["gzip", "tar"], &time, "2"),
    ] {
        configure(&mut daemon, storage);
        let (directory, reply) = archive(&daemon, position);
        assert_eq!(reply["Backup"], label.as_str());
        let data = directory.join(format!("primary-{label}"));
        let file = directory.join(format!("archive-primary-{label}.tar{suffix}"));
        assert_describes(&reply, &file);
        extract(&daemon, &directory, tools);
        if row == "1" {
            assert_as_restored(&daemon, &directory, position);
        }
        let mut extracted = Cluster::adopt(&scratch, cluster.major(), data);
        extracted.start();
        extracted.wait_primary(60);
        assert_eq!(last_row(&extracted), row, "{position}");
        extracted.execute("INSERT INTO t VALUES (100)");
        extracted.stop();
    }
}

#[test]
fn the_control_file_is_last_and_a_directory_that_a_restore_refuses_is_refused() {
    let scratch = Scratch::new("refused");
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let daemon = Daemon::builder(&scratch)
        .global("compression = none")
        .server("primary", &cluster)
        .start_streaming();
    let label = daemon.backup("primary");
    let (directory, reply) = archive(&daemon, "immediate");
    assert!(reply["Warnings"][0].is_null(), "{reply}");
    let file = directory.join(&names(&directory)[0]);
    let listed = Output::of(user().command("tar").arg("-tf").arg(&file))
        .ok()
        .stdout;
    let last = listed.lines().last().unwrap();
    assert_eq!(last, format!("primary-{label}/global/pg_control"));

    let base = daemon.base_dir().join("primary");
    for (server, directory, code, text) in [
        ("primary", directory.as_path(), 900, "exists already"),
        ("primary", &base, 900, "is in the repository"),
        (
            "primary",
            cluster.data(),
            900,
            "the data directory of a server",
        ),
        ("primary", Path::new("/proc"), 904, "/proc"),
        ("nobody", &directory, 901, "nobody"),
    ] {
        let directory = directory.to_str().unwrap();
        for option in [&["--dry-run"][..], &[]] {
            let arguments = ["archive", server, &label, directory, "--format", "json"];
            let output = daemon.cli(&[&arguments[..], option].concat());
            let output = output.fails(1, text);
            assert_eq!(output.json()["Outcome"]["Error"], code, "{output}");
        }
    }
    let missing = ["archive", "primary", "1999", "/tmp", "--format", "json"];
    let output = daemon.cli(&missing).fails(1, "1999");
    assert_eq!(output.json()["Outcome"]["Error"], 900, "{output}");

    // A dry run says what would be written, and writes nothing.
    let free = scratch.directory("free");
    let arguments = ["archive", "primary", "newest", free.to_str().unwrap()];
    let output = daemon.cli(&[&arguments[..], &["--dry-run"]].concat()).ok();
    let name = format!(
        "Would write  {}/archive-primary-{label}.tar",
        free.display()
    );
    assert!(output.stdout.contains(&name), "{output}");
    assert_eq!(names(&free), [""; 0]);
    // A stored file that was changed, with its size, is found while it is read.
    let stored = daemon.backups("primary").join(&label).join("data");
    let path = cluster.relation_path("pg_class");
    let mut bytes = fs::read(stored.join(&path)).unwrap();
    bytes[4000] ^= 1;
    write_owned(&stored.join(&path), bytes);
    daemon.cli(&arguments).fails(1, &path);
    assert_eq!(names(&free), [""; 0]);
}

#[test]
fn an_archive_that_does_not_fit_is_refused_or_leaves_nothing() {
    let scratch = Scratch::new("fullarch");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .template_databases()
        .start();
    let mut daemon = Daemon::builder(&scratch)
        .global("compression = none")
        .server("primary", &cluster)
        .create();
    let target = scratch.directory("target");
    let Some(_disk) = SmallDisk::mount(&target, 1) else {
        return;
    };
    daemon.start();
    cluster.wait_streaming("pgmoneta");
    daemon.backup("primary");
    let arguments = ["archive", "primary", "newest", target.to_str().unwrap()];
    daemon.cli(&arguments).fails(1, "not enough space");
    configure(&mut daemon, "compression = zstd");
    let warned = daemon.cli(&[&arguments[..], &["--dry-run"]].concat()).ok();
    assert!(
        warned.stdout.contains("it fails if it does not fit"),
        "{warned}"
    );
    daemon.cli(&arguments).fails(1, "no space left");
    assert_eq!(names(&target), [""; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn while_an_archive_is_written_its_backup_stays_and_a_kill_leaves_no_archive() {
    use crate::harness::{Call, Faults};

    let scratch = Scratch::new("killarch");
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let directory = scratch.directory("target");
    let faults = Faults::new(&scratch, &directory);
    let builder = Daemon::builder(&scratch)
        .global("compression = none")
        .server("primary", &cluster);
    let mut daemon = faults.daemon(builder).start_streaming();
    let label = daemon.backup("primary");
    daemon.backup("primary");
    let arguments = ["archive", "primary", &label, directory.to_str().unwrap()];
    faults.steps.hold_at("", Call::Write, 5);
    let mut cli = daemon.cli_command(&arguments).spawn().unwrap();
    faults.steps.wait_reached();
    let busy = daemon.cli(&["delete", "primary", &label, "--format", "json"]);
    let busy = busy.fails(1, "an archive of server primary is running");
    assert_eq!(busy.json()["Outcome"]["Error"], 503, "{busy}");
    let busy = daemon.cli(&[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(busy.fails(1, "running").json()["Outcome"]["Error"], 902);
    let status = daemon.cli(&["status", "--format", "raw"]).json();
    assert_eq!(status["Response"]["Servers"][0]["ActiveArchive"], true);
    let progress = daemon.cli(&["progress", "primary"]).ok();
    assert!(progress.stdout.contains("archive"), "{progress}");
    daemon.kill();
    faults.steps.release();
    assert!(!cli.wait().unwrap().success());
    let name = format!("archive-primary-{label}.tar");
    assert_eq!(names(&directory), [format!(".{name}.tmp")]);
    daemon.start();
    daemon.cli(&arguments).ok();
    assert_eq!(names(&directory), [name.as_str()]);
    Output::of(user().command("tar").arg("-tf").arg(directory.join(name))).ok();
    daemon.cli(&["delete", "primary", &label]).ok();
}
