//! Round trips, compatibility with the standard tools, and damaged files.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::crypto::MasterKey;
use crate::error::{ErrorKind, Result};
use crate::unit::Encryption;

fn key() -> Arc<MasterKey> {
    Arc::new(MasterKey::for_tests(1))
}

fn options(compression: Compression, level: Level, encryption: Encryption) -> EncodeOptions {
    EncodeOptions {
        compression,
        level,
        encryption,
        key: Some(key()),
    }
}

/// Compressible text with an incompressible part.
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

fn encoded(plain: &[u8], options: &EncodeOptions) -> (Vec<u8>, Digests) {
    let mut stored = Vec::new();
    let digests = encode(&mut &plain[..], &mut stored, options).unwrap();
    assert_eq!(digests.plain_size, plain.len() as u64);
    assert_eq!(digests.stored_size, stored.len() as u64);
    let expected = OwnDigests {
        crc32c: crc32c::crc32c(plain),
        blake3: *blake3::hash(plain).as_bytes(),
        sha256: crate::crypto::Sha256::of(&stored),
    };
    assert_eq!(digests.values, DigestValues::Own(expected));
    (stored, digests)
}

fn decoded(bytes: &[u8], stored: StoredFormat) -> Result<(Vec<u8>, Digests)> {
    let mut source = StoredReader::new(file(bytes), stored, Some(key()))?;
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

/// The command-line tool of a method, which has its name.
fn tool(compression: Compression) -> Option<&'static str> {
    (compression != Compression::None).then(|| compression.name())
}

const SIZES: [usize; 7] = [
    0,
    1,
    8192,
    CHUNK_SIZE - 1,
    CHUNK_SIZE,
    CHUNK_SIZE + 1,
    5 * CHUNK_SIZE / 2,
];

#[test]
fn every_method_round_trips() {
    for size in SIZES {
        let plain = sample(size);
        for compression in Compression::ALL {
            for encryption in Encryption::ALL {
                let options = options(compression, Level::Auto, encryption);
                let (stored, written) = encoded(&plain, &options);
                let (back, read) = decoded(&stored, options.stored()).unwrap();
                assert!(back == plain, "{compression} {encryption} {size}");
                assert_eq!(read, written, "{compression} {encryption} {size}");
            }
        }
    }
}

#[test]
fn standard_tools_read_stored_files() {
    for size in SIZES {
        let plain = sample(size);
        for compression in Compression::ALL {
            let Some(tool) = tool(compression) else {
                continue;
            };
            let (stored, _) = encoded(&plain, &options(compression, Level::Auto, Encryption::None));
            let back = filter(&[tool, "-dc"], &stored);
            assert!(back == plain, "{tool} {size}");
        }
    }
}

#[test]
fn output_of_standard_tools_is_read() {
    for size in SIZES {
        let plain = sample(size);
        for compression in Compression::ALL {
            let Some(tool) = tool(compression) else {
                continue;
            };
            let mut stored = filter(&[tool, "-c"], &plain);
            let alone = StoredFormat {
                compression,
                ..StoredFormat::PLAIN
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
        let stored = StoredFormat {
            compression,
            ..StoredFormat::PLAIN
        };
        assert_eq!(decoded(b"", stored).unwrap().0, b"");
    }
}

#[test]
fn a_truncated_file_is_an_error() {
    let plain = sample(CHUNK_SIZE + 70_000);
    for compression in Compression::ALL {
        for encryption in [Encryption::None, Encryption::Aes256] {
            let options = options(compression, Level::Auto, encryption);
            let (stored, _) = encoded(&plain, &options);
            if options.stored() == StoredFormat::PLAIN {
                continue;
            }
            let (first, _) = encoded(&plain[..CHUNK_SIZE], &options);
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
                let failure = decoded(&stored[..length], options.stored()).err();
                let kind = failure.as_ref().map(crate::error::Error::kind);
                assert_eq!(
                    kind,
                    Some(ErrorKind::Corrupt),
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
            let options = options(compression, Level::Auto, encryption);
            for garbage in [&b"\0"[..], b"garbage", &[0; 512]] {
                if options.stored() == StoredFormat::PLAIN {
                    continue;
                }
                let (mut stored, _) = encoded(&plain, &options);
                stored.extend_from_slice(garbage);
                let failure = decoded(&stored, options.stored()).unwrap_err();
                assert_eq!(
                    failure.kind(),
                    ErrorKind::Corrupt,
                    "{compression} {encryption} {failure}"
                );
            }
        }
    }
}

#[test]
fn finish_before_the_end_is_an_error() {
    let (stored, _) = encoded(
        &sample(100),
        &options(Compression::Zstd, Level::Auto, Encryption::Aes128),
    );
    let how = StoredFormat {
        compression: Compression::Zstd,
        encryption: Encryption::Aes128,
    };
    let mut source = StoredReader::new(file(&stored), how, Some(key())).unwrap();
    source.read_exact(&mut [0; 99]).unwrap();
    assert_eq!(source.finish().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn another_key_or_key_size_is_an_error() {
    let options = options(Compression::Zstd, Level::Auto, Encryption::Aes256);
    let (stored, _) = encoded(&sample(1000), &options);
    let other = MasterKey::for_tests(2);
    let mut source =
        StoredReader::new(file(&stored), options.stored(), Some(Arc::new(other))).unwrap();
    assert!(source.read_to_end(&mut Vec::new()).is_err());
    let wrong = StoredFormat {
        encryption: Encryption::Aes128,
        ..options.stored()
    };
    assert!(decoded(&stored, wrong).is_err());
    assert!(StoredReader::new(file(&stored), options.stored(), None).is_err());
}

#[test]
fn each_file_has_its_own_salt_and_iv() {
    let options = options(Compression::None, Level::Auto, Encryption::Aes256);
    let (one, _) = encoded(b"same", &options);
    let (other, _) = encoded(b"same", &options);
    assert_eq!(one.len(), 4 + 44);
    assert_ne!(one[..16], other[..16]);
    assert_ne!(one[16..28], other[16..28]);
}

#[test]
fn levels_out_of_range_are_clamped() {
    let plain = sample(10_000);
    for compression in Compression::ALL {
        for level in [i32::MIN + 1, -7, 0, 1, 9, 19, i32::MAX] {
            let options = options(compression, Level::Fixed(level), Encryption::None);
            let (stored, _) = encoded(&plain, &options);
            assert!(
                decoded(&stored, options.stored()).unwrap().0 == plain,
                "{compression} {level}"
            );
        }
    }
}

#[test]
fn the_trial_chooses_the_level_by_the_saved_size() {
    let size = |plain: &[u8], level| {
        let options = options(Compression::Zstd, level, Encryption::None);
        encoded(plain, &options).0.len()
    };
    // Source text, which level 3 compresses 10 % better than the fast effort.
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
    text.truncate(CHUNK_SIZE);
    let auto = size(&text, Level::Auto);
    assert_eq!(auto, size(&text, Level::Fixed(3)));
    assert!(auto < size(&text, Level::Fixed(1)));
    // An index on integers: every item differs from the one before in a few bytes.
    let index: Vec<u8> = (0u32..200_000)
        .flat_map(|n| [n / 60, 0x0010_0000 + n % 60, 0x0010, n].map(u32::to_le_bytes))
        .flatten()
        .collect();
    let index = &index[..2 * CHUNK_SIZE];
    assert!(size(index, Level::Auto) < size(index, Level::Fixed(3)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_in_any_chunks_round_trip(
        plain in prop::collection::vec(any::<u8>(), 0..20_000),
        method in 0..Compression::ALL.len(),
        cipher in 0..Encryption::ALL.len(),
        step in 1usize..5000,
    ) {
        let options = options(Compression::ALL[method], Level::Auto, Encryption::ALL[cipher]);
        let (stored, written) = encoded(&plain, &options);
        let mut source = StoredReader::new(file(&stored), options.stored(), Some(key())).unwrap();
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
    fn random_input_never_panics(
        noise in prop::collection::vec(any::<u8>(), 1..3000),
        method in 0..Compression::ALL.len(),
        keep in 0usize..30,
    ) {
        let compression = Compression::ALL[method];
        let options = options(compression, Level::Auto, Encryption::None);
        let (mut stored, _) = encoded(b"some text", &options);
        stored.truncate(keep);
        stored.extend(noise);
        let how = StoredFormat { compression, ..StoredFormat::PLAIN };
        let _ = decoded(&stored, how);
    }

    #[test]
    fn a_flipped_bit_of_an_encrypted_file_is_detected(
        plain in prop::collection::vec(any::<u8>(), 0..2000),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let options = options(Compression::Lz4, Level::Auto, Encryption::Aes192);
        let (mut stored, _) = encoded(&plain, &options);
        let at = at.index(stored.len());
        stored[at] ^= 1 << bit;
        prop_assert!(decoded(&stored, options.stored()).is_err());
    }
}

/// Reads a file of which only the suffixes are known.
fn probed(bytes: &[u8], suffixes: Suffixes) -> Result<(Vec<u8>, StoredFormat)> {
    let path = std::env::temp_dir().join(format!("pgmoneta-probe-{}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let source = StoredReader::probe(&path, suffixes, &key(), &|plain| {
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
fn the_key_size_is_detected() {
    let mut wal = sample(300_000);
    wal[..2].copy_from_slice(b"\x18\xd1");
    for compression in Compression::ALL {
        for encryption in Encryption::ALL {
            let options = options(compression, Level::Auto, encryption);
            // A valid start, an invalid one, and an empty file.
            for plain in [&wal[..], &wal[2..], &wal[..1], &[]] {
                let (stored, _) = encoded(plain, &options);
                let (read, how) = probed(&stored, options.stored().suffixes()).unwrap();
                assert!(read == plain, "{compression} {encryption} {}", plain.len());
                assert_eq!(how, options.stored());
            }
            if encryption == Encryption::None {
                continue;
            }
            let (stored, _) = encoded(&wal, &options);
            for at in [0, 20, 30, stored.len() / 2, stored.len() - 1] {
                let mut changed = stored.clone();
                changed[at] ^= 1;
                let failure = probed(&changed, options.stored().suffixes()).unwrap_err();
                assert_eq!(failure.kind(), ErrorKind::Corrupt, "{compression} {at}");
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

const LZ4: StoredFormat = StoredFormat {
    compression: Compression::Lz4,
    encryption: Encryption::None,
};

/// Records as the C program writes them: each block is linked to the one before it.
fn lz4_records(plain: &[u8]) -> Vec<u8> {
    let mut stored = Vec::new();
    for (index, block) in plain.chunks(4096).enumerate() {
        let before = &plain[..index * 4096];
        let same = before.len() >= 4096 && before.ends_with(block);
        let body = if same && block.len() > 32 {
            // A match of all but the last bytes with the block before it, and literals.
            let mut body = vec![0x0f, 0x00, 0x10];
            let mut left = block.len() - 12 - 4 - 15;
            while left >= 255 {
                body.push(255);
                left -= 255;
            }
            body.push(u8::try_from(left).unwrap());
            body.push(12 << 4);
            body.extend_from_slice(&block[block.len() - 12..]);
            body
        } else {
            ::lz4::block::compress(block, None, false).unwrap()
        };
        stored.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        stored.extend(body);
    }
    stored
}

#[test]
fn lz4_files_of_the_c_program_are_read() {
    // The file PG_VERSION of version 15.
    assert_eq!(decoded(b"\x04\0\0\0\x3015\x0A", LZ4).unwrap().0, b"15\n");
    let empty = [1, 0, 0, 0, 0];
    assert_eq!(decoded(&empty, LZ4).unwrap().0, b"");
    let page = sample(4096);
    let mut plain = sample(300_000);
    plain.extend(std::iter::repeat_n(&page, 100).flatten());
    plain.extend(vec![7; 100_000]);
    for length in [1, 4095, 4096, 4097, 65_536, 200_000, plain.len()] {
        let mut stored = lz4_records(&plain[plain.len() - length..]);
        stored.extend(empty);
        let (found, digests) = decoded(&stored, LZ4).unwrap();
        assert!(found == plain[plain.len() - length..], "{length}");
        assert_eq!(digests.stored_size, stored.len() as u64);
    }
}

#[test]
fn damaged_lz4_files_of_the_c_program_are_errors() {
    let whole = lz4_records(&sample(10_000));
    for length in [1, 3, 4, 5, whole.len() / 2, whole.len() - 1] {
        assert!(decoded(&whole[..length], LZ4).is_err(), "{length}");
    }
    for wrong in [
        &b"\x04\0\0\0\x3015\x0A\0\0\0\0"[..], // an empty length
        b"\x04\0\0\0\x3015\x0A\x21\x10\0\0",  // a length of 4129
        b"\x04\0\0\0\x10a\x02\x00",           // before the file
        b"\x04\0\0\0\x10a\x00\x00",           // an offset of 0
        b"\x01\0\0\0\x10",                    // no literal
        b"\x02\0\0\0\xf0\xff",                // a length without an end
    ] {
        let failure = decoded(wrong, LZ4).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Corrupt, "{wrong:?}: {failure}");
    }
    // A match of 4111 bytes.
    let mut long = b"\x1fa\x01\x00".to_vec();
    long.extend([255; 16]);
    long.extend([12, 0x50, 1, 2, 3, 4, 5]);
    let mut stored = u32::try_from(long.len()).unwrap().to_le_bytes().to_vec();
    stored.extend(long);
    let failure = decoded(&stored, LZ4).unwrap_err();
    assert!(failure.message().contains("4096"), "{failure}");
}

proptest! {
    #[test]
    fn random_lz4_records_give_an_error_or_bytes(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..8),
    ) {
        let mut stored = Vec::new();
        for block in blocks {
            stored.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
            stored.extend(block);
        }
        let _ = decoded(&stored, LZ4);
    }
}

#[test]
fn plain_bytes_are_limited_to_the_expected_size() {
    let plain = vec![0; 8 << 20];
    for compression in Compression::ALL {
        for encryption in [Encryption::None, Encryption::Aes256] {
            let options = options(compression, Level::Auto, encryption);
            let (stored, digests) = encoded(&plain, &options);
            let open = |longest| {
                let source =
                    StoredReader::new(file(&stored), options.stored(), Some(key())).unwrap();
                source.with_max_size(longest)
            };
            let mut out = Vec::new();
            let read = open(100_000).read_to_end(&mut out);
            assert_eq!(
                crate::error::Error::from(read.unwrap_err()).kind(),
                ErrorKind::Corrupt
            );
            assert!(out.len() <= 100_000, "{compression}: {}", out.len());
            let mut whole = open(digests.plain_size);
            std::io::copy(&mut whole, &mut std::io::sink()).unwrap();
            assert_eq!(whole.finish().unwrap(), digests);
        }
    }
}

#[test]
fn zeros_follow_a_short_file_up_to_a_size() {
    for length in [0, 5000, 70_000] {
        let plain = vec![7; length];
        let source = StoredReader::new(file(&plain), StoredFormat::PLAIN, None).unwrap();
        let mut source = source.with_zeros_up_to(65_536);
        let mut read = Vec::new();
        source.read_to_end(&mut read).unwrap();
        let zeros = vec![0; 65_536_usize.saturating_sub(length)];
        assert_eq!(read, [plain, zeros].concat());
        source.finish().unwrap();
    }
}
