//! Unchanged files are linked to those of an older backup, and only good ones.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::scratch::{Files, LABEL, Scratch, TarArchive, archive, coding, key, manifest, pages};
use crate::codec::{CHUNK_SIZE, Compression, EncodeOptions};
use crate::config::LinkMode;
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::repository::{Backup, INFO, ManifestFile};
use crate::storage::link_faults;
use crate::unit::Encryption;

const LABELS: [&str; 4] = [
    "20260101000000",
    "20260102000000",
    "20260103000000",
    "20260104000000",
];

/// A repository with a cluster of its own.
struct Linked {
    scratch: Scratch,
    archives: Vec<TarArchive>,
    files: Files,
    coding: EncodeOptions,
}

impl Linked {
    fn new(name: &str, coding: EncodeOptions) -> Linked {
        let (archives, files) = small_cluster();
        Linked {
            scratch: Scratch::new(name),
            archives,
            files,
            coding,
        }
    }

    fn back_up(&self, label: &str, link: LinkMode) -> Backup {
        let expected = manifest(&self.files);
        let coding = &self.coding;
        let made = self
            .scratch
            .back_up_linked(label, link, coding, &self.archives, &expected);
        made.unwrap()
    }

    /// Verifies every file of each backup.
    fn verify_all(&self) {
        for backup in self.scratch.repository.backups().unwrap() {
            verify(&backup, self.coding.key.as_ref().unwrap()).unwrap();
        }
    }
}

/// As [`super::scratch::cluster`], with files that are just long enough.
fn small_cluster() -> (Vec<TarArchive>, Files) {
    let mut main = vec![
        ("backup_label", Some(LABEL.to_vec())),
        ("base", None),
        ("base/1", None),
        ("base/1/empty", Some(Vec::new())),
        ("base/1/page", Some(pages(8192, 3))),
        ("base/1/chunk", Some(pages(CHUNK_SIZE, 5))),
        ("base/1/large", Some(pages(CHUNK_SIZE + 4711, 7))),
        ("global", None),
    ];
    let names: Vec<String> = (0..30).map(|n| format!("global/{n}")).collect();
    for (number, name) in names.iter().enumerate() {
        main.push((name, Some(pages(number * 100, number))));
    }
    let space = vec![
        ("PG_15_202209061", None),
        ("PG_15_202209061/5", None),
        ("PG_15_202209061/5/16385", Some(pages(8192, 17))),
    ];
    let mut files = Files::new();
    for (prefix, entries) in [("", &main), ("pg_tblspc/16400", &space)] {
        for (path, content) in entries {
            if let Some(content) = content {
                files.insert(Path::new(prefix).join(path), content.clone());
            }
        }
    }
    let archives = [(None, archive(&main)), (Some(16400), archive(&space))];
    (archives.into(), files)
}

fn verify(backup: &Backup, key: &Arc<MasterKey>) -> Result<()> {
    for file in backup.manifest(key)?.all_files() {
        let mut source = backup.open(file, key)?;
        io::copy(&mut source, &mut io::sink())?;
        file.check(&source.finish()?)?;
    }
    Ok(())
}

/// The files of a backup that are not the same inode as in another one.
fn own_files(backup: &Backup, other: &Backup) -> BTreeSet<PathBuf> {
    let inode = |at: &Backup, file: &ManifestFile| at.stored_path(file).metadata().unwrap().ino();
    let files = backup.manifest(&key()).unwrap().files.into_iter();
    let own = files.filter(|file| {
        !other.stored_path(file).exists() || inode(backup, file) != inode(other, file)
    });
    own.map(|file| file.path).collect()
}

fn set(paths: &[&str]) -> BTreeSet<PathBuf> {
    paths.iter().map(PathBuf::from).collect()
}

#[test]
fn unchanged_files_are_stored_once_with_every_method() {
    for compression in Compression::ALL {
        for encryption in [Encryption::None, Encryption::Aes256] {
            let name = format!("once-{compression}-{encryption}");
            let mut linked = Linked::new(&name, coding(compression, encryption));
            let first = linked.back_up(LABELS[0], LinkMode::Hard);
            let second = linked.back_up(LABELS[1], LinkMode::Hard);
            assert_eq!(own_files(&second, &first), set(&[]));
            assert_eq!(first.info.linked_size, 0);
            let stored = |backup: &Backup| -> u64 {
                let manifest = backup.manifest(&key()).unwrap();
                manifest.files.iter().map(|file| file.stored_size).sum()
            };
            assert_eq!(second.info.linked_size, stored(&second));
            // The manifests are compressed.
            let (size, before) = (second.info.backup_size, first.info.backup_size);
            assert!(size.abs_diff(before) < 100, "{size} {before}");
            let repository = &linked.scratch.repository;
            for backup in [&first, &second] {
                assert_eq!(repository.shared_size(backup).unwrap(), stored(backup));
            }

            // Another mode and time are in the manifest; other content is stored anew.
            let changed = vec![1; CHUNK_SIZE + 1];
            let small = vec![2; 100];
            let entries = archive(&[
                ("PG_15_202209061", None),
                ("PG_15_202209061/5", None),
                ("PG_15_202209061/5/16385", Some(changed.clone())),
                ("PG_15_202209061/5/16386", Some(small.clone())),
            ]);
            linked.archives[1].1 = entries;
            let at = Path::new("pg_tblspc/16400/PG_15_202209061/5");
            linked.files.insert(at.join("16385"), changed);
            linked.files.insert(at.join("16386"), small);
            let third = linked.back_up(LABELS[2], LinkMode::Hard);
            let own = own_files(&third, &second);
            assert_eq!(own, [at.join("16385"), at.join("16386")].into());
            linked.verify_all();
            let names = std::fs::read_dir(&third.path).unwrap();
            assert_eq!(names.count(), 6, "no temporary names stay");
        }
    }
}

#[test]
fn nothing_is_linked_if_links_are_off_or_the_older_backup_is_another_ones() {
    let mut linked = Linked::new("not-linked", coding(Compression::Zstd, Encryption::Aes256));
    let first = linked.back_up(LABELS[0], LinkMode::Hard);
    let off = linked.back_up(LABELS[1], LinkMode::Off);
    assert_eq!(own_files(&off, &first).len(), linked.files.len());
    // Another method.
    linked.coding.encryption = Encryption::Aes128;
    let other = linked.back_up(LABELS[2], LinkMode::Hard);
    assert_eq!(other.info.linked_size, 0);
    linked.verify_all();
    // Another master key.
    linked.coding.key = Some(Arc::new(MasterKey::for_tests(2)));
    let other = linked.back_up(LABELS[3], LinkMode::Hard);
    assert_eq!(other.info.linked_size, 0);
    verify(&other, linked.coding.key.as_ref().unwrap()).unwrap();
    // A backup that is not authentic, though not encrypted either, and not newer than others.
    let mut linked = Linked::new("not-signed", coding(Compression::None, Encryption::None));
    let first = linked.back_up(LABELS[0], LinkMode::Hard);
    let info = first.path.join("backup.info");
    let text = std::fs::read_to_string(&info).unwrap();
    let unsigned: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("HMAC"))
        .collect();
    std::fs::write(&info, unsigned.join("\n") + "\n").unwrap();
    let second = linked.back_up(LABELS[1], LinkMode::Hard);
    assert_eq!(second.info.linked_size, 0);
    linked.coding.key = Some(key());
    let third = linked.back_up(LABELS[2], LinkMode::Hard);
    assert_eq!(own_files(&third, &second), set(&[]));
}

#[test]
fn a_bad_older_file_is_stored_anew() {
    for link in [LinkMode::Hard, LinkMode::Symbolic] {
        let name = format!("bad-{link:?}");
        let linked = Linked::new(&name, coding(Compression::Gzip, Encryption::None));
        let first = linked.back_up(LABELS[0], link);
        linked.back_up(LABELS[1], link);
        let bad = ["base/1/page", "base/1/large", "global/25"];
        for path in bad {
            let path = first.path.join(format!("data/{path}.gz"));
            let mut bytes = std::fs::read(&path).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        std::fs::remove_file(first.path.join("data/global/7.gz")).unwrap();
        let truncated = first.path.join("data/global/8.gz");
        std::fs::write(&truncated, b"").unwrap();
        let third = linked.back_up(LABELS[2], link);
        let mut expected = set(&bad);
        expected.insert("global/8".into());
        if link == LinkMode::Symbolic {
            // A hard link to it is still good.
            expected.insert("global/7".into());
        }
        assert_eq!(own_files(&third, &first), {
            let mut missing = expected.clone();
            missing.insert("global/7".into());
            missing
        });
        verify(&third, &key()).unwrap();
        let damaged = linked.scratch.repository.find(LABELS[1]).unwrap();
        for file in damaged.manifest(&key()).unwrap().files {
            let read = || -> Result<()> {
                let mut source = damaged.open(&file, &key())?;
                io::copy(&mut source, &mut io::sink())?;
                file.check(&source.finish()?)
            };
            assert_eq!(
                read().is_err(),
                expected.contains(&file.path),
                "{:?}",
                file.path
            );
        }
    }
}

#[test]
fn symbolic_links_lead_to_the_owner_and_move_with_the_repository() {
    let linked = Linked::new("symbolic", coding(Compression::Lz4, Encryption::Aes192));
    let backups = LABELS.map(|label| linked.back_up(label, LinkMode::Symbolic));
    for backup in &backups[1..] {
        assert!(backup.info.symbolic_links && backup.info.linked_size > 0);
        for file in backup.manifest(&key()).unwrap().files {
            let target = backup.stored_path(&file).read_link().unwrap();
            let up = "../".repeat(file.stored_path.iter().count());
            let expected = format!("{up}{}/{}", LABELS[0], file.stored_path.display());
            assert_eq!(target, Path::new(&expected));
        }
    }
    let repository = &linked.scratch.repository;
    let shared = repository.shared_size(&backups[0]).unwrap();
    assert_eq!(shared, backups[3].info.linked_size);
    assert_eq!(repository.shared_size(&backups[3]).unwrap(), shared);
    let away = repository.path().with_file_name("moved");
    std::fs::rename(repository.path(), &away).unwrap();
    for label in LABELS {
        let label: crate::unit::Label = label.parse().unwrap();
        let path = away.join("basebackup").join(label.as_str());
        verify(&Backup::completed(label, path).unwrap(), &key()).unwrap();
    }
    std::fs::rename(&away, repository.path()).unwrap();
    // A hard link made of a symbolic one is to the file itself.
    let hard = linked.back_up("20260105000000", LinkMode::Hard);
    assert_eq!(own_files(&hard, &backups[0]), set(&[]));
    assert!(!hard.info.symbolic_links);
}

#[test]
fn another_link_or_one_whose_owner_is_gone_is_refused_and_named() {
    let linked = Linked::new("refused", coding(Compression::None, Encryption::None));
    let first = linked.back_up(LABELS[0], LinkMode::Symbolic);
    let second = linked.back_up(LABELS[1], LinkMode::Symbolic);
    let third = linked.back_up(LABELS[2], LinkMode::Symbolic);
    let files = third.manifest(&key()).unwrap().files;
    let file = files
        .iter()
        .find(|file| file.path == Path::new("base/1/page"));
    let (file, key) = (file.unwrap(), key());
    let path = third.stored_path(file);
    let target = path.read_link().unwrap();
    for other in [
        first.stored_path(file).as_path(),
        Path::new("chunk"),
        Path::new("../../../../20260101000000/data/base/1/chunk"),
        // A chain.
        Path::new("../../../../20260102000000/data/base/1/page"),
    ] {
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(other, &path).unwrap();
        let failure = third.open(file, &key).err().unwrap();
        assert!(
            failure.message().contains("base/1/page is a symbolic link"),
            "{failure}"
        );
        assert!(failure.hint().is_some());
    }
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(target, &path).unwrap();
    third.open(file, &key).unwrap();
    std::fs::remove_dir_all(&first.path).unwrap();
    for backup in [&second, &third] {
        let failure = backup.open(file, &key).err().unwrap();
        let text = "the backup 20260101000000, which is gone";
        assert!(failure.message().contains(text), "{failure}");
    }
    // Nothing is linked to what is broken.
    let last = linked.back_up(LABELS[3], LinkMode::Symbolic);
    assert_eq!(last.info.linked_size, 0);
    verify(&last, &key).unwrap();
}

#[test]
fn before_a_backup_goes_its_files_are_handed_over_and_a_stop_at_any_step_harms_no_backup() {
    // Each file takes three steps, in the first and in the second half of the work.
    let second_half = 3 * u32::try_from(small_cluster().1.len()).unwrap();
    hand_over(&[]);
    hand_over(&[0, 1, 2, 3, 5, 2, 1, 10, 4]);
    hand_over(&[second_half + 1]);
    hand_over(&[second_half + 2, second_half + 1]);
}

/// Stops the work after so many steps each, does it to its end, and removes the backup.
fn hand_over(stops: &[u32]) {
    let mut linked = Linked::new("hand-over", coding(Compression::None, Encryption::None));
    let first = linked.back_up(LABELS[0], LinkMode::Symbolic);
    let second = linked.back_up(LABELS[1], LinkMode::Symbolic);
    // The last two have another owner of a file.
    linked.files.insert("base/1/page".into(), vec![7; 8192]);
    linked.archives[0].1 = replaced(&linked.archives[0].1, "base/1/page", &[7; 8192]);
    linked.back_up(LABELS[2], LinkMode::Symbolic);
    linked.back_up(LABELS[3], LinkMode::Symbolic);

    let repository = linked.scratch.repository.clone();
    if stops.is_empty() {
        // One bit of it is damaged.
        let info = second.path.join(INFO);
        let text = std::fs::read_to_string(&info).unwrap();
        assert!(text.contains("SYMBOLIC_LINKS=1"));
        let text = text.replace("SYMBOLIC_LINKS=1", "SYMBOLIC_LINKS=0");
        std::fs::write(&info, text).unwrap();
    }
    for steps in stops {
        link_faults::stop_after(*steps);
        assert!(
            repository.hand_over(&first, &linked.scratch.stop).is_err(),
            "{steps}"
        );
        link_faults::stop_after(u32::MAX);
        linked.verify_all();
        repository.sweep().unwrap();
        for backup in repository.backups().unwrap() {
            let names = std::fs::read_dir(&backup.path).unwrap();
            assert_eq!(names.count(), 6, "no temporary names stay");
        }
    }
    repository.hand_over(&first, &linked.scratch.stop).unwrap();
    assert_eq!(
        repository.hand_over(&first, &linked.scratch.stop).unwrap(),
        0
    );
    std::fs::remove_dir_all(&first.path).unwrap();
    linked.verify_all();
    let owned = |backup: &Backup| {
        let files = backup.manifest(&key()).unwrap().files;
        let own = files
            .iter()
            .filter(|file| !backup.stored_path(file).is_symlink());
        own.count()
    };
    assert_eq!(owned(&second), linked.files.len());
    if stops.is_empty() {
        // After a stop more than one may have a hard link to the same file.
        assert_eq!(owned(&repository.find(LABELS[2]).unwrap()), 1);
        assert_eq!(owned(&repository.find(LABELS[3]).unwrap()), 0);
    }
    // All go but the last.
    for label in [LABELS[1], LABELS[2]] {
        let backup = repository.find(label).unwrap();
        repository.hand_over(&backup, &linked.scratch.stop).unwrap();
        std::fs::remove_dir_all(&backup.path).unwrap();
        linked.verify_all();
    }
    assert_eq!(
        owned(&repository.find("newest").unwrap()),
        linked.files.len()
    );
}

/// The archive with other content, of the same size, of a file.
fn replaced(bytes: &[u8], path: &str, content: &[u8]) -> Vec<u8> {
    let mut entries = tar::Archive::new(bytes);
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let name = entry.path().unwrap().into_owned();
        if name == Path::new(path) {
            builder.append_data(&mut header, name, content).unwrap();
        } else {
            builder.append_data(&mut header, name, &mut entry).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// Moves the data of a backup to another file system, to which there are no hard links.
#[cfg(target_os = "linux")]
fn move_data_away(backup: &Backup) -> PathBuf {
    let name = format!("pgmoneta-away-{}", std::process::id());
    let away = Path::new("/dev/shm").join(name);
    let _ = std::fs::remove_dir_all(&away);
    let data = backup.path.join("data");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&data, &away])
        .status();
    assert!(copied.unwrap().success());
    std::fs::remove_dir_all(&data).unwrap();
    std::os::unix::fs::symlink(&away, &data).unwrap();
    away
}

#[cfg(target_os = "linux")]
#[test]
fn without_hard_links_files_are_stored_anew_and_handed_over_as_copies() {
    let linked = Linked::new("no-links", coding(Compression::Zstd, Encryption::None));
    let first = linked.back_up(LABELS[0], LinkMode::Hard);
    let away = move_data_away(&first);
    let second = linked.back_up(LABELS[1], LinkMode::Hard);
    // The file of the tablespace is still on the same file system, but no more links are tried.
    assert_eq!(own_files(&second, &first).len(), linked.files.len());
    assert_eq!(second.info.linked_size, 0);
    std::fs::remove_dir_all(&second.path).unwrap();

    let third = linked.back_up(LABELS[2], LinkMode::Symbolic);
    assert_eq!(own_files(&third, &first), set(&[]));
    let count = linked
        .scratch
        .repository
        .hand_over(&first, &linked.scratch.stop)
        .unwrap();
    assert_eq!(count, linked.files.len());
    std::fs::remove_dir_all(&first.path).unwrap();
    std::fs::remove_dir_all(&away).unwrap();
    linked.verify_all();
    let mode = third.path.join("data/base/1/page.zstd").metadata().unwrap();
    assert_eq!(mode.mode() & 0o7777, 0o600);
}
