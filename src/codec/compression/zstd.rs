//! Zstandard frames (RFC 8878).

use std::cell::Cell;
use std::io;

use ::zstd::bulk::Compressor;
use ::zstd::stream::raw::{Decoder, Operation};
use ::zstd::zstd_safe::{CParameter, Strategy};

use super::frames::{Decode, FrameSequence, Step, read_message};
use super::method::{Coder, Method};

pub const METHOD: Method = Method {
    names: ("zstd", &["client-zstd", "server-zstd"]),
    suffix: ".zstd",
    code: 2,
    levels: (-131_072, 22),
    // RFC 8878: a frame, or a skippable one.
    is_start: |bytes| {
        bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
            || matches!(bytes, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
    },
};

pub const CODER: Coder = Coder {
    default_level: 3,
    compress,
    compress_pages: Some(compress_pages),
    decompress: |input| Ok(Box::new(FrameSequence::new(input, Frame(Decoder::new()?)))),
    // One frame with the content size in its header.
    compress_message: |plain| Ok(::zstd::bulk::compress(plain, 1)?),
    decompress_message: |packed, limit| {
        let mut decoder = ::zstd::stream::read::Decoder::with_buffer(packed)?;
        decoder.window_log_max(window_log(limit))?;
        read_message(decoder.single_frame(), limit)
    },
};

/// The binary logarithm of the largest window for a message of at most `limit` bytes. The window of
/// a frame with its content size is no larger than its content; other encoders use up to 8 MiB. The
/// decoder would allocate up to 128 MiB, as the header of a frame says.
fn window_log(limit: usize) -> u32 {
    limit
        .max(8 << 20)
        .next_power_of_two()
        .trailing_zeros()
        .min(27)
}

thread_local! {
    /// One compressor for levels and one for pages, per thread.
    static LEVELS: Cell<Option<Compressor<'static>>> = const { Cell::new(None) };
    static PAGES: Cell<Option<Compressor<'static>>> = const { Cell::new(None) };
}

/// Writes a frame with its content size in the header, so that readers can allocate the output, and
/// without a checksum: the digests are stored elsewhere.
fn compress(level: i32, plain: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
    let mut compressor = match LEVELS.take() {
        Some(compressor) => compressor,
        None => Compressor::new(level)?,
    };
    compressor.set_compression_level(level)?;
    write_frame(&mut compressor, plain, frame)?;
    LEVELS.set(Some(compressor));
    Ok(())
}

/// Two to three times as fast as level 3.
fn compress_pages(plain: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
    let mut compressor = match PAGES.take() {
        Some(compressor) => compressor,
        None => page_compressor()?,
    };
    write_frame(&mut compressor, plain, frame)?;
    PAGES.set(Some(compressor));
    Ok(())
}

fn write_frame(
    compressor: &mut Compressor<'static>,
    plain: &[u8],
    frame: &mut Vec<u8>,
) -> io::Result<()> {
    frame.reserve(::zstd::zstd_safe::compress_bound(plain.len()));
    compressor.compress_to_buffer(plain, frame)?;
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
struct Frame(Decoder<'static>);

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
