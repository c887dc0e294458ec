//! Compressing to and reading from gzip members (RFC 1952).

use std::cell::Cell;
use std::io::{self, Write};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frames::{Decode, FrameSequence, Step, counter_delta, read_message};
use super::method::{Coder, Method};
use crate::error::Result;
use crate::unit::after;

pub const METHOD: Method = Method {
    names: ("gzip", &["gz", "client-gzip", "server-gzip"]),
    suffix: ".gz",
    code: 1,
    levels: (1, 9),
    // RFC 1952: ID1, ID2, CM.
    is_start: |bytes| bytes.starts_with(&[0x1f, 0x8b, 8]),
};

pub const CODER: Coder = Coder {
    default_level: 6,
    compress,
    compress_pages: None,
    decompress: |input| Ok(Box::new(FrameSequence::new(input, Member::default()))),
    compress_message,
    decompress_message: |packed, limit| read_message(GzDecoder::new(packed), limit),
};

/// A window of 32 KiB, the largest that deflate has (RFC 1951).
const WINDOW_BITS: u8 = 15;

thread_local! {
    static COMPRESSOR: Cell<Option<(i32, Compress)>> = const { Cell::new(None) };
}

/// Writes a member without a name and a time.
fn compress(level: i32, plain: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
    let mut compressor = match COMPRESSOR.take() {
        Some((old, compressor)) if old == level => compressor,
        _ => {
            let level = Compression::new(level.unsigned_abs());
            Compress::new_gzip(level, WINDOW_BITS)
        }
    };
    compressor.reset();
    frame.reserve(plain.len() + plain.len() / 64 + 64);
    loop {
        let done = counter_delta(0, compressor.total_in());
        let rest = after(plain, done);
        match compressor.compress_vec(rest, frame, FlushCompress::Finish)? {
            Status::StreamEnd => break,
            Status::Ok | Status::BufError => frame.reserve(64 << 10),
        }
    }
    COMPRESSOR.set(Some((level, compressor)));
    Ok(())
}

/// One member of level 9.
fn compress_message(plain: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain)?;
    Ok(encoder.finish()?)
}

/// Decodes a sequence of members.
#[derive(Default)]
struct Member(Option<Decompress>);

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
