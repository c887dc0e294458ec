//! Compressing to and reading from bzip2 streams.

use std::io::{self, Write};

use ::bzip2::bufread::BzDecoder;
use ::bzip2::write::BzEncoder;
use ::bzip2::{Action, Compress, Compression, Decompress, Status};

use super::frames::{Decode, FrameSequence, Step, counter_delta, read_message};
use super::method::{Coder, Method};
use crate::error::Result;
use crate::unit::after;

pub const METHOD: Method = Method {
    names: ("bzip2", &["bz2", "client-bzip2", "client-bz2"]),
    suffix: ".bz2",
    code: 4,
    levels: (1, 9),
    is_start: |bytes| matches!(bytes, [b'B', b'Z', b'h', b'1'..=b'9', ..]),
};

pub const CODER: Coder = Coder {
    default_level: 9,
    compress,
    compress_pages: None,
    decompress: |input| Ok(Box::new(FrameSequence::new(input, Stream::default()))),
    compress_message,
    decompress_message: |packed, limit| read_message(BzDecoder::new(packed), limit),
};

/// When repetitive input falls back to the slower sort with a bounded run time; 30 is the default
/// of the library.
const WORK_FACTOR: u32 = 30;

/// Writes a stream. The library cannot reuse a compressor, but creating one is cheap compared to
/// bzip2.
fn compress(level: i32, plain: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
    let level = Compression::new(level.unsigned_abs());
    let mut compressor = Compress::new(level, WORK_FACTOR);
    frame.reserve(plain.len() + plain.len() / 64 + 1024);
    loop {
        let done = counter_delta(0, compressor.total_in());
        let rest = after(plain, done);
        match compressor.compress_vec(rest, frame, Action::Finish)? {
            Status::StreamEnd => return Ok(()),
            _ => frame.reserve(64 << 10),
        }
    }
}

/// One stream of level 9.
fn compress_message(plain: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain)?;
    Ok(encoder.finish()?)
}

/// Decodes a sequence of streams.
#[derive(Default)]
struct Stream(Option<Decompress>);

impl Decode for Stream {
    const NAME: &'static str = "bzip2 stream";

    fn begin(&mut self) -> io::Result<()> {
        self.0 = None;
        Ok(())
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let decoder = self.0.get_or_insert_with(|| Decompress::new(false));
        let (total_in, total_out) = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(input, output)?;
        Ok(Step {
            consumed: counter_delta(total_in, decoder.total_in()),
            produced: counter_delta(total_out, decoder.total_out()),
            ended: status == Status::StreamEnd,
        })
    }
}
