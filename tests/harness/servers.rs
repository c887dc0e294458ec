//! Finds installed PostgreSQL versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::scratch::shared;
use super::user::user;

/// The supported major versions.
pub const MAJORS: [u32; 6] = [13, 14, 15, 16, 17, 18];

/// The directory of the programs of a major version, if it is installed and the unprivileged user
/// can run them.
pub fn installed(major: u32) -> Option<PathBuf> {
    places(major)
        .into_iter()
        .find(|bin| bin.join("initdb").is_file() && version(&bin.join("postgres")) == Some(major))
        .map(|bin| reachable(&bin, major))
}

/// The version and program directory of an installed version, preferably the newest with all client
/// programs: for tests that don't depend on the version.
pub fn server() -> (u32, PathBuf) {
    let complete = |bin: &Path| bin.join("pg_basebackup").is_file();
    let mut found: Vec<_> = MAJORS
        .into_iter()
        .filter_map(|major| Some((major, installed(major)?)))
        .collect();
    found.sort_by_key(|(major, bin)| (complete(bin), *major));
    found
        .pop()
        .expect("a PostgreSQL server; `make test` installs one")
}

/// A client program (psql, pgbench, pg_basebackup …) of the newest version that has it.
pub fn client(name: &str) -> PathBuf {
    // Debian's /usr/bin/psql is a Perl script, whose start takes longer than most queries.
    let mut candidates: Vec<_> = MAJORS.into_iter().rev().flat_map(places_of).collect();
    candidates.extend(places_of_any());
    if let Some(path) = std::env::var_os("PATH") {
        candidates.extend(std::env::split_paths(&path));
    }
    candidates
        .into_iter()
        .map(|bin| bin.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{name} of PostgreSQL; `make test` installs it"))
}

fn places(major: u32) -> Vec<PathBuf> {
    let mut places = places_of(major).to_vec();
    places.extend(places_of_any());
    places
}

/// Directories that may have this major version only.
fn places_of(major: u32) -> [PathBuf; 4] {
    [
        cache().join(major.to_string()).join("bin"),
        format!("/usr/lib/postgresql/{major}/bin").into(), // Debian
        format!("/usr/pgsql-{major}/bin").into(),          // PGDG's packages for Fedora and RHEL
        format!("/usr/local/pgsql-{major}/bin").into(),
    ]
}

/// Directories that may have any version.
fn places_of_any() -> [PathBuf; 2] {
    [
        "/usr/local/bin".into(), // FreeBSD, OpenBSD
        "/usr/bin".into(),       // Fedora
    ]
}

fn cache() -> PathBuf {
    std::env::var_os("PGMONETA_TEST_SERVERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/postgresql"),
        PathBuf::from,
    )
}

fn version(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let digits = text.split(' ').nth(2)?;
    digits
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// The directory itself, or a copy of the installation if the unprivileged user cannot access it
/// (as below `/root`).
fn reachable(bin: &Path, major: u32) -> PathBuf {
    static COPYING: Mutex<()> = Mutex::new(());
    let bin = bin.canonicalize().unwrap();
    if user().can_access(&bin.join("postgres")) {
        return bin;
    }
    let _one_at_a_time = COPYING.lock().unwrap_or_else(|e| e.into_inner());
    let copy = shared().join(format!("postgresql-{major}"));
    if !copy.exists() {
        copy_tree(bin.parent().unwrap(), &copy);
    }
    copy.join("bin")
}

/// Copies a directory recursively; symbolic links stay links, and the copy is world-readable.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    user().chown(to);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), &target).unwrap();
        } else {
            fs::copy(entry.path(), &target).unwrap();
            user().chown(&target);
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}
