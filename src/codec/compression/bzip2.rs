//! Compressing to and reading from bzip2 streams.

use std::io;

use ::bzip2::{Action, Compress, Compression, Decompress, Status};

use super::frames::{Decode, Step, counter_delta};

/// When repetitive input falls back to the slower sort with a bounded run time; 30 is the default
/// of the library.
const WORK_FACTOR: u32 = 30;

/// Writes a stream. The library cannot reuse a compressor, but creating one is cheap compared to
/// bzip2.
pub fn compress(level: i32, plain: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
    let level = Compression::new(u32::try_from(level).unwrap_or(9));
    let mut compressor = Compress::new(level, WORK_FACTOR);
    frame.reserve(plain.len() + plain.len() / 64 + 1024);
    loop {
        let done = counter_delta(0, compressor.total_in());
        let rest = plain.get(done..).unwrap_or_default();
        match compressor.compress_vec(rest, frame, Action::Finish)? {
            Status::StreamEnd => return Ok(()),
            _ => frame.reserve(64 << 10),
        }
    }
}

/// Decodes a sequence of streams.
#[derive(Default)]
pub struct Stream(Option<Decompress>);

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
