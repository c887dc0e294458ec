//! Compression of whole messages in memory, for the management protocol.

use super::Compression;
use crate::error::{Context, Error, ErrorKind, Result};

/// Compresses a message.
pub fn compress_message(plain: &[u8], compression: Compression) -> Result<Vec<u8>> {
    (compression.coder().compress_message)(plain)
        .with_context(|| format!("compress a message with {compression}"))
}

/// The reverse of [`compress_message`]. The message must be complete, with no bytes after it, and
/// at most `limit` bytes after decompression.
pub fn decompress_message(
    mut packed: &[u8],
    compression: Compression,
    limit: usize,
) -> Result<Vec<u8>> {
    let plain = (compression.coder().decompress_message)(&mut packed, limit);
    plain
        .and_then(|plain| match packed {
            [] => Ok(plain),
            _ => Err(Error::new(ErrorKind::Corrupt, "bytes follow its end")),
        })
        .with_context(|| format!("decompress a message with {compression}"))
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
