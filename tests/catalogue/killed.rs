//! kill -9 of the daemon at the file system calls of a deletion and of a change of metadata.
#![cfg(target_os = "linux")]

use super::c_program::{value, write_backup};
use crate::harness::{Call, Cluster, Daemon, Faults, Scratch, copy_tree, discard, write_owned};

/// Calls at which to kill, by their kind and number; numbers above the total are not reached.
fn moments(totals: [u64; Call::ALL.len()], kinds: &[Call]) -> Vec<(Call, u64)> {
    let of = |kind: &Call| {
        let total = totals[*kind as usize];
        let mut numbers = match total {
            0..=4 => (1..=total).collect(),
            _ => vec![1, 2, total / 2, total - 1, total],
        };
        numbers.dedup();
        let kind = *kind;
        numbers.into_iter().map(move |number| (kind, number))
    };
    kinds.iter().flat_map(of).collect()
}

/// Kills the daemon at a call for a file with `part` in its path, while `run` runs a client that
/// must fail; then starts it again.
fn kill(
    daemon: &mut Daemon,
    faults: &Faults,
    (part, call, number): (&str, Call, u64),
    run: &[&str],
) {
    faults.steps.kill_at(part, call, number);
    let output = daemon.cli(run);
    assert!(faults.steps.reached(), "{call:?} {number}: {output}");
    assert_ne!(output.status, 0, "{call:?} {number}: {output}");
    daemon.process().wait(30);
    daemon.kill();
    faults.steps.release();
    daemon.start();
}

#[test]
fn a_backup_is_deleted_wholly_or_not_at_all() {
    let scratch = Scratch::new("deletekill");
    let cluster = Cluster::builder(&scratch).start();
    let faults = Faults::new(&scratch, &scratch.join("moneta"));
    let builder = Daemon::builder(&scratch).server("primary", &cluster);
    let mut daemon = faults.daemon(builder).start_streaming();
    let (kept, victim) = (daemon.backup("primary"), daemon.backup("primary"));
    let (path, saved) = (
        daemon.backups("primary").join(&victim),
        scratch.join("saved"),
    );
    copy_tree(&path, &saved);
    let made = daemon.base_dir().join("primary/backup.made");
    let bring_back = || {
        if !path.exists() {
            copy_tree(&saved, &path);
            write_owned(&made, "");
        }
    };
    let part = "/repo/primary/b";
    let delete = ["delete", "primary", &victim, "--force"];
    let kinds = [Call::Rename, Call::Sync, Call::Unlink];
    for last in [false, true] {
        bring_back();
        if last {
            // The last one of the server: `backup.made` goes too.
            daemon.cli(&["delete", "primary", &kept, "--force"]).ok();
        }
        faults.steps.count(part);
        daemon.cli(&delete).ok();
        let totals = faults.steps.counted();
        faults.steps.release();
        assert!(totals[Call::Unlink as usize] > 300, "{totals:?}");
        for (call, number) in moments(totals, &kinds) {
            bring_back();
            kill(&mut daemon, &faults, (part, call, number), &delete);
            assert!(daemon.unfinished("primary").is_empty(), "{call:?} {number}");
            let listed = daemon.listed("primary");
            assert_eq!(listed, daemon.labels("primary"));
            assert_eq!(listed.contains(&kept), !last);
            let deleted = (call, number) != (Call::Rename, 1);
            assert_ne!(listed.contains(&victim), deleted, "{call:?} {number}");
            assert_eq!(made.exists(), !listed.is_empty(), "{call:?} {number}");
            for label in &listed {
                daemon.cli(&["verify", "primary", label]).ok();
            }
        }
    }
    discard(&saved);
    daemon.stop();
}

#[test]
fn metadata_is_changed_wholly_or_not_at_all() {
    let scratch = Scratch::new("annotatekill");
    let cluster = Cluster::builder(&scratch).create();
    let faults = Faults::new(&scratch, &scratch.join("moneta"));
    let builder = Daemon::builder(&scratch).server("primary", &cluster);
    let mut daemon = faults.daemon(builder).start();
    daemon.cli(&["list-backup", "primary"]).ok();
    let label = "20260101000000";
    let path = write_backup(&daemon, label, "");
    let part = "/repo/primary/backup/";
    faults.steps.count(part);
    daemon
        .cli(&["annotate", "primary", label, "add", "k", "0"])
        .ok();
    let totals = faults.steps.counted();
    faults.steps.release();
    let kinds = [Call::Create, Call::Write, Call::Sync, Call::Rename];
    let moments = moments(totals, &kinds);
    assert!(moments.len() > 8, "{totals:?}");
    for (index, (call, number)) in moments.into_iter().enumerate() {
        let before = value(&path, "COMMENTS");
        let text = (index + 1).to_string();
        let update = ["annotate", "primary", label, "update", "k", &text];
        kill(&mut daemon, &faults, (part, call, number), &update);
        // Includes the check of backup.sha512.
        let after = value(&path, "COMMENTS");
        assert!(
            [before, format!("k|{text}")].contains(&after),
            "{after} at {call:?} {number}"
        );
        let names = std::fs::read_dir(&path).unwrap().count();
        assert_eq!(names, 3, "temporary files are left after {call:?} {number}");
    }
    daemon.stop();
}
