use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::codec::{Compression, Level};
use crate::crypto::MasterKey;
use crate::unit::{Encryption, SegmentSize, Timeline};

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

fn coding(compression: Compression, encryption: Encryption) -> EncodeOptions {
    let key = MasterKey::for_tests(1);
    EncodeOptions {
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

fn write_plain(directory: &WalDirectory) -> PathBuf {
    let plain = directory.path().join("0000000100000000000000FF");
    fs::write(&plain, content()).unwrap();
    plain
}

fn read(directory: &WalDirectory, coding: &EncodeOptions) -> Vec<u8> {
    let file = directory.find(SEGMENT).unwrap().unwrap();
    let key = coding.key.as_ref().unwrap();
    let mut source = directory.open(&file.path(), file.suffixes, key).unwrap();
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes).unwrap();
    source.finish().unwrap();
    bytes
}

#[test]
fn the_plain_file_is_removed_after_sealing() {
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
        write_plain(&directory);
        assert_eq!(seal(&directory, SEGMENT, &coding).unwrap(), Sealed::Done);
        assert_eq!(names(&directory), [name]);
        assert!(read(&directory, &coding) == content());
        assert_eq!(
            seal(&directory, SEGMENT, &coding).unwrap(),
            Sealed::Done,
            "sealing twice"
        );
        fs::remove_file(directory.path().join(name)).unwrap();
    }
}

#[test]
fn a_plain_file_beside_a_sealed_one_is_removed_only_if_they_match() {
    let (_scratch, directory) = scratch("seal-two");
    let zstd = coding(Compression::Zstd, Encryption::None);
    write_plain(&directory);
    seal(&directory, SEGMENT, &zstd).unwrap();
    let sealed = directory.path().join("0000000100000000000000FF.zstd");
    let good = fs::read(&sealed).unwrap();

    write_plain(&directory);
    assert_eq!(seal(&directory, SEGMENT, &zstd).unwrap(), Sealed::Done);
    assert_eq!(names(&directory), ["0000000100000000000000FF.zstd"]);
    assert!(fs::read(&sealed).unwrap() == good, "not written again");

    for damage in [good[..good.len() - 1].to_vec(), Vec::new(), {
        let mut other = good.clone();
        other[good.len() / 2] ^= 1;
        other
    }] {
        write_plain(&directory);
        fs::write(&sealed, &damage).unwrap();
        assert_eq!(seal(&directory, SEGMENT, &zstd).unwrap(), Sealed::Replaced);
        assert!(read(&directory, &zstd) == content());
        assert_eq!(names(&directory).len(), 1);
    }

    // Another method than before: the damaged file of the old method is removed.
    write_plain(&directory);
    fs::write(&sealed, b"damage").unwrap();
    let gzip = coding(Compression::Gzip, Encryption::None);
    assert_eq!(seal(&directory, SEGMENT, &gzip).unwrap(), Sealed::Replaced);
    assert_eq!(names(&directory), ["0000000100000000000000FF.gz"]);

    // Compression was switched off since.
    let plain = write_plain(&directory);
    fs::write(directory.path().join("0000000100000000000000FF.gz"), b"x").unwrap();
    let none = coding(Compression::None, Encryption::None);
    assert_eq!(seal(&directory, SEGMENT, &none).unwrap(), Sealed::Replaced);
    assert_eq!(names(&directory), ["0000000100000000000000FF"]);
    assert!(fs::read(plain).unwrap() == content());
}

#[test]
fn a_short_plain_file_is_never_sealed() {
    let (_scratch, directory) = scratch("seal-short");
    let plain = write_plain(&directory);
    fs::write(&plain, &content()[1..]).unwrap();
    let zstd = coding(Compression::Zstd, Encryption::None);
    let failure = seal(&directory, SEGMENT, &zstd).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Corrupt);
    assert_eq!(names(&directory), ["0000000100000000000000FF"]);
}
