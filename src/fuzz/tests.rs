use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

/// `fuzz/`.
fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files in `fuzz/DIRECTORY/TARGET`, of which there may be none.
fn files(directory: &str, target: &str) -> Vec<PathBuf> {
    let directory = fuzz().join(directory).join(target);
    let Ok(entries) = std::fs::read_dir(&directory) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_seeds_and_what_once_failed_keep_every_promise() {
    for (target, _) in TARGETS {
        let seeds = files("seeds", target);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for file in seeds.iter().chain(&files("regressions", target)) {
            let input = std::fs::read(file).unwrap();
            // Shown with the panic of a target.
            println!("{}", file.display());
            run(target, &input);
            // Not from the end of the input alone.
            for length in (0..input.len()).step_by(input.len() / 16 + 1) {
                run(target, &input[..length]);
            }
        }
    }
}

#[test]
fn each_target_is_a_program_of_fuzz_and_each_directory_belongs_to_one() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.0.to_owned()).collect();
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let names = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("name = \""));
    let names = names.map(|name| name.trim_end_matches('"').to_owned());
    let programs: BTreeSet<String> = names.filter(|name| name != "pgmoneta-fuzz").collect();
    assert_eq!(programs, targets, "fuzz/Cargo.toml");
    for directory in ["seeds", "regressions", "fuzz_targets"] {
        for file in files(directory, "") {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(targets.contains(&name), "{}", file.display());
        }
    }
}
