//! Dependency rules of the source tree.
//!
//! The rules are tables in [`rules`]; [`source`] is a minimal parser of Rust.

mod circles;
mod rules;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use circles::Tree;
use rules::{long_lines, problems};

#[test]
fn every_source_file_follows_the_rules() {
    let files = sources();
    assert!(files.len() > 20, "only {} files found", files.len());
    let found: Vec<_> = files
        .iter()
        .flat_map(|(name, text)| problems(name, text))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn no_file_uses_a_file_that_uses_it_and_no_folder_has_a_name_twice() {
    let files = sources();
    let tree = Tree::new(files.iter().map(|(name, text)| (&**name, &**text)));
    let found = [tree.circles(), tree.double_names()].concat();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn no_line_is_too_long() {
    let mut found = Vec::new();
    for directory in ["src", "tests", "benches"] {
        for (name, text) in files_below(directory) {
            found.extend(long_lines(&format!("{directory}/{name}"), &text));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_line_that_is_too_long_is_found() {
    let long = format!("    // {}", "ä".repeat(94));
    let table = "#[rustfmt::skip]\nconst A: [&str; 1] = [\n";
    let text = format!(
        "{table}{long}\n];\n{long}\n{}\n{long} https://x",
        &long[..99]
    );
    assert_eq!(
        long_lines("src/job/x.rs", &text),
        ["src/job/x.rs:5: 101 columns"]
    );
}

#[test]
fn every_dependency_has_a_reason_and_allowed_modules() {
    let manifest = include_str!("../Cargo.toml");
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let mut crates = Vec::new();
    for line in section.lines().filter(|line| line.contains(" = ")) {
        let (name, rest) = line.split_once(" = ").unwrap();
        assert!(rest.contains(" # "), "{name}: no reason given");
        crates.push(name.replace('-', "_"));
    }
    let mut allowed: Vec<_> = rules::CRATE_USERS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    crates.sort();
    allowed.sort();
    assert_eq!(crates, allowed, "Cargo.toml and CRATE_USERS");
}

#[test]
fn an_upward_use_is_found() {
    assert_found("storage/x.rs", "use crate::job::run;", "storage uses job");
    assert_found(
        "storage/x.rs",
        "fn f() { crate::job::run(); }",
        "storage uses job",
    );
    assert_found(
        "unit/x.rs",
        "use crate::{error::Result, pool};",
        "unit uses pool",
    );
    assert_found(
        "codec/x.rs",
        "use super::super::daemon;",
        "codec uses daemon",
    );
    assert_found("codec/mod.rs", "use super::daemon;", "codec uses daemon");
    assert_found(
        "bin/pgmoneta.rs",
        "use pgmoneta::daemon;",
        "bin uses daemon",
    );
}

#[test]
fn a_use_within_a_layer_is_found() {
    assert_found("net/x.rs", "use crate::crypto::Secret;", "net uses crypto");
    assert_found("error.rs", "use crate::unit::Lsn;", "error uses unit");
    assert_found("sys/x.rs", "use crate::pool::Pool;", "sys uses pool");
}

#[test]
fn a_crate_outside_of_its_modules_is_found() {
    assert_found("job/x.rs", "use zstd::Encoder;", "zstd");
    assert_found("job/x.rs", "fn f() { ::zstd::encode_all(); }", "zstd");
    assert_found("storage/x.rs", "fn f() { libc::sync() }", "libc");
}

#[test]
fn a_durable_call_outside_of_storage_is_found() {
    assert_found("job/x.rs", "fn f() { std::fs::rename(a, b)?; }", "rename");
    assert_found(
        "job/x.rs",
        "use std::fs::{self, remove_file};",
        "remove_file",
    );
    assert_found("job/x.rs", "fn f() { file.sync_all()?; }", "sync_all");
    assert_found("job/x.rs", "use rustix::fs::{fsync, open};", "fsync");
}

#[test]
fn a_compression_method_outside_of_its_row_is_found() {
    assert_found(
        "job/x.rs",
        "fn f() { match x { Compression::Zstd => 3 } }",
        "Zstd",
    );
}

#[test]
fn a_circle_is_found_through_title_pages_and_child_modules() {
    let files = [
        ("lib.rs", "pub mod job;"),
        (
            "job/mod.rs",
            "mod a; mod b; mod c; pub use b::{B, make as made};",
        ),
        ("job/a.rs", "use super::B; use super::c;"),
        (
            "job/b.rs",
            "fn f() { crate::job::c::g(); } #[cfg(test)] mod tests { use super::a; }",
        ),
        ("job/c.rs", "mod d; fn g() { d::h(); }"),
        ("job/c/d.rs", "use super::super::a::{self, A}; use std::a;"),
        ("job/tests.rs", "use super::a;"),
    ];
    let circle = "circle: job/a.rs -> job/c.rs -> job/c/d.rs -> job/a.rs";
    assert_eq!(Tree::new(files).circles()[0], circle);
    let mut open = files;
    open[5].1 = "use super::super::x;";
    assert_eq!(Tree::new(open).circles(), Vec::<String>::new());
}

#[test]
fn a_name_of_two_types_in_one_folder_is_found() {
    let files = [
        (
            "job/a.rs",
            "pub struct State; struct Own; fn f() { let state = State; }",
        ),
        (
            "job/b.rs",
            "enum State {} #[cfg(test)] mod tests { struct Own; }",
        ),
        ("pg/a.rs", "trait Own {}"),
    ];
    let found = Tree::new(files).double_names();
    assert_eq!(found, ["src/job/b.rs:1: State is in src/job/a.rs too"]);
}

#[test]
fn unsafe_outside_of_sys_is_found() {
    assert_found("pg/x.rs", "fn f() { unsafe { g() } }", "unsafe");
}

#[test]
fn code_in_mod_rs_is_found() {
    assert_found("pg/mod.rs", "//! Title\nmod x;\nfn f() {}", "mod.rs");
}

#[test]
fn allowed_code_is_not_reported() {
    for (file, text) in [
        (
            "job/x.rs",
            "use crate::{storage::AtomicFile, error::{ErrorKind, Result}};",
        ),
        (
            "unit/x.rs",
            "use crate::error::Result; use super::lsn::Lsn; use crate::unit::Lsn;",
        ),
        (
            "job/wal/x.rs",
            "use super::super::context::Job; use super::y;",
        ),
        (
            "net/x.rs",
            "// crate::job\n/* use crate::job; /* x */ */ const S: &str = \"crate::job\";",
        ),
        (
            "net/x.rs",
            "const S: &str = r#\"crate::job \" unsafe\"#; fn f<'a>(x: &'a str) -> char { '\\'' }",
        ),
        (
            "net/x.rs",
            "#[cfg(test)]\nmod tests { use crate::job::x; fn f() { unsafe {} } }",
        ),
        (
            "job/x.rs",
            "fn f() { storage::remove_file(path)?; name.rename(); x == Compression::None }",
        ),
        (
            "storage/x.rs",
            "fn f() { std::fs::rename(a, b)?; file.sync_all()?; }",
        ),
        ("pg/mod.rs", "//! Title\nmod x;\npub use x::{A, B};"),
    ] {
        assert_eq!(problems(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

fn assert_found(file: &str, text: &str, what: &str) {
    let found = problems(file, text);
    assert!(
        found.iter().any(|line| line.contains(what)),
        "{text}: {found:?}"
    );
}

/// The names below `src/` and the texts of all source files.
fn sources() -> Vec<(String, String)> {
    files_below("src")
}

fn files_below(directory: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut files = Vec::new();
    collect(&root, &mut files);
    let read = |file: PathBuf| {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap();
        (name.to_owned(), fs::read_to_string(&file).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
