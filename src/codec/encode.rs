//! Encoding a whole file in one thread.

use std::io::{Read, Write};

use super::{CHUNK_SIZE, Digests, EncodeOptions, FrameCompressor, PlainDigest, StoredWriter};
use crate::error::{Context, Result};
use crate::unit::read_full;

/// Reads all of `plain`, compresses it in frames and encrypts it, in this thread. A compressed
/// empty file is one empty frame, which every tool reads.
pub fn encode(
    plain: &mut dyn Read,
    stored: &mut dyn Write,
    options: &EncodeOptions,
) -> Result<Digests> {
    let compressor = FrameCompressor::new(options);
    let mut writer = StoredWriter::new(stored, options)?;
    let mut digest = PlainDigest::new();
    let mut chunk = vec![0; CHUNK_SIZE];
    let mut frame = Vec::new();
    loop {
        let bytes = read_full(plain, &mut chunk).context("read the plain bytes")?;
        if bytes.is_empty() && digest.size() > 0 {
            break;
        }
        let count = bytes.len();
        digest.update(bytes);
        if compressor.is_copy() {
            writer.write(bytes)?;
        } else {
            compressor.compress_frame(bytes, &mut frame)?;
            writer.write(&mut frame)?;
        }
        if count < CHUNK_SIZE {
            break;
        }
    }
    Ok(writer.finish(&digest)?.1)
}
