use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::crypto::MasterKey;
use crate::unit::{Compression, Encryption, Level, SegmentSize, Timeline};

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SEGMENT: Segment = Segment {
    timeline: Timeline::FIRST,
    number: 0xFF,
};

fn scratch(name: &str) -> (Scratch, WalDirectory) {
    let path = std::env::temp_dir().join(format!("pgmoneta-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    let directory = WalDirectory::new(&path, SegmentSize::new(1 << 20).unwrap());
    (Scratch(path), directory)
}

fn coding(compression: Compression, encryption: Encryption) -> Coding {
    let key = MasterKey::quick(1);
    Coding {
        compression,
        level: Level::Auto,
        encryption,
        key: Some(Arc::new(key)),
    }
}

fn names(directory: &WalDirectory) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn content() -> Vec<u8> {
    (0..1u32 << 18)
        .flat_map(|n| (n / 3).to_le_bytes())
        .collect()
}

fn put(directory: &WalDirectory) -> PathBuf {
    let plain = directory.path().join("0000000100000000000000FF");
    fs::write(&plain, content()).unwrap();
    plain
}

fn read(directory: &WalDirectory, coding: &Coding) -> Vec<u8> {
    let file = directory.find(SEGMENT).unwrap().unwrap();
    let key = coding.key.as_ref().unwrap();
    let mut source = directory.open(&file.path, file.suffixes, key).unwrap();
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes).unwrap();
    source.finish().unwrap();
    bytes
}

#[test]
fn the_plain_file_goes_when_the_sealed_one_is_there() {
    let (_scratch, directory) = scratch("seal");
    for (compression, encryption, name) in [
        (
            Compression::Zstd,
            Encryption::None,
            "0000000100000000000000FF.zstd",
        ),
        (
            Compression::None,
            Encryption::Aes256,
            "0000000100000000000000FF.aes",
        ),
        (
            Compression::Lz4,
            Encryption::Aes256,
            "0000000100000000000000FF.lz4.aes",
        ),
    ] {
        let coding = coding(compression, encryption);
        put(&directory);
        assert_eq!(seal(&directory, SEGMENT, &coding).unwrap(), Sealed::Well);
        assert_eq!(names(&directory), [name]);
        assert!(read(&directory, &coding) == content());
        assert_eq!(
            seal(&directory, SEGMENT, &coding).unwrap(),
            Sealed::Well,
            "once more does no harm"
        );
        fs::remove_file(directory.path().join(name)).unwrap();
    }
}

#[test]
fn of_two_files_the_plain_one_goes_only_if_the_sealed_one_holds_the_same() {
    let (_scratch, directory) = scratch("seal-two");
    let zstd = coding(Compression::Zstd, Encryption::None);
    put(&directory);
    seal(&directory, SEGMENT, &zstd).unwrap();
    let sealed = directory.path().join("0000000100000000000000FF.zstd");
    let good = fs::read(&sealed).unwrap();

    put(&directory);
    assert_eq!(seal(&directory, SEGMENT, &zstd).unwrap(), Sealed::Well);
    assert_eq!(names(&directory), ["0000000100000000000000FF.zstd"]);
    assert!(fs::read(&sealed).unwrap() == good, "it was left alone");

    for damage in [good[..good.len() - 1].to_vec(), Vec::new(), {
        let mut other = good.clone();
        other[good.len() / 2] ^= 1;
        other
    }] {
        put(&directory);
        fs::write(&sealed, &damage).unwrap();
        assert_eq!(seal(&directory, SEGMENT, &zstd).unwrap(), Sealed::Replaced);
        assert!(read(&directory, &zstd) == content());
        assert_eq!(names(&directory).len(), 1);
    }

    // Another method than before: the damaged file of the old one must not stay.
    put(&directory);
    fs::write(&sealed, b"damage").unwrap();
    let gzip = coding(Compression::Gzip, Encryption::None);
    assert_eq!(seal(&directory, SEGMENT, &gzip).unwrap(), Sealed::Replaced);
    assert_eq!(names(&directory), ["0000000100000000000000FF.gz"]);

    // Compression was switched off since.
    let plain = put(&directory);
    fs::write(directory.path().join("0000000100000000000000FF.gz"), b"x").unwrap();
    let none = coding(Compression::None, Encryption::None);
    assert_eq!(seal(&directory, SEGMENT, &none).unwrap(), Sealed::Replaced);
    assert_eq!(names(&directory), ["0000000100000000000000FF"]);
    assert!(fs::read(plain).unwrap() == content());
}

#[test]
fn a_short_plain_file_is_never_sealed() {
    let (_scratch, directory) = scratch("seal-short");
    let plain = put(&directory);
    fs::write(&plain, &content()[1..]).unwrap();
    let zstd = coding(Compression::Zstd, Encryption::None);
    let failure = seal(&directory, SEGMENT, &zstd).unwrap_err();
    assert_eq!(failure.kind(), Kind::Corrupt);
    assert_eq!(names(&directory), ["0000000100000000000000FF"]);
}
