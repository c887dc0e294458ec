//! Compressing to and reading from gzip members (RFC 1952).

use std::cell::Cell;
use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frames::{Decode, Step, counter_delta};

/// A window of 32 KiB, the largest that deflate has (RFC 1951).
const WINDOW_BITS: u8 = 15;

thread_local! {
    static COMPRESSOR: Cell<Option<(i32, Compress)>> = const { Cell::new(None) };
}

/// Writes a member without a name and a time.
pub fn compress(level: i32, plain: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
    let mut compressor = match COMPRESSOR.take() {
        Some((old, compressor)) if old == level => compressor,
        _ => {
            let level = Compression::new(u32::try_from(level).unwrap_or(6));
            Compress::new_gzip(level, WINDOW_BITS)
        }
    };
    compressor.reset();
    frame.reserve(plain.len() + plain.len() / 64 + 64);
    loop {
        let done = counter_delta(0, compressor.total_in());
        let rest = plain.get(done..).unwrap_or_default();
        match compressor.compress_vec(rest, frame, FlushCompress::Finish)? {
            Status::StreamEnd => break,
            Status::Ok | Status::BufError => frame.reserve(64 << 10),
        }
    }
    COMPRESSOR.set(Some((level, compressor)));
    Ok(())
}

/// Decodes a sequence of members.
#[derive(Default)]
pub struct Member(Option<Decompress>);

impl Decode for Member {
    const NAME: &'static str = "gzip member";

    fn begin(&mut self) -> io::Result<()> {
        self.0 = None;
        Ok(())
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let decoder = self
            .0
            .get_or_insert_with(|| Decompress::new_gzip(WINDOW_BITS));
        let (total_in, total_out) = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(input, output, FlushDecompress::None)?;
        Ok(Step {
            consumed: counter_delta(total_in, decoder.total_in()),
            produced: counter_delta(total_out, decoder.total_out()),
            ended: status == Status::StreamEnd,
        })
    }
}
