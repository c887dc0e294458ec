//! Zstandard frames (RFC 8878).

use std::cell::Cell;
use std::io;

use ::zstd::bulk::Compressor;
use ::zstd::stream::raw::{Decoder, Operation};
use ::zstd::zstd_safe::{CParameter, Strategy};

use super::Effort;
use super::frames::{Decode, Step};

thread_local! {
    /// One compressor for levels and one for pages, per thread.
    static LEVELS: Cell<Option<Compressor<'static>>> = const { Cell::new(None) };
    static PAGES: Cell<Option<Compressor<'static>>> = const { Cell::new(None) };
}

/// Writes a frame with its content size in the header, so that readers can allocate the output, and
/// without a checksum: the digests are stored elsewhere.
pub fn compress(effort: Effort, plain: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
    let cached = match effort {
        Effort::Level(_) => &LEVELS,
        Effort::Pages => &PAGES,
    };
    let mut compressor = match (cached.take(), effort) {
        (Some(mut compressor), Effort::Level(level)) => {
            compressor.set_compression_level(level)?;
            compressor
        }
        (Some(compressor), Effort::Pages) => compressor,
        (None, Effort::Level(level)) => Compressor::new(level)?,
        (None, Effort::Pages) => page_compressor()?,
    };
    frame.reserve(::zstd::zstd_safe::compress_bound(plain.len()));
    compressor.compress_to_buffer(plain, frame)?;
    cached.set(Some(compressor));
    Ok(())
}

/// The fast strategy of level 1 with matches from 5 bytes on instead of 7: repetitions in pages are
/// short (integers, item pointers, tuple headers). On tables and indexes it compresses as well as
/// level 3, at more than twice its speed; on an index on integers, where level 1 is 50 % larger, it
/// is better than level 3. The hash table of 64 KiB stays in the cache.
fn page_compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(1)?;
    for parameter in [
        CParameter::Strategy(Strategy::ZSTD_fast),
        CParameter::MinMatch(5),
        CParameter::HashLog(14),
    ] {
        compressor.set_parameter(parameter)?;
    }
    Ok(compressor)
}

/// Decodes a sequence of frames.
pub struct Frame(Decoder<'static>);

impl Frame {
    pub fn new() -> io::Result<Frame> {
        Decoder::new().map(Frame)
    }
}

impl Decode for Frame {
    const NAME: &'static str = "zstd frame";

    fn begin(&mut self) -> io::Result<()> {
        self.0.reinit()
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let status = self.0.run_on_buffers(input, output)?;
        Ok(Step {
            consumed: status.bytes_read,
            produced: status.bytes_written,
            ended: status.remaining == 0,
        })
    }
}
