//! Backups that were copied without their repository, and backups of the C program.

use std::fs;
use std::path::Path;

use super::scenario::last_row;
use crate::harness::{Cluster, Daemon, Scratch, copy_tree, write_owned};

/// A daemon with an empty repository and the master key of `first`.
fn new_daemon(scratch: &Scratch, name: &str, cluster: &Cluster, first: &Daemon) -> Daemon {
    let daemon = Daemon::builder(scratch)
        .name(name)
        .server("primary", cluster)
        .create();
    let key = "home/.pgmoneta/master.key";
    let text = fs::read(first.directory().join(key)).unwrap();
    write_owned(&daemon.directory().join(key), text);
    let users = fs::read(first.directory().join("pgmoneta_users.conf")).unwrap();
    write_owned(&daemon.directory().join("pgmoneta_users.conf"), users);
    daemon
}

#[test]
fn a_copied_backup_is_verified_and_restored_to_its_end() {
    let scratch = Scratch::new("saved");
    let mut cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    cluster.execute("CREATE TABLE t AS SELECT 7 AS n");
    let mut first = Daemon::builder(&scratch)
        .global("encryption = aes-192")
        .server("primary", &cluster)
        .start_streaming();
    let label = first.backup("primary");
    let saved = scratch.join("saved");
    copy_tree(&first.backups("primary").join(&label), &saved);
    first.stop();
    cluster.stop();

    // The backup directories of this version and of version 0.1.0.
    for place in ["basebackup", "backup"] {
        let mut daemon = new_daemon(&scratch, place, &cluster, &first);
        scratch.directory(&format!("{place}/repo/primary"));
        let into = scratch.directory(&format!("{place}/repo/primary/{place}"));
        copy_tree(&saved, &into.join(&label));
        daemon.start();
        assert_eq!(daemon.listed("primary"), [label.as_str()]);
        assert!(!daemon.base_dir().join("primary/system.info").exists());
        daemon.cli(&["verify", "primary", "newest"]).ok();
        for (number, position) in [None, Some("immediate"), Some("current")]
            .into_iter()
            .enumerate()
        {
            let into = format!("restored{number}");
            let data = daemon.restore("primary", &label, position, &into);
            if number == 0 {
                let mut restored = Cluster::adopt(&scratch, cluster.major(), data);
                restored.start();
                restored.wait_primary(60);
                assert_eq!(last_row(&restored), "7");
                restored.stop();
            }
        }
        daemon.stop();
    }
}

/// Adds a small valid backup of the C program to the repository.
fn add_c_backup(base: &Path, label: &str, kind: &str) {
    let directory = base.join("primary/backup").join(label);
    copy_tree(&create_c_backup(base, label, kind), &directory);
}

fn create_c_backup(base: &Path, label: &str, kind: &str) -> std::path::PathBuf {
    let directory = base.parent().unwrap().join(format!("c-{label}"));
    fs::create_dir_all(directory.join("data")).unwrap();
    let info = format!(
        "PGMONETA_VERSION=0.22.0\nSTATUS=1\nLABEL={label}\nWAL=000000010000000000000001\n\
         BACKUP=15593472\n\
         RESTORE=15585280\nBIGGEST_FILE=3579904\nELAPSED=1.7004\nMAJOR_VERSION=15\n\
         MINOR_VERSION=18\nKEEP=0\n\
         TABLESPACES=0\nCOMPRESSION=18\nENCRYPTION=0\nSTART_WALPOS=0/100028\nEND_WALPOS=0/100158\n\
         CHKPT_WALPOS=0/100080\nSTART_TIMELINE=1\nEND_TIMELINE=1\n{kind}COMMENTS=\nEXTRA=\n"
    );
    let zeros = "0".repeat(128);
    for (name, text) in [
        ("backup.info", info),
        ("backup.manifest", format!("PG_VERSION,{zeros}\n")),
        ("backup.sha512", format!("{zeros} *./backup.info\n")),
        ("data/PG_VERSION", "15\n".to_owned()),
    ] {
        fs::write(directory.join(name), text).unwrap();
    }
    directory
}

#[test]
fn incomplete_backups_of_the_c_program_are_listed_and_passed_over() {
    let scratch = Scratch::new("of-c");
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    let (full, increment, later) = ("20200101000000", "20200102000000", "20990101000000");
    add_c_backup(&daemon.base_dir(), full, "TYPE=0\nPARENT=\n");
    add_c_backup(
        &daemon.base_dir(),
        increment,
        &format!("TYPE=1\nPARENT={full}\n"),
    );
    cluster.wait_streaming("pgmoneta");
    let own = daemon.backup("primary");
    assert_eq!(daemon.listed("primary"), [full, increment, &own]);
    assert!(!daemon.base_dir().join("primary/backup").join(&own).exists());

    let what = "backup.sha512 does not list";
    for label in [full, increment] {
        let json = ["info", "primary", label, "--format", "json"];
        let info = daemon.cli(&json).ok().json();
        assert_eq!(info["Response"]["Valid"], "no", "{info}");
        daemon.cli(&["verify", "primary", label]).fails(1, what);
        daemon
            .restore_output("primary", label, Some("current"), &format!("r{label}"))
            .fails(1, "not valid");
    }

    // The newest is not complete: an older one is used.
    add_c_backup(&daemon.base_dir(), later, "TYPE=0\nPARENT=\n");
    daemon.restore("primary", "newest", Some("current"), "current");
    // Labels remain unique and in order.
    assert!(daemon.backup("primary").as_str() > later);
}
