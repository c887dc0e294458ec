//! LZ4 frames (`lz4_Frame_format.md` 1.6).

use std::io::{self, BufRead, Read, Write};

use ::lz4::liblz4::BlockChecksum;
use ::lz4::{BlockMode, BlockSize, ContentChecksum, Decoder, EncoderBuilder};

use super::frames::{damaged, truncated};
use crate::error::{Failure, Kind};

const NAME: &str = "lz4 frame";

/// Writes a frame without checksums: digests of all bytes are kept elsewhere.
pub fn compress(level: i32, plain: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
    frame.reserve(plain.len() + plain.len() / 64 + 64);
    let mut encoder = EncoderBuilder::new()
        .block_size(BlockSize::Max1MB)
        .block_mode(BlockMode::Independent)
        .block_checksum(BlockChecksum::NoBlockChecksum)
        .checksum(ContentChecksum::NoChecksum)
        .content_size(u64::try_from(plain.len()).unwrap_or(0))
        .auto_flush(true)
        .level(u32::try_from(level).unwrap_or(1))
        .build(frame)?;
    encoder.write_all(plain)?;
    encoder.finish().1
}

/// The longest block of the C program: what 4096 bytes take at worst.
const LONGEST_BLOCK_OF_C: u32 = 4128;

/// Whether this is the beginning of what the C program writes under the same suffix: blocks of up to 4096 plain bytes, each
/// behind its length (4 bytes, little-endian), which are no LZ4 frame.
pub fn is_of_c(bytes: &[u8]) -> bool {
    let length = bytes
        .first_chunk()
        .map(|length| u32::from_le_bytes(*length));
    length.is_some_and(|length| (1..=LONGEST_BLOCK_OF_C).contains(&length))
}

/// Reads frames. The library's decoder asks for no byte behind its frame, so the next one can take over.
pub struct Frames<R: BufRead> {
    place: Place<R>,
}

enum Place<R: BufRead> {
    Between(R),
    Within(Box<Decoder<R>>),
    Lost,
}

impl<R: BufRead> Frames<R> {
    pub fn new(input: R) -> Frames<R> {
        Frames {
            place: Place::Between(input),
        }
    }

    pub fn into_inner(self) -> Option<R> {
        match self.place {
            Place::Between(input) => Some(input),
            Place::Within(decoder) => Some(decoder.finish().0),
            Place::Lost => None,
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.place, Place::Lost) {
                Place::Between(mut input) => {
                    let ahead = input.fill_buf()?;
                    if ahead.is_empty() {
                        self.place = Place::Between(input);
                        return Ok(0);
                    }
                    if is_of_c(ahead) {
                        let message = "the file was written by the C program, whose LZ4 format this version cannot read yet";
                        return Err(Failure::new(Kind::Unsupported, message).into());
                    }
                    self.place = Place::Within(Box::new(Decoder::new(input)?));
                }
                Place::Within(mut decoder) => match decoder.read(buf).map_err(told)? {
                    0 => {
                        let (input, complete) = decoder.finish();
                        complete.map_err(|_| truncated(NAME))?;
                        self.place = Place::Between(input);
                    }
                    count => {
                        self.place = Place::Within(decoder);
                        return Ok(count);
                    }
                },
                Place::Lost => return Err(damaged(NAME, &"reading it failed before")),
            }
        }
    }
}

/// The library's errors have no kind; those of the input do and pass.
fn told(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::Other {
        damaged(NAME, &error)
    } else {
        error
    }
}
