//! LZ4 frames (`lz4_Frame_format.md` 1.6).

use std::io::{self, BufRead, Read, Write};

use ::lz4::liblz4::BlockChecksum;
use ::lz4::{BlockMode, BlockSize, ContentChecksum, Decoder, EncoderBuilder};

use super::frames::{damaged, truncated};
use crate::error::{Error, ErrorKind};

const NAME: &str = "lz4 frame";

/// Writes a frame without checksums: the digests are stored elsewhere.
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

/// The largest LZ4 block for 4096 bytes, which is the block size of the C program.
const MAX_C_BLOCK: u32 = 4128;

/// Whether this is the start of what the C program writes with the same suffix: blocks of up to
/// 4096 plain bytes, each after its length (4 bytes, little-endian), without an LZ4 frame.
pub fn is_c_format(bytes: &[u8]) -> bool {
    let length = bytes
        .first_chunk()
        .map(|length| u32::from_le_bytes(*length));
    length.is_some_and(|length| (1..=MAX_C_BLOCK).contains(&length))
}

/// Reads a sequence of frames. The library's decoder reads no byte after its frame, so the next one
/// can continue there.
pub struct Frames<R: BufRead> {
    state: State<R>,
}

enum State<R: BufRead> {
    BetweenFrames(R),
    InFrame(Box<Decoder<R>>),
    Failed,
}

impl<R: BufRead> Frames<R> {
    pub fn new(input: R) -> Frames<R> {
        Frames {
            state: State::BetweenFrames(input),
        }
    }

    pub fn into_inner(self) -> Option<R> {
        match self.state {
            State::BetweenFrames(input) => Some(input),
            State::InFrame(decoder) => Some(decoder.finish().0),
            State::Failed => None,
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Failed) {
                State::BetweenFrames(mut input) => {
                    let ahead = input.fill_buf()?;
                    if ahead.is_empty() {
                        self.state = State::BetweenFrames(input);
                        return Ok(0);
                    }
                    if is_c_format(ahead) {
                        let message = "the file was written by the C program, whose LZ4 format this version cannot read yet";
                        return Err(Error::new(ErrorKind::Unsupported, message).into());
                    }
                    self.state = State::InFrame(Box::new(Decoder::new(input)?));
                }
                State::InFrame(mut decoder) => match decoder.read(buf).map_err(decoder_error)? {
                    0 => {
                        let (input, complete) = decoder.finish();
                        complete.map_err(|_| truncated(NAME))?;
                        self.state = State::BetweenFrames(input);
                    }
                    count => {
                        self.state = State::InFrame(decoder);
                        return Ok(count);
                    }
                },
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
