//! `delete`: what may go, when, and what it leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use super::c_program::{directory, write_backup};
use crate::harness::{
    Call, Cluster, Daemon, Faults, Process, Scratch, streaming_daemon, write_owned,
};

fn delete(daemon: &Daemon, arguments: &[&str], code: u64, text: &str) {
    let arguments = [&["delete", "primary", "--format", "json"], arguments].concat();
    let output = daemon.cli(&arguments).fails(1, text);
    assert_eq!(output.json()["Outcome"]["Error"], code, "{output}");
}

#[test]
fn what_is_needed_is_not_deleted_and_what_is_deleted_is_gone() {
    let (_scratch, cluster, mut daemon) = streaming_daemon("delete");
    let labels = [(); 3].map(|()| daemon.backup("primary"));
    let [first, second, third] = &labels;
    let repository = daemon.base_dir().join("primary");
    for name in ["", "..", "../wal", "2026\n", "./", "/", "nothing", "2"] {
        delete(&daemon, &[name], 505, "backup");
    }
    assert_eq!(daemon.listed("primary"), labels);

    daemon.cli(&["retain", "primary", first]).ok();
    delete(&daemon, &["oldest"], 506, "is retained");
    daemon.cli(&["delete", "primary", "oldest", "--force"]).ok();
    delete(&daemon, &[first], 505, "there is no backup");
    let output = daemon.cli(&["delete", "primary", "newest", "--format", "json"]);
    assert_eq!(output.ok().json()["Response"]["Backup"], third.as_str());
    assert_eq!(daemon.listed("primary"), [second.as_str()]);
    assert_eq!(daemon.labels("primary"), [second.as_str()]);
    assert!(daemon.unfinished("primary").is_empty());
    daemon.cli(&["verify", "primary", second]).ok();

    // Others that cannot be restored do not count.
    for label in ["20300101000000", "20300102000000"] {
        let path = daemon.backups("primary").join(label);
        crate::harness::make(&path);
        write_owned(&path.join("backup.info"), "STATUS=1\nCOMMENTS");
    }
    delete(&daemon, &[second], 506, "last valid");
    // Nobody knows whether they are retained.
    delete(&daemon, &["2030010100"], 506, "unknown whether");
    for label in ["2030010100", "20300102000000"] {
        daemon.cli(&["delete", "primary", label, "--force"]).ok();
    }
    assert!(repository.join("backup.made").exists());
    daemon.cli(&["delete", "primary", second, "--force"]).ok();
    assert!(daemon.listed("primary").is_empty());
    assert!(!repository.join("backup.made").exists());
    // That there is no backup is not taken for a file system that is not mounted.
    daemon.stop();
    daemon.start();
    cluster.wait_streaming("pgmoneta");
    daemon.backup("primary");
}

#[test]
fn an_incremental_backup_of_the_c_program_goes_before_those_that_it_depends_on() {
    let scratch = Scratch::new("deletec");
    let cluster = Cluster::builder(&scratch).create();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    daemon.cli(&["list-backup", "primary"]).ok();
    let (full, child, last) = ("20260101000000", "20260102000000", "20260103000000");
    write_backup(&daemon, full, "");
    write_backup(&daemon, child, full);
    write_backup(&daemon, last, child);
    for label in [full, child] {
        delete(&daemon, &[label, "--force"], 507, "depends on");
    }
    // It may depend on the others.
    let info = directory(&daemon).join(last).join("backup.info");
    fs::set_permissions(&info, fs::Permissions::from_mode(0o000)).unwrap();
    delete(&daemon, &[child, "--force"], 507, "unknown");
    fs::set_permissions(&info, fs::Permissions::from_mode(0o600)).unwrap();
    for label in [last, child] {
        daemon.cli(&["delete", "primary", label]).ok();
        assert!(!directory(&daemon).join(label).exists());
    }
    delete(&daemon, &[full], 506, "last valid");
    daemon.cli(&["delete", "primary", full, "--force"]).ok();
    assert_eq!(fs::read_dir(directory(&daemon)).unwrap().count(), 0);
    assert!(daemon.unfinished("primary").is_empty());
    daemon.stop();
}

fn start(daemon: &Daemon, arguments: &[&str]) -> Process {
    let mut command = daemon.cli_command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Process::new(command.spawn().unwrap(), "pgmoneta-cli")
}

#[test]
fn a_backup_that_is_read_is_not_deleted_and_backups_are_deleted_one_after_the_other() {
    let scratch = Scratch::new("deletebusy");
    let cluster = Cluster::builder(&scratch).start();
    let faults = Faults::new(&scratch, &scratch.join("moneta"));
    let builder = Daemon::builder(&scratch).server("primary", &cluster);
    let daemon = faults.daemon(builder).start_streaming();
    let labels = [(); 4].map(|()| daemon.backup("primary"));
    let [first, second, third, newest] = &labels;

    let target = daemon.directory().join("restored");
    crate::harness::make(&target);
    let into = target.to_str().unwrap();
    faults.steps.hold_at("/restored/", Call::Create, 20);
    let mut restore = start(&daemon, &["restore", "primary", "newest", into]);
    faults.steps.wait_reached();
    delete(&daemon, &["newest", "--force"], 503, "a restore of server");
    // Another one is not read.
    daemon.cli(&["delete", "primary", first]).ok();
    faults.steps.release();
    assert!(restore.wait(120).success());

    faults
        .steps
        .hold_at(&format!("{newest}/data/"), Call::Open, 20);
    let mut verify = start(&daemon, &["verify", "primary", newest]);
    faults.steps.wait_reached();
    delete(&daemon, &[newest], 503, "a verify of server");
    faults.steps.release();
    assert!(verify.wait(120).success());

    // Two that are the last of each other must not both go.
    faults.steps.hold_at("/basebackup/.del-", Call::Unlink, 5);
    let mut deletion = start(&daemon, &["delete", "primary", third]);
    faults.steps.wait_reached();
    let status = daemon.cli(&["status", "--format", "json"]).json();
    assert_eq!(status["Response"]["Servers"][0]["ActiveDelete"], true);
    delete(&daemon, &[third], 505, "there is no backup");
    delete(&daemon, &[second, "--force"], 503, "a delete of server");
    faults.steps.release();
    assert!(deletion.wait(120).success());
    assert_eq!(daemon.listed("primary"), [second.as_str(), newest]);
    daemon.cli(&["verify", "primary", second]).ok();
}

#[test]
fn what_the_file_system_refuses_is_an_error_and_the_backup_stays() {
    let (scratch, _cluster, daemon) = streaming_daemon("deletefs");
    let labels = [(); 2].map(|()| daemon.backup("primary"));
    let backups = daemon.backups("primary");
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&backups, 0o500);
    delete(&daemon, &["oldest"], 508, "permission denied");
    mode(&backups, 0o700);
    let away = scratch.join("away");
    fs::rename(&backups, &away).unwrap();
    crate::harness::make(&backups);
    delete(&daemon, &["oldest"], 505, "not the one that was there");
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 0);
    fs::remove_dir(&backups).unwrap();
    fs::rename(&away, &backups).unwrap();
    assert_eq!(daemon.listed("primary"), labels);
    for label in &labels {
        daemon.cli(&["verify", "primary", label]).ok();
    }

    // Some files cannot be removed: the next start does it.
    let data = backups.join(&labels[0]).join("data/global");
    mode(&data, 0o500);
    delete(&daemon, &["oldest"], 508, "the backup is deleted, but");
    assert_eq!(daemon.listed("primary"), [labels[1].as_str()]);
    let rest = backups.join(format!(".del-{}", labels[0]));
    mode(&rest.join("data/global"), 0o700);
    let mut daemon = daemon;
    daemon.stop();
    daemon.start();
    assert!(daemon.unfinished("primary").is_empty());
    let log = daemon.log();
    assert!(
        log.contains(&format!("removed {}", rest.display())),
        "{log}"
    );
    // Nothing of a backup must be decrypted to delete it.
    fs::remove_file(daemon.directory().join("home/.pgmoneta/master.key")).unwrap();
    daemon.cli(&["delete", "primary", "newest", "--force"]).ok();
    assert!(daemon.listed("primary").is_empty());
}
