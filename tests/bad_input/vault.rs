//! A master key other than that of the users file or the backup.

use crate::harness::{Cluster, Daemon, Scratch, write_owned};
use std::fs;

#[test]
fn another_master_key_prevents_the_start() {
    let scratch = Scratch::new("key");
    let cluster = Cluster::builder(&scratch).create();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    let users = fs::read(daemon.directory().join("pgmoneta_users.conf")).unwrap();
    fs::remove_file(daemon.directory().join("home/.pgmoneta/master.key")).unwrap();
    daemon
        .admin(&["-P", "another master key", "master-key"])
        .ok();
    assert_eq!(daemon.try_start(), Some(1), "{}", daemon.log());
    assert!(daemon.log().contains("master key"), "{}", daemon.log());
    let path = daemon.directory().join("pgmoneta_users.conf");
    daemon
        .admin(&[
            "-f",
            path.to_str().unwrap(),
            "-U",
            "other",
            "-P",
            "x",
            "user",
            "add",
        ])
        .fails(1, "master key");
    assert_eq!(
        fs::read(&path).unwrap(),
        users,
        "the users file was changed"
    );
}

#[test]
fn an_encrypted_backup_needs_its_master_key() {
    let scratch = Scratch::new("key2");
    let cluster = Cluster::builder(&scratch).start();
    let mut daemon = Daemon::builder(&scratch)
        .global("encryption = aes-256-gcm")
        .server("primary", &cluster)
        .start_streaming();
    daemon.backup("primary");
    daemon.stop();
    let other = Daemon::builder(&scratch)
        .name("other")
        .own_vault()
        .server("primary", &cluster)
        .create();
    drop(other);
    let key = |name: &str| scratch.join(name).join("home/.pgmoneta/master.key");
    // The users file is encrypted with the key.
    for file in ["home/.pgmoneta/master.key", "pgmoneta_users.conf"] {
        let bytes = fs::read(scratch.join("other").join(file)).unwrap();
        write_owned(&scratch.join("moneta").join(file), bytes);
    }
    assert_eq!(
        fs::read(key("other")).unwrap(),
        fs::read(key("moneta")).unwrap()
    );
    daemon.start();
    daemon.cli(&["verify", "primary", "newest"]).fails(1, "");
    daemon
        .restore_output("primary", "newest", None, "restored")
        .fails(1, "");
}
