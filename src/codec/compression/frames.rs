//! Reading one frame after the other.

use std::io::{self, BufRead, Read};

/// What one call of a decoder did.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Bytes taken from the input.
    pub consumed: usize,
    /// Bytes put into the output.
    pub produced: usize,
    /// Whether that was the end of the frame: nothing of it is left inside.
    pub ended: bool,
}

/// Decodes one frame at a time.
pub trait Decode {
    /// What its frames are called.
    const NAME: &'static str;

    /// Makes ready for a frame.
    fn begin(&mut self) -> io::Result<()>;

    /// Decodes some more of the frame.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step>;
}

/// Frames behind one another, read by one decoder.
pub struct Sequence<R, D> {
    input: R,
    decoder: D,
    within: bool,
}

impl<R: BufRead, D: Decode> Sequence<R, D> {
    pub fn new(input: R, decoder: D) -> Sequence<R, D> {
        Sequence {
            input,
            decoder,
            within: false,
        }
    }

    pub fn into_inner(self) -> R {
        self.input
    }
}

impl<R: BufRead, D: Decode> Read for Sequence<R, D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let input = self.input.fill_buf()?;
            if !self.within {
                if input.is_empty() {
                    return Ok(0);
                }
                self.decoder.begin()?;
                self.within = true;
            }
            let step = self
                .decoder
                .step(input, buf)
                .map_err(|error| damaged(D::NAME, &error))?;
            let stuck = step.consumed == 0 && step.produced == 0 && !step.ended;
            let at_end = input.is_empty();
            self.input.consume(step.consumed);
            if step.ended {
                self.within = false;
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

/// How far a counter that a library keeps has moved.
pub fn moved(before: u64, after: u64) -> usize {
    usize::try_from(after.wrapping_sub(before)).unwrap_or(0)
}
