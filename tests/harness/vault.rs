//! A master key, and the encrypted password of the replication role.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::cluster_builder::{REPLICATION_USER, run};
use super::daemon::program;
use super::scratch::{make, shared, write_owned};
use super::user::user;

/// The secret of the master key.
pub const MASTER_KEY: &str = "a master key of the tests";

/// Their paths in the directory of a daemon.
const KEY: &str = "home/.pgmoneta/master.key";
const USERS: &str = "pgmoneta_users.conf";

/// Creates both with `pgmoneta-admin` in the existing directory of a daemon with its `home`.
pub fn make_vault(directory: &Path, password: &str) {
    let admin = || {
        let mut command = user().command(program("pgmoneta-admin"));
        command.env("HOME", directory.join("home"));
        command
    };
    run(admin().args(["-P", MASTER_KEY, "master-key"]));
    let add = ["-U", REPLICATION_USER, "-P", password, "user", "add"];
    run(admin().arg("-f").arg(directory.join(USERS)).args(add));
}

/// Copies those of another daemon with the same password, since the key derivation is slow.
pub fn copy_vault(directory: &Path, password: &str) {
    static MADE: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(|e| e.into_inner());
    let number = made.len();
    let from = made.entry(password.to_owned()).or_insert_with(|| {
        let directory = shared().join(format!("vault-{number}"));
        make(&directory);
        make(&directory.join("home"));
        make_vault(&directory, password);
        directory
    });
    make(directory.join(KEY).parent().unwrap());
    for file in [KEY, USERS] {
        write_owned(&directory.join(file), fs::read(from.join(file)).unwrap());
    }
}
