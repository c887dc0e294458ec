//! Encoding a whole file in one thread.

use std::io::{self, Read, Write};

use super::{CHUNK_SIZE, Digests, EncodeOptions, FrameCompressor, PlainDigest, StoredWriter};
use crate::error::{Context, Result};

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
        let count = fill(plain, &mut chunk).context("read the plain bytes")?;
        let bytes = chunk.get_mut(..count).unwrap_or_default();
        if count == 0 && digest.size() > 0 {
            break;
        }
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

/// Reads until `buffer` is full or the input ends.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match input.read(room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
