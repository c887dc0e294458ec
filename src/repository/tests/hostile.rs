//! Files that would block their reader, or that decode to more than their size.

use std::path::Path;

use super::scratch::{Scratch, key, label, written};
use crate::repository::Backup;
use crate::unit::SegmentSize;

#[test]
fn a_pipe_or_a_device_instead_of_a_file_does_not_block() {
    let scratch = Scratch::new("pipe");
    let path = scratch.add("20260101000000", "STATUS=1\n");
    scratch.add("20260102000000", "STATUS=1\n");
    std::fs::remove_file(path.join("backup.info")).unwrap();
    let pipe = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    pipe(&path.join("backup.info"));
    pipe(&scratch.1.path().join("system.info"));
    pipe(&scratch.1.wal_path().join("00000002.history"));
    let device = scratch.1.backup_path().join("20260102000000/backup.info");
    std::fs::remove_file(&device).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
    let (sender, results) = std::sync::mpsc::channel();
    let repository = scratch.1.clone();
    std::thread::spawn(move || {
        let backups = repository.backups().unwrap();
        let wal = repository.wal_with_segment_size(SegmentSize::DEFAULT);
        let second = crate::unit::Timeline::new(2).unwrap();
        let _ = sender.send((
            backups.iter().map(|backup| backup.info.valid).collect(),
            repository.system().is_err(),
            wal.history(second).is_err(),
        ));
    });
    let valid: (Vec<bool>, bool, bool) = results
        .recv_timeout(std::time::Duration::from_secs(60))
        .unwrap();
    assert_eq!(valid, (vec![false, false], true, true));
}

#[test]
fn a_file_of_a_backup_is_limited_to_its_size_in_the_manifest() {
    use std::io::Read;
    let scratch = Scratch::new("bomb");
    let label = label("20260101000000");
    let path = scratch.add(label.as_str(), "STATUS=1\n");
    std::fs::create_dir_all(path.join("data/base/1")).unwrap();
    let manifest = written(&path, &label);
    let file = manifest.files.first().unwrap();
    let stored = file.stored.unwrap();
    let coding = crate::codec::EncodeOptions {
        compression: stored.compression,
        level: crate::codec::Level::Auto,
        encryption: stored.encryption,
        key: Some(std::sync::Arc::new(key())),
    };
    let mut bomb = Vec::new();
    let plain = vec![0; 4 << 20];
    crate::codec::encode(&mut &plain[..], &mut bomb, &coding).unwrap();
    let at = path.join(&file.stored_path);
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::fs::write(at, bomb).unwrap();
    let backup = Backup::completed(label, path).unwrap();
    let mut source = backup.open(file, coding.key.as_ref().unwrap()).unwrap();
    let mut out = Vec::new();
    assert!(source.read_to_end(&mut out).is_err());
    assert!(out.len() as u64 <= file.size, "{}", out.len());
}
