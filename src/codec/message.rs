//! Compression of whole messages in memory, for the management protocol.

use std::io::{BufRead, Read, Write};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::unit::Compression;

/// Compresses a message: one gzip member of level 9, one zstd frame of level 1 with the content
/// size in its header, one LZ4 block behind its plain length (4 bytes, big-endian), or one bzip2
/// stream of level 9.
pub fn compress_message(plain: &[u8], compression: Compression) -> Result<Vec<u8>> {
    let action = || format!("compress a message with {compression}");
    match compression {
        Compression::None => Ok(plain.to_vec()),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(plain).with_context(action)?;
            encoder.finish().with_context(action)
        }
        Compression::Zstd => zstd::bulk::compress(plain, 1).with_context(action),
        Compression::Lz4 => {
            let length = u32::try_from(plain.len())
                .map_err(|_| Error::new(ErrorKind::Usage, "the message is too long for LZ4"))?;
            let mut packed = length.to_be_bytes().to_vec();
            packed.extend(lz4::block::compress(plain, None, false).with_context(action)?);
            Ok(packed)
        }
        Compression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
            encoder.write_all(plain).with_context(action)?;
            encoder.finish().with_context(action)
        }
    }
}

/// The reverse of [`compress_message`]. The message must be complete, with no bytes after it, and
/// at most `limit` bytes after decompression.
pub fn decompress_message(
    packed: &[u8],
    compression: Compression,
    limit: usize,
) -> Result<Vec<u8>> {
    let action = || format!("decompress a message with {compression}");
    let mut rest = packed;
    let plain = match compression {
        Compression::None => return Ok(packed.to_vec()),
        Compression::Gzip => read(flate2::bufread::GzDecoder::new(&mut rest), limit),
        Compression::Zstd => zstd::stream::read::Decoder::with_buffer(&mut rest)
            .map_err(Into::into)
            .and_then(|decoder| read(decoder.single_frame(), limit)),
        Compression::Lz4 => return decompress_lz4(packed, limit).with_context(action),
        Compression::Bzip2 => read(bzip2::bufread::BzDecoder::new(&mut rest), limit),
    };
    let plain = plain.with_context(action)?;
    match rest.fill_buf() {
        Ok([]) => Ok(plain),
        _ => Err(Error::new(ErrorKind::Corrupt, "bytes follow its end").context(action())),
    }
}

fn read(decoder: impl Read, limit: usize) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    decoder
        .take(limit.saturating_add(1))
        .read_to_end(&mut plain)
        .map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))?;
    if u64::try_from(plain.len()).unwrap_or(u64::MAX) > limit {
        return Err(too_long());
    }
    Ok(plain)
}

fn decompress_lz4(packed: &[u8], limit: usize) -> Result<Vec<u8>> {
    let (length, block) = packed
        .split_first_chunk::<4>()
        .ok_or_else(|| Error::new(ErrorKind::Corrupt, "it is too short for its length"))?;
    let length = u32::from_be_bytes(*length);
    // An LZ4 block expands at most 255 times, so a false length cannot cause a much larger
    // allocation.
    let bound = packed.len().saturating_mul(255).min(limit);
    let size = i32::try_from(length).ok();
    let size = size.filter(|_| usize::try_from(length).is_ok_and(|length| length <= bound));
    let size = size.ok_or_else(too_long)?;
    let plain = lz4::block::decompress(block, Some(size))
        .map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))?;
    if u32::try_from(plain.len()) != Ok(length) {
        return Err(Error::new(ErrorKind::Corrupt, "it is shorter than it says"));
    }
    Ok(plain)
}

fn too_long() -> Error {
    Error::new(ErrorKind::Corrupt, "it is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_round_trips() {
        for compression in Compression::ALL {
            for plain in [&b""[..], b"{}", &[7; 100_000]] {
                let packed = compress_message(plain, compression).unwrap();
                assert_eq!(
                    decompress_message(&packed, compression, 100_000).unwrap(),
                    plain,
                    "{compression}"
                );
            }
        }
    }

    #[test]
    fn a_damaged_message_is_an_error_and_never_panics() {
        let plain: Vec<u8> = (0..5000u32).flat_map(|n| (n * n).to_be_bytes()).collect();
        for compression in Compression::ALL.into_iter().skip(1) {
            let packed = compress_message(&plain, compression).unwrap();
            for length in (0..packed.len()).step_by(7) {
                assert!(
                    decompress_message(&packed[..length], compression, 1 << 20).is_err(),
                    "{compression} {length}"
                );
            }
            let longer = [&packed[..], b"x"].concat();
            assert!(
                decompress_message(&longer, compression, 1 << 20).is_err(),
                "{compression}"
            );
            assert!(
                decompress_message(&packed, compression, plain.len() - 1).is_err(),
                "{compression}"
            );
        }
        assert!(decompress_message(b"\xff\xff\xff\xffxxxx", Compression::Lz4, 1 << 30).is_err());
    }

    #[test]
    fn zstd_frames_have_the_content_size() {
        let packed = compress_message(&[b'x'; 3000], Compression::Zstd).unwrap();
        let size = zstd::zstd_safe::get_frame_content_size(&packed).unwrap();
        assert_eq!(size, Some(3000));
    }
}
