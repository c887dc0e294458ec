//! Reading a sequence of frames.

use std::io::{self, BufRead, Read};

use super::super::cipher::DecryptingReader;
use super::method::FrameReader;
use crate::error::{Error, ErrorKind, Result};
use crate::unit::{to_u64, to_usize};

/// The result of one call of a decoder.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Bytes taken from the input.
    pub consumed: usize,
    /// Bytes written to the output.
    pub produced: usize,
    /// Whether the frame ended and all its output was returned.
    pub ended: bool,
}

/// Decodes one frame at a time.
pub trait Decode {
    /// The name of its frames, for errors.
    const NAME: &'static str;

    /// Prepares for the next frame.
    fn begin(&mut self) -> io::Result<()>;

    /// Decodes more of the frame.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step>;
}

/// A sequence of frames, read by one decoder.
pub struct FrameSequence<D> {
    input: DecryptingReader,
    decoder: D,
    in_frame: bool,
}

impl<D: Decode> FrameSequence<D> {
    pub fn new(input: DecryptingReader, decoder: D) -> FrameSequence<D> {
        FrameSequence {
            input,
            decoder,
            in_frame: false,
        }
    }
}

impl<D: Decode + Send> FrameReader for FrameSequence<D> {
    fn into_input(self: Box<Self>) -> Option<DecryptingReader> {
        Some(self.input)
    }
}

impl<D: Decode> Read for FrameSequence<D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let input = self.input.fill_buf()?;
            if !self.in_frame {
                if input.is_empty() {
                    return Ok(0);
                }
                self.decoder.begin()?;
                self.in_frame = true;
            }
            let step = self
                .decoder
                .step(input, buf)
                .map_err(|error| damaged(D::NAME, &error))?;
            let stuck = step.consumed == 0 && step.produced == 0 && !step.ended;
            let at_end = input.is_empty();
            self.input.consume(step.consumed);
            if step.ended {
                self.in_frame = false;
            }
            if step.produced > 0 {
                return Ok(step.produced);
            }
            if stuck {
                return Err(if at_end {
                    truncated(D::NAME)
                } else {
                    damaged(D::NAME, &"it makes no progress")
                });
            }
        }
    }
}

/// The error for input that ends inside a frame.
pub fn truncated(name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the file is truncated: its last {name} is not complete"),
    )
}

/// The error for input that is no frame.
pub fn damaged(name: &str, what: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the file is damaged: {name}: {what}"),
    )
}

/// The difference of a library's byte counter.
pub fn counter_delta(before: u64, after: u64) -> usize {
    to_usize(after.wrapping_sub(before))
}

/// The plain bytes of a message; more than `limit` are an error.
pub fn read_message(decoder: impl Read, limit: usize) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let end = to_u64(limit).saturating_add(1);
    decoder
        .take(end)
        .read_to_end(&mut plain)
        .map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))?;
    if plain.len() > limit {
        return Err(message_too_long(limit));
    }
    Ok(plain)
}

/// The error for a message of more than `limit` bytes after decompression.
pub fn message_too_long(limit: usize) -> Error {
    let message =
        format!("it has more than {limit} bytes after decompression, which is the maximum");
    Error::new(ErrorKind::Corrupt, message)
}
