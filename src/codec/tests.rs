//! Round trips, the tools that users have, and files that are not what they must be.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::crypto::MasterKey;
use crate::error::{Kind, Result};
use crate::unit::{Compression, Encryption, Level};

fn key() -> Arc<MasterKey> {
    Arc::new(MasterKey::quick(1))
}

fn coding(compression: Compression, level: Level, encryption: Encryption) -> Coding {
    Coding {
        compression,
        level,
        encryption,
        key: Some(key()),
    }
}

/// Text that compresses, with a part that does not.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    (0..length)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = state.to_be_bytes()[0];
            if at % 8192 < 1000 {
                random
            } else {
                b'a' + u8::try_from(at % 17).unwrap() + (random & 1)
            }
        })
        .collect()
}

fn file(bytes: &[u8]) -> File {
    let path = std::env::temp_dir().join(format!(
        "pgmoneta-codec-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

fn encoded(plain: &[u8], coding: &Coding) -> (Vec<u8>, Digests) {
    let mut stored = Vec::new();
    let digests = encode(&mut &plain[..], &mut stored, coding).unwrap();
    assert_eq!(digests.plain_size, plain.len() as u64);
    assert_eq!(digests.stored_size, stored.len() as u64);
    assert_eq!(digests.crc32c, crc32c::crc32c(plain));
    assert_eq!(digests.blake3, *blake3::hash(plain).as_bytes());
    assert_eq!(digests.sha256, crate::crypto::Sha256::of(&stored));
    (stored, digests)
}

fn decoded(bytes: &[u8], stored: Stored) -> Result<(Vec<u8>, Digests)> {
    let mut source = Source::new(file(bytes), stored, Some(key()))?;
    let mut plain = Vec::new();
    source.read_to_end(&mut plain)?;
    Ok((plain, source.finish()?))
}

fn filter(program: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program[0]));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program:?}");
    output.stdout
}

/// The tool that reads and writes each method.
fn tool(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some("gzip"),
        Compression::Zstd => Some("zstd"),
        Compression::Lz4 => Some("lz4"),
        Compression::Bzip2 => Some("bzip2"),
    }
}

const SIZES: [usize; 7] = [0, 1, 8192, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK / 2];

#[test]
fn every_method_brings_back_what_went_in() {
    for size in SIZES {
        let plain = sample(size);
        for compression in Compression::ALL {
            for encryption in Encryption::ALL {
                let coding = coding(compression, Level::Auto, encryption);
                let (stored, written) = encoded(&plain, &coding);
                let (back, read) = decoded(&stored, coding.stored()).unwrap();
                assert!(back == plain, "{compression} {encryption} {size}");
                assert_eq!(read, written, "{compression} {encryption} {size}");
            }
        }
    }
}

#[test]
fn the_usual_tools_read_what_we_write() {
    for size in SIZES {
        let plain = sample(size);
        for compression in Compression::ALL {
            let Some(tool) = tool(compression) else {
                continue;
            };
            let (stored, _) = encoded(&plain, &coding(compression, Level::Auto, Encryption::None));
            let back = filter(&[tool, "-dc"], &stored);
            assert!(back == plain, "{tool} {size}");
        }
    }
}

#[test]
fn what_the_usual_tools_write_is_read() {
    for size in SIZES {
        let plain = sample(size);
        for compression in Compression::ALL {
            let Some(tool) = tool(compression) else {
                continue;
            };
            let mut stored = filter(&[tool, "-c"], &plain);
            let alone = Stored {
                compression,
                ..Stored::PLAIN
            };
            assert!(decoded(&stored, alone).unwrap().0 == plain, "{tool} {size}");
            stored.extend(filter(&[tool, "-c", "-9"], b"and another"));
            let both = decoded(&stored, alone).unwrap().0;
            assert!(
                both.strip_prefix(&plain[..]) == Some(b"and another"),
                "{tool} {size}"
            );
        }
    }
}

#[test]
fn an_empty_file_without_a_frame_is_empty() {
    for compression in Compression::ALL {
        let stored = Stored {
            compression,
            ..Stored::PLAIN
        };
        assert_eq!(decoded(b"", stored).unwrap().0, b"");
    }
}

#[test]
fn a_truncated_file_is_an_error() {
    let plain = sample(CHUNK + 70_000);
    for compression in Compression::ALL {
        for encryption in [Encryption::None, Encryption::Aes256] {
            let coding = coding(compression, Level::Auto, encryption);
            let (stored, _) = encoded(&plain, &coding);
            if coding.stored() == Stored::PLAIN {
                continue;
            }
            let (first, _) = encoded(&plain[..CHUNK], &coding);
            for length in [
                1,
                3,
                10,
                27,
                43,
                stored.len() / 2,
                stored.len() - 100,
                stored.len() - 1,
            ] {
                assert_ne!(length, first.len(), "the end of a frame");
                let failure = decoded(&stored[..length], coding.stored()).err();
                let kind = failure.as_ref().map(crate::error::Failure::kind);
                assert_eq!(
                    kind,
                    Some(Kind::Corrupt),
                    "{compression} {encryption} {length} {failure:?}"
                );
            }
        }
    }
}

#[test]
fn bytes_after_the_end_are_an_error() {
    let plain = sample(50_000);
    for compression in Compression::ALL {
        for encryption in [Encryption::None, Encryption::Aes256] {
            let coding = coding(compression, Level::Auto, encryption);
            for garbage in [&b"\0"[..], b"garbage", &[0; 512]] {
                if coding.stored() == Stored::PLAIN {
                    continue;
                }
                let (mut stored, _) = encoded(&plain, &coding);
                stored.extend_from_slice(garbage);
                let failure = decoded(&stored, coding.stored()).unwrap_err();
                assert_eq!(
                    failure.kind(),
                    Kind::Corrupt,
                    "{compression} {encryption} {failure}"
                );
            }
        }
    }
}

#[test]
fn a_reader_that_stops_early_learns_that_more_was_there() {
    let (stored, _) = encoded(
        &sample(100),
        &coding(Compression::Zstd, Level::Auto, Encryption::Aes128),
    );
    let how = Stored {
        compression: Compression::Zstd,
        encryption: Encryption::Aes128,
    };
    let mut source = Source::new(file(&stored), how, Some(key())).unwrap();
    source.read_exact(&mut [0; 99]).unwrap();
    assert_eq!(source.finish().unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn another_key_or_key_size_opens_nothing() {
    let coding = coding(Compression::Zstd, Level::Auto, Encryption::Aes256);
    let (stored, _) = encoded(&sample(1000), &coding);
    let other = MasterKey::quick(2);
    let mut source = Source::new(file(&stored), coding.stored(), Some(Arc::new(other))).unwrap();
    assert!(source.read_to_end(&mut Vec::new()).is_err());
    let wrong = Stored {
        encryption: Encryption::Aes128,
        ..coding.stored()
    };
    assert!(decoded(&stored, wrong).is_err());
    assert!(Source::new(file(&stored), coding.stored(), None).is_err());
}

#[test]
fn each_file_has_its_own_salt_and_iv() {
    let coding = coding(Compression::None, Level::Auto, Encryption::Aes256);
    let (one, _) = encoded(b"same", &coding);
    let (other, _) = encoded(b"same", &coding);
    assert_eq!(one.len(), 4 + 44);
    assert_ne!(one[..16], other[..16]);
    assert_ne!(one[16..28], other[16..28]);
}

#[test]
fn levels_out_of_range_are_taken_to_the_nearest() {
    let plain = sample(10_000);
    for compression in Compression::ALL {
        for level in [i32::MIN + 1, -7, 0, 1, 9, 19, i32::MAX] {
            let coding = coding(compression, Level::Fixed(level), Encryption::None);
            let (stored, _) = encoded(&plain, &coding);
            assert!(
                decoded(&stored, coding.stored()).unwrap().0 == plain,
                "{compression} {level}"
            );
        }
    }
}

#[test]
fn the_level_is_chosen_by_what_it_saves() {
    let size = |plain: &[u8], level| {
        let coding = coding(Compression::Zstd, level, Encryption::None);
        encoded(plain, &coding).0.len()
    };
    // Source text, which level 3 makes a tenth smaller than the fast way does.
    let mut text = Vec::new();
    let mut directories = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src"
    ))];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                text.extend(std::fs::read(path).unwrap());
            }
        }
    }
    text.truncate(CHUNK);
    let auto = size(&text, Level::Auto);
    assert_eq!(auto, size(&text, Level::Fixed(3)));
    assert!(auto < size(&text, Level::Fixed(1)));
    // An index on integers: every item differs from the one before in a few bytes.
    let index: Vec<u8> = (0u32..200_000)
        .flat_map(|n| [n / 60, 0x0010_0000 + n % 60, 0x0010, n].map(u32::to_le_bytes))
        .flatten()
        .collect();
    let index = &index[..2 * CHUNK];
    assert!(size(index, Level::Auto) < size(index, Level::Fixed(3)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_in_any_pieces_come_back(
        plain in prop::collection::vec(any::<u8>(), 0..20_000),
        method in 0usize..5,
        cipher in 0usize..4,
        step in 1usize..5000,
    ) {
        let coding = coding(Compression::ALL[method], Level::Auto, Encryption::ALL[cipher]);
        let (stored, written) = encoded(&plain, &coding);
        let mut source = Source::new(file(&stored), coding.stored(), Some(key())).unwrap();
        let (mut back, mut piece) = (Vec::new(), vec![0; step]);
        loop {
            let count = source.read(&mut piece).unwrap();
            if count == 0 { break; }
            back.extend_from_slice(&piece[..count]);
        }
        prop_assert!(back == plain);
        prop_assert_eq!(source.finish().unwrap(), written);
    }

    #[test]
    fn noise_is_never_more_than_an_error(
        noise in prop::collection::vec(any::<u8>(), 1..3000),
        method in 0usize..5,
        keep in 0usize..30,
    ) {
        let compression = Compression::ALL[method];
        let (mut stored, _) = encoded(b"some text", &coding(compression, Level::Auto, Encryption::None));
        stored.truncate(keep);
        stored.extend(noise);
        let how = Stored { compression, ..Stored::PLAIN };
        let _ = decoded(&stored, how);
    }

    #[test]
    fn a_flipped_bit_of_an_encrypted_file_is_noticed(
        plain in prop::collection::vec(any::<u8>(), 0..2000),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let coding = coding(Compression::Lz4, Level::Auto, Encryption::Aes192);
        let (mut stored, _) = encoded(&plain, &coding);
        let at = at.index(stored.len());
        stored[at] ^= 1 << bit;
        prop_assert!(decoded(&stored, coding.stored()).is_err());
    }
}

/// Reads a file of which only the name is known.
fn probed(bytes: &[u8], suffixes: Suffixes) -> Result<(Vec<u8>, Stored)> {
    let path = std::env::temp_dir().join(format!("pgmoneta-probe-{}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let source = Source::probe(&path, suffixes, &key(), &|plain| {
        plain.starts_with(b"\x18\xd1")
    });
    std::fs::remove_file(&path).unwrap();
    let mut source = source?;
    let (mut plain, stored) = (Vec::new(), source.stored());
    source.read_to_end(&mut plain)?;
    source.finish()?;
    Ok((plain, stored))
}

#[test]
fn the_size_of_the_key_is_found_out() {
    let mut wal = sample(300_000);
    wal[..2].copy_from_slice(b"\x18\xd1");
    for compression in Compression::ALL {
        for encryption in Encryption::ALL {
            let coding = coding(compression, Level::Auto, encryption);
            // What begins as it must, what does not, and what has no beginning.
            for plain in [&wal[..], &wal[2..], &wal[..1], &[]] {
                let (stored, _) = encoded(plain, &coding);
                let (read, how) = probed(&stored, coding.stored().named()).unwrap();
                assert!(read == plain, "{compression} {encryption} {}", plain.len());
                assert_eq!(how, coding.stored());
            }
            if encryption == Encryption::None {
                continue;
            }
            let (stored, _) = encoded(&wal, &coding);
            for at in [0, 20, 30, stored.len() / 2, stored.len() - 1] {
                let mut changed = stored.clone();
                changed[at] ^= 1;
                let failure = probed(&changed, coding.stored().named()).unwrap_err();
                assert_eq!(failure.kind(), Kind::Corrupt, "{compression} {at}");
            }
        }
    }
    assert!(
        probed(
            b"short",
            Suffixes {
                compression: Compression::None,
                encrypted: true
            }
        )
        .is_err()
    );
}

#[test]
fn what_the_c_program_calls_lz4_is_called_that() {
    let stored = Stored {
        compression: Compression::Lz4,
        encryption: Encryption::None,
    };
    // The file PG_VERSION of version 15.
    let failure = decoded(b"\x04\0\0\0\x3015\x0A", stored).unwrap_err();
    assert_eq!(failure.kind(), Kind::Unsupported);
    assert!(failure.message().contains("written by the C program"));
}

#[test]
fn no_more_comes_out_of_a_file_than_it_must_have() {
    let plain = vec![0; 8 << 20];
    for compression in Compression::ALL {
        for encryption in [Encryption::None, Encryption::Aes256] {
            let coding = coding(compression, Level::Auto, encryption);
            let (stored, digests) = encoded(&plain, &coding);
            let open = |longest| {
                let source = Source::new(file(&stored), coding.stored(), Some(key())).unwrap();
                source.at_most(longest)
            };
            let mut out = Vec::new();
            let read = open(100_000).read_to_end(&mut out);
            assert_eq!(
                crate::error::Failure::from(read.unwrap_err()).kind(),
                Kind::Corrupt
            );
            assert!(out.len() <= 100_000, "{compression}: {}", out.len());
            let mut whole = open(digests.plain_size);
            std::io::copy(&mut whole, &mut std::io::sink()).unwrap();
            assert_eq!(whole.finish().unwrap(), digests);
        }
    }
}
