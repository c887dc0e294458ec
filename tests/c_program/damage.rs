//! Damaged backups: each is named, hides no other one, and is not restored.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::repository::CRepository;
use crate::harness::{Output, write_owned};

/// A repository whose newer backup has links to the older one.
struct Damage {
    repository: CRepository,
    old: PathBuf,
    new: PathBuf,
}

impl Damage {
    fn new() -> Damage {
        let repository = CRepository::new("15-none-none");
        let [old, new] = &repository.labels[..] else {
            panic!("{:?}", repository.labels)
        };
        let (old, new) = (repository.backup(old), repository.backup(new));
        Damage {
            repository,
            old,
            new,
        }
    }

    fn label(backup: &Path) -> &str {
        backup.file_name().unwrap().to_str().unwrap()
    }

    fn verify(&self, backup: &Path) -> Output {
        let daemon = &self.repository.daemon;
        daemon.cli(&["verify", "primary", Damage::label(backup)])
    }

    /// Restores the newer backup, which must fail with `text` and leave nothing.
    fn is_not_restored(&self, text: &str) {
        let daemon = &self.repository.daemon;
        let into = format!("r{}", fs::read_dir(daemon.directory()).unwrap().count());
        let label = Damage::label(&self.new);
        let output = daemon.restore_output("primary", label, Some("immediate"), &into);
        let output = output.fails(1, text);
        let left = fs::read_dir(daemon.directory().join(into)).unwrap().count();
        assert_eq!(left, 0, "{output}");
    }
}

/// Changes or removes a file, calls `check`, and puts it back as it was.
fn while_changed(path: &Path, content: Option<&[u8]>, check: impl FnOnce()) {
    let away = path.with_extension("kept");
    fs::rename(path, &away).unwrap();
    if let Some(content) = content {
        write_owned(path, content);
    }
    check();
    let _ = fs::remove_file(path);
    fs::rename(&away, path).unwrap();
}

#[test]
fn a_damaged_or_missing_file_of_the_c_program_is_named() {
    let damage = Damage::new();
    let (old, new) = (&damage.old, &damage.new);
    // The file of the older backup is that of the newer one too.
    let file = old.join("data/global/1261");
    let mut damaged = fs::read(&file).unwrap();
    damaged[100] ^= 1;
    while_changed(&file, Some(&damaged), || {
        damage.verify(old).fails(1, "global/1261");
        damage.verify(new).fails(1, "global/1261");
        damage.is_not_restored("global/1261");
    });
    while_changed(&file, None, || {
        damage.verify(new).fails(1, "global/1261 is missing");
    });

    let link = new.join("data/global/1261");
    let text = fs::read_link(&link).unwrap();
    for (other, word) in [
        ("/etc/passwd", "not a backup of this server"),
        ("1261", "circle"),
    ] {
        fs::remove_file(&link).unwrap();
        symlink(other, &link).unwrap();
        damage.verify(new).fails(1, word);
        damage.is_not_restored(word);
    }
    fs::remove_file(&link).unwrap();
    symlink(text, &link).unwrap();

    let away = damage.repository.scratch.join("away");
    fs::rename(old, &away).unwrap();
    let gone = format!("the backup {} is gone", Damage::label(old));
    damage.verify(new).fails(1, &gone);
    damage.is_not_restored(&gone);
    fs::rename(&away, old).unwrap();
    damage.verify(new).ok();
}

#[test]
fn damaged_lists_of_the_c_program_are_named_and_hide_no_backup() {
    let damage = Damage::new();
    let new = &damage.new;
    let server = new.join("data/backup_manifest");
    let text = fs::read_to_string(&server).unwrap();
    let outside = text.replace("\"global/1261\"", "\"../../evil\"");
    while_changed(&server, Some(outside.as_bytes()), || {
        let why = "its SHA-512 is not the one in backup.sha512";
        damage.verify(new).fails(1, why);
        damage.is_not_restored(why);
    });
    let csv = new.join("backup.manifest");
    let text = fs::read_to_string(&csv).unwrap();
    let changed = text.replace("global/1261,", "global/1261,00");
    while_changed(&csv, Some(changed.as_bytes()), || {
        damage.verify(new).fails(1, "global/1261");
    });
    let sums = new.join("backup.sha512");
    let text = fs::read_to_string(&sums).unwrap();
    let outside = text.replace("*./data/PG_VERSION", "*./../PG_VERSION");
    while_changed(&sums, Some(outside.as_bytes()), || {
        let why = "is not a digest and the path of a file";
        damage.verify(new).fails(1, why);
    });
    damage.verify(new).ok();

    // What is not complete, or cannot be read, is not valid.
    let daemon = &damage.repository.daemon;
    let valid = |backup: &Path| {
        let arguments = ["info", "primary", Damage::label(backup), "--format", "json"];
        let info = daemon.cli(&arguments).ok().json();
        info["Response"]["Valid"].as_str().unwrap().to_owned()
    };
    for (name, content) in [("backup.sha512", &b""[..]), ("backup.info", b"garbage")] {
        while_changed(&new.join(name), Some(content), || {
            assert_eq!(daemon.listed("primary"), damage.repository.labels);
            assert_eq!(
                (&*valid(&damage.old), &*valid(new)),
                ("yes", "no"),
                "{name}"
            );
            damage.is_not_restored("not valid");
        });
    }
}
