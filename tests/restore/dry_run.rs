//! A dry run fails with the same errors as a restore.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::scenario::unique;
use crate::harness::{Cluster, Daemon, Scratch, User, streaming_daemon, user, write_owned};

struct DryRunTest {
    scratch: Scratch,
    daemon: Daemon,
    _cluster: Cluster,
    oid: u32,
}

impl DryRunTest {
    /// Asserts that a dry run and a restore fail with `texts`.
    fn assert_refused(&self, directory: &Path, more: &[&str], texts: &[&str]) {
        let at = directory.to_str().unwrap();
        for last in [&["--dry-run"][..], &[]] {
            let arguments = ["restore", "primary", "newest", "current", at];
            let mut output = self.daemon.cli(&[&arguments[..], more, last].concat());
            for text in texts {
                output = output.fails(1, text);
            }
        }
    }

    fn assert_accepted(&self, directory: &Path) {
        let at = directory.to_str().unwrap();
        let arguments = ["restore", "primary", "newest", "current", at, "--dry-run"];
        self.daemon.cli(&arguments).ok();
    }

    /// The stored file of the backup whose name without suffixes is `name`.
    fn stored(&self, name: &str) -> PathBuf {
        let backups = self.daemon.backups("primary");
        let label = self.daemon.labels("primary").pop().unwrap();
        let data = fs::read_dir(backups.join(label).join("data")).unwrap();
        let mut paths = data.map(|entry| entry.unwrap().path());
        let of_name = |path: &PathBuf| {
            let found = path.file_name().unwrap().to_str().unwrap();
            found.split('.').next() == Some(name)
        };
        paths.find(of_name).unwrap()
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_dry_run_finds_what_the_restore_would_refuse() {
    let (scratch, cluster, daemon) = streaming_daemon("dry");
    let at = scratch.directory("ts");
    cluster.execute(&format!("CREATE TABLESPACE ts LOCATION '{}'", at.display()));
    daemon.backup("primary");
    let oid = cluster.query_value("SELECT oid FROM pg_tablespace WHERE spcname = 'ts'");
    let test = DryRunTest {
        scratch,
        daemon,
        _cluster: cluster,
        oid,
    };
    directories(&test);
    stored_files(&test);
}

fn directories(test: &DryRunTest) {
    let scratch = &test.scratch;
    let name = crate::harness::run(user().command("id").arg("-un"));
    let user_name = format!("the user {}", name.trim());
    let free = scratch.directory("free");
    test.assert_accepted(&free);
    let readonly = scratch.directory("closed");
    set_mode(&readonly, 0o500);
    let write = format!("may not write to {}", readonly.display());
    let texts = [write.as_str(), &user_name];
    test.assert_refused(&readonly, &[], &texts);
    test.assert_refused(&readonly.join("a/b"), &[], &texts);
    let tablespace = format!("{}={}", test.oid, readonly.join("ts").display());
    test.assert_refused(&free, &["--tablespace", &tablespace], &texts);
    let unreadable = scratch.directory("dark");
    set_mode(&unreadable, 0o000);
    let look = format!("may not search {}", unreadable.display());
    test.assert_refused(&unreadable.join("a"), &[], &[&look, &user_name]);
    set_mode(&unreadable, 0o700);
    let file = scratch.write("file", "");
    test.assert_refused(&file.join("a"), &[], &["it is not a directory"]);
    let dangling = scratch.join("dangling");
    std::os::unix::fs::symlink("/nowhere/at/all", &dangling).unwrap();
    test.assert_refused(&dangling, &[], &["a dangling symbolic link"]);
    let long = scratch.join("x".repeat(300));
    test.assert_refused(&long, &[], &["name too long"]);
    assert_eq!(fs::read_dir(&free).unwrap().count(), 0);
    if matches!(user(), User::Other { .. }) {
        // Created by another user than that of the daemon, which may write there.
        let label = test.daemon.labels("primary").pop().unwrap();
        let foreign = free.join(format!("primary-{label}"));
        fs::create_dir(&foreign).unwrap();
        set_mode(&foreign, 0o777);
        test.assert_refused(&free, &[], &["belongs to the user root", &user_name]);
        fs::remove_dir(&foreign).unwrap();
    }
}

fn stored_files(test: &DryRunTest) {
    let into = test.scratch.directory(&unique("stored"));
    let path = test.stored("pg_hba");
    let old = fs::read(&path).unwrap();
    set_mode(&path, 0o000);
    let display = path.display().to_string();
    test.assert_refused(&into, &[], &["may not read", &display]);
    fs::remove_file(&path).unwrap();
    test.assert_refused(&into, &[], &[&display, "is missing"]);
    write_owned(&path, &old[1..]);
    test.assert_refused(&into, &[], &[&display, "were stored"]);
    write_owned(&path, &old);
    test.assert_accepted(&into);
    assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
}
