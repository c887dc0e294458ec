//! A dry run refuses what the restore would refuse, in the same words.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::story::unique;
use crate::harness::{Cluster, Daemon, Scratch, User, user, write_owned};

struct Refusing {
    scratch: Scratch,
    daemon: Daemon,
    _cluster: Cluster,
    oid: String,
}

impl Refusing {
    /// Both say `texts`, and nothing is written.
    fn refused(&self, directory: &Path, more: &[&str], texts: &[&str]) {
        let at = directory.to_str().unwrap();
        for last in [&["--dry-run"][..], &[]] {
            let arguments = ["restore", "primary", "newest", "current", at];
            let mut output = self.daemon.cli(&[&arguments[..], more, last].concat());
            for text in texts {
                output = output.fails(1, text);
            }
        }
    }

    fn accepted(&self, directory: &Path) {
        let at = directory.to_str().unwrap();
        let arguments = ["restore", "primary", "newest", "current", at, "--dry-run"];
        self.daemon.cli(&arguments).ok();
    }

    /// A stored file of the backup whose name begins so.
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

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_dry_run_finds_what_the_restore_would_refuse() {
    let scratch = Scratch::new("dry");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    cluster.wait_streaming("pgmoneta");
    let at = scratch.directory("ts");
    cluster.sql(&format!("CREATE TABLESPACE ts LOCATION '{}'", at.display()));
    daemon.backup("primary");
    let oid = cluster.sql("SELECT oid FROM pg_tablespace WHERE spcname = 'ts'");
    let refusing = Refusing {
        scratch,
        daemon,
        _cluster: cluster,
        oid,
    };
    directories(&refusing);
    stored_files(&refusing);
}

fn directories(refusing: &Refusing) {
    let scratch = &refusing.scratch;
    let name = crate::harness::run(user().command("id").arg("-un"));
    let user_name = format!("the user {}", name.trim());
    let free = scratch.directory("free");
    refusing.accepted(&free);
    let closed = scratch.directory("closed");
    mode(&closed, 0o500);
    let write = format!("may not write to {}", closed.display());
    let texts = [write.as_str(), &user_name];
    refusing.refused(&closed, &[], &texts);
    refusing.refused(&closed.join("a/b"), &[], &texts);
    let tablespace = format!("{}={}", refusing.oid, closed.join("ts").display());
    refusing.refused(&free, &["--tablespace", &tablespace], &texts);
    let dark = scratch.directory("dark");
    mode(&dark, 0o000);
    let look = format!("may not look into {}", dark.display());
    refusing.refused(&dark.join("a"), &[], &[&look, &user_name]);
    mode(&dark, 0o700);
    let file = scratch.write("file", "");
    refusing.refused(&file.join("a"), &[], &["it is not a directory"]);
    let dangling = scratch.join("dangling");
    std::os::unix::fs::symlink("/nowhere/at/all", &dangling).unwrap();
    refusing.refused(&dangling, &[], &["a symbolic link to nothing"]);
    let long = scratch.join("x".repeat(300));
    refusing.refused(&long, &[], &["name too long"]);
    assert_eq!(fs::read_dir(&free).unwrap().count(), 0);
    if matches!(user(), User::Other { .. }) {
        // Made by another user than the daemon's, who may write there.
        let label = refusing.daemon.labels("primary").pop().unwrap();
        let foreign = free.join(format!("primary-{label}"));
        fs::create_dir(&foreign).unwrap();
        mode(&foreign, 0o777);
        refusing.refused(&free, &[], &["belongs to the user root", &user_name]);
        fs::remove_dir(&foreign).unwrap();
    }
}

fn stored_files(refusing: &Refusing) {
    let into = refusing.scratch.directory(&unique("stored"));
    let path = refusing.stored("pg_hba");
    let old = fs::read(&path).unwrap();
    mode(&path, 0o000);
    let shown = path.display().to_string();
    refusing.refused(&into, &[], &["may not read", &shown]);
    fs::remove_file(&path).unwrap();
    refusing.refused(&into, &[], &[&shown, "is missing"]);
    write_owned(&path, &old[1..]);
    refusing.refused(&into, &[], &[&shown, "were stored"]);
    write_owned(&path, &old);
    refusing.accepted(&into);
    assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
}
