//! Removing a backup of the C program to which links of others lead.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::scratch::Scratch;
use crate::repository::Repository;
use crate::sys::Stop;

const LABELS: [&str; 3] = ["20260101000000", "20260102000000", "20260103000000"];

/// `base_dir` when the C program made the links.
const OLD: &str = "/elsewhere/pgmoneta";

/// Three backups with the links that the C program makes: absolute, and to links too.
fn add_all(repository: &Repository) {
    let path = |label: &str, file: &str| {
        let path = repository
            .c_backup_path()
            .join(label)
            .join("data/base")
            .join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    let link = |from: &str, to: &str, file: &str| {
        let text = format!("{OLD}/primary/backup/{to}/data/base/{file}");
        symlink(text, path(from, file)).unwrap();
    };
    let [one, two, three] = LABELS;
    for label in LABELS {
        fs::write(path(label, "own"), label).unwrap();
        let info = repository.c_backup_path().join(label).join("backup.info");
        fs::write(info, "STATUS=1\n").unwrap();
    }
    for file in ["chain", "fan", "once"] {
        fs::write(path(one, file), file).unwrap();
    }
    link(two, one, "chain");
    link(three, two, "chain");
    link(two, one, "fan");
    // Made relative by an administrator.
    let text = format!("../../../{one}/data/base/fan");
    symlink(text, path(three, "fan")).unwrap();
    link(two, one, "once");
    fs::write(path(three, "once"), "changed").unwrap();
    // A tablespace: the links lead through that in pg_tblspc of the owner.
    for label in LABELS {
        let backup = repository.c_backup_path().join(label);
        fs::create_dir_all(backup.join("data/pg_tblspc")).unwrap();
        fs::create_dir_all(backup.join("tblspc_far")).unwrap();
        let text = format!("{OLD}/primary/backup/{label}/tblspc_far/");
        symlink(text, backup.join("data/pg_tblspc/16385")).unwrap();
        let file = backup.join("tblspc_far/1");
        if label == one {
            fs::write(file, "far").unwrap();
        } else {
            let text = format!("{OLD}/primary/backup/{one}/data/pg_tblspc/16385/1");
            symlink(text, file).unwrap();
        }
    }
}

/// The content of a file, whose links are followed in this repository.
fn content(repository: &Repository, label: &str, file: &str) -> String {
    let mut path = repository
        .c_backup_path()
        .join(label)
        .join("data/base")
        .join(file);
    while let Ok(text) = path.read_link() {
        path = match text.to_str().unwrap().split_once("primary/backup/") {
            Some((_, below)) => repository.c_backup_path().join(below),
            None => path.parent().unwrap().join(text),
        };
    }
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn check(repository: &Repository) {
    for backup in repository.backups().unwrap() {
        let label = backup.label.as_str();
        let once = if label == LABELS[2] {
            "changed"
        } else {
            "once"
        };
        for (file, text) in [
            ("own", label),
            ("chain", "chain"),
            ("fan", "fan"),
            ("once", once),
        ] {
            assert_eq!(content(repository, label, file), text, "{label} {file}");
            let located = backup
                .locate(&PathBuf::from("data/base").join(file))
                .unwrap();
            assert_eq!(fs::read_to_string(located.path).unwrap(), text);
        }
    }
}

#[test]
fn a_backup_of_the_c_program_goes_and_the_others_have_all_of_their_files() {
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let scratch = Scratch::new("hand-over-c");
        let repository = &scratch.1;
        add_all(repository);
        check(repository);
        for index in order {
            let backup = repository.find(LABELS[index]).unwrap();
            repository
                .remove_backup(&backup, &Stop::new().unwrap())
                .unwrap();
            check(repository);
        }
        assert!(repository.backups().unwrap().is_empty());
    }
}
