//! Dispatch to the compression methods.

use std::io::{self, BufRead, Read};

use super::frames::FrameSequence;
use super::{Effort, bzip2, gzip, lz4, zstd};
use crate::unit::Compression;

/// Compresses `plain` to one frame, which replaces the content of `frame`. With `Compression::None`
/// it is a copy.
pub fn compress(
    compression: Compression,
    effort: Effort,
    plain: &[u8],
    frame: &mut Vec<u8>,
) -> io::Result<()> {
    frame.clear();
    let level = effort.level(compression);
    match compression {
        Compression::None => {
            frame.extend_from_slice(plain);
            Ok(())
        }
        Compression::Gzip => gzip::compress(level, plain, frame),
        Compression::Zstd => zstd::compress(effort, plain, frame),
        Compression::Lz4 => lz4::compress(level, plain, frame),
        Compression::Bzip2 => bzip2::compress(level, plain, frame),
    }
}

/// Reads the plain bytes of a sequence of frames up to the end of `R`. A truncated frame, or bytes
/// after the last one that start no frame, are errors; no frame at all is an empty file.
pub enum Frames<R: BufRead> {
    Plain(R),
    Gzip(FrameSequence<R, gzip::Member>),
    Zstd(FrameSequence<R, zstd::Frame>),
    Lz4(lz4::Frames<R>),
    Bzip2(FrameSequence<R, bzip2::Stream>),
}

impl<R: BufRead> Frames<R> {
    pub fn new(compression: Compression, input: R) -> io::Result<Frames<R>> {
        Ok(match compression {
            Compression::None => Frames::Plain(input),
            Compression::Gzip => Frames::Gzip(FrameSequence::new(input, gzip::Member::default())),
            Compression::Zstd => Frames::Zstd(FrameSequence::new(input, zstd::Frame::new()?)),
            Compression::Lz4 => Frames::Lz4(lz4::Frames::new(input)),
            Compression::Bzip2 => {
                Frames::Bzip2(FrameSequence::new(input, bzip2::Stream::default()))
            }
        })
    }

    /// The reader of the frames; `None` after an error.
    pub fn into_inner(self) -> Option<R> {
        match self {
            Frames::Plain(input) => Some(input),
            Frames::Gzip(sequence) => Some(sequence.into_inner()),
            Frames::Zstd(sequence) => Some(sequence.into_inner()),
            Frames::Lz4(frames) => frames.into_inner(),
            Frames::Bzip2(sequence) => Some(sequence.into_inner()),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Frames::Plain(input) => input.read(buf),
            Frames::Gzip(sequence) => sequence.read(buf),
            Frames::Zstd(sequence) => sequence.read(buf),
            Frames::Lz4(frames) => frames.read(buf),
            Frames::Bzip2(sequence) => sequence.read(buf),
        }
    }
}
