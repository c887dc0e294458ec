//! LZ4 frames (`lz4_Frame_format.md` 1.6). The files of the C program are read too.

use std::io::{self, BufRead, Read, Write};

use ::lz4::liblz4::BlockChecksum;
use ::lz4::{BlockMode, BlockSize, ContentChecksum, Decoder, EncoderBuilder};

use super::super::cipher::DecryptingReader;
use super::frames::{damaged, message_too_long, truncated};
use super::lz4_records::{Records, is_record};
use super::method::{Coder, FrameReader, Method};
use crate::error::{Error, ErrorKind, Result};
use crate::unit::to_u64;

pub const METHOD: Method = Method {
    names: ("lz4", &["client-lz4", "server-lz4"]),
    suffix: ".lz4",
    code: 3,
    levels: (1, 12),
    // A frame, or a record of the C program.
    is_start: |bytes| bytes.starts_with(&[0x04, 0x22, 0x4d, 0x18]) || is_record(bytes),
};

pub const CODER: Coder = Coder {
    default_level: 1,
    compress,
    compress_pages: None,
    decompress: |input| Ok(Box::new(Frames(State::BetweenFrames(input)))),
    compress_message,
    decompress_message,
};

const NAME: &str = "lz4 frame";

/// Writes a frame without checksums: the digests are stored elsewhere.
fn compress(level: i32, plain: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
    frame.reserve(plain.len() + plain.len() / 64 + 64);
    let mut encoder = EncoderBuilder::new()
        .block_size(BlockSize::Max1MB)
        .block_mode(BlockMode::Independent)
        .block_checksum(BlockChecksum::NoBlockChecksum)
        .checksum(ContentChecksum::NoChecksum)
        .content_size(to_u64(plain.len()))
        .auto_flush(true)
        .level(level.unsigned_abs())
        .build(frame)?;
    encoder.write_all(plain)?;
    encoder.finish().1
}

/// One LZ4 block behind its plain length (4 bytes, big-endian).
fn compress_message(plain: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(plain.len())
        .map_err(|_| Error::new(ErrorKind::Usage, "the message is too long for LZ4"))?;
    let mut packed = length.to_be_bytes().to_vec();
    packed.extend(::lz4::block::compress(plain, None, false)?);
    Ok(packed)
}

fn decompress_message(packed: &mut &[u8], limit: usize) -> Result<Vec<u8>> {
    let packed = std::mem::take(packed);
    let (length, block) = packed
        .split_first_chunk::<4>()
        .ok_or_else(|| Error::new(ErrorKind::Corrupt, "it is too short for its length"))?;
    let length = u32::from_be_bytes(*length);
    // An LZ4 block expands at most 255 times, so a false length cannot cause a much larger
    // allocation.
    let bound = packed.len().saturating_mul(255).min(limit);
    let size = i32::try_from(length).ok();
    let size = size.filter(|_| usize::try_from(length).is_ok_and(|length| length <= bound));
    let size = size.ok_or_else(|| message_too_long(bound))?;
    let plain = ::lz4::block::decompress(block, Some(size))
        .map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))?;
    if u32::try_from(plain.len()) != Ok(length) {
        return Err(Error::new(ErrorKind::Corrupt, "it is shorter than it says"));
    }
    Ok(plain)
}

/// Reads a sequence of frames, or of records of the C program. The library's decoder reads no byte
/// after its frame, so the next one can continue there.
struct Frames(State);

enum State {
    BetweenFrames(DecryptingReader),
    InFrame(Box<Decoder<DecryptingReader>>),
    InRecords(Box<Records>),
    Failed,
}

impl FrameReader for Frames {
    fn into_input(self: Box<Self>) -> Option<DecryptingReader> {
        match self.0 {
            State::BetweenFrames(input) => Some(input),
            State::InFrame(decoder) => Some(decoder.finish().0),
            State::InRecords(records) => Some(records.into_input()),
            State::Failed => None,
        }
    }
}

impl Read for Frames {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.0, State::Failed) {
                State::BetweenFrames(mut input) => {
                    let ahead = input.fill_buf()?;
                    if ahead.is_empty() {
                        self.0 = State::BetweenFrames(input);
                        return Ok(0);
                    }
                    self.0 = if is_record(ahead) {
                        State::InRecords(Box::new(Records::new(input)))
                    } else {
                        State::InFrame(Box::new(Decoder::new(input)?))
                    };
                }
                State::InFrame(mut decoder) => match decoder.read(buf).map_err(decoder_error)? {
                    0 => {
                        let (input, complete) = decoder.finish();
                        complete.map_err(|_| truncated(NAME))?;
                        self.0 = State::BetweenFrames(input);
                    }
                    count => {
                        self.0 = State::InFrame(decoder);
                        return Ok(count);
                    }
                },
                State::InRecords(mut records) => {
                    let count = records.read(buf)?;
                    self.0 = State::InRecords(records);
                    return Ok(count);
                }
                State::Failed => return Err(damaged(NAME, &"reading it failed before")),
            }
        }
    }
}

/// Errors of the library have no kind; those of the input have one and are passed on.
fn decoder_error(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::Other {
        damaged(NAME, &error)
    } else {
        error
    }
}
