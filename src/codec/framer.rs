//! Compressing the chunks of one file, on any thread and in any order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::compression::{Effort, automatic, clamp, compress};
use super::{CHUNK, Coding};
use crate::error::{Context, Result};
use crate::unit::{Compression, Level};

/// The two efforts of zstd that are tried: the first is two to three times as fast.
const FAST: Effort = Effort::Pages;
const SMALL: Effort = Effort::Level(3);

/// A file that is shorter gets the smaller one without a trial: there is nothing to win on it.
const TRIAL: usize = 128 << 10;

/// What the smaller one must save of the size, in per cent, to be worth its time. On pages of PostgreSQL it saves
/// nothing or next to nothing, on text about a tenth.
const WORTH: usize = 5;

/// Not tried yet; what was chosen.
const OPEN: u8 = 0;
const CHOSE_FAST: u8 = 1;
const CHOSE_SMALL: u8 = 2;

/// Compresses the chunks of one file, each to one frame. Clones work on the same file.
#[derive(Clone, Debug)]
pub struct Framer {
    compression: Compression,
    choice: Choice,
}

#[derive(Clone, Debug)]
enum Choice {
    Fixed(Effort),
    Tried(Arc<AtomicU8>),
}

impl Framer {
    /// For one file that is written as `coding` says.
    pub fn new(coding: &Coding) -> Framer {
        let compression = coding.compression;
        let choice = match coding.level {
            Level::Auto if compression == Compression::Zstd => Choice::Tried(Arc::default()),
            Level::Auto => Choice::Fixed(Effort::Level(automatic(compression))),
            Level::Fixed(level) => Choice::Fixed(Effort::Level(clamp(compression, level))),
        };
        Framer {
            compression,
            choice,
        }
    }

    /// Whether a frame is just a copy of its chunk.
    pub fn copies(&self) -> bool {
        self.compression == Compression::None
    }

    /// Compresses a chunk of at most [`CHUNK`] bytes; the frame takes the place of what is in `frame`. The first
    /// chunk of a file decides how hard the others are compressed; nobody waits for that: who comes too early takes
    /// the faster way.
    pub fn frame(&self, plain: &[u8], frame: &mut Vec<u8>) -> Result<()> {
        debug_assert!(plain.len() <= CHUNK);
        let compress = |effort, frame: &mut _| compress(self.compression, effort, plain, frame);
        let result = match &self.choice {
            Choice::Fixed(effort) => compress(*effort, frame),
            Choice::Tried(chosen) => match chosen.load(Ordering::Relaxed) {
                OPEN if plain.len() < TRIAL => compress(SMALL, frame),
                OPEN => {
                    chosen.store(CHOSE_FAST, Ordering::Relaxed);
                    choose(plain, frame, chosen)
                }
                CHOSE_SMALL => compress(SMALL, frame),
                _ => compress(FAST, frame),
            },
        };
        result.with_context(|| format!("compress with {}", self.compression))
    }
}

/// Compresses with both efforts and keeps what pays.
fn choose(plain: &[u8], frame: &mut Vec<u8>, chosen: &AtomicU8) -> std::io::Result<()> {
    compress(Compression::Zstd, FAST, plain, frame)?;
    let mut smaller = Vec::new();
    compress(Compression::Zstd, SMALL, plain, &mut smaller)?;
    if smaller.len() * 100 < frame.len() * (100 - WORTH) {
        chosen.store(CHOSE_SMALL, Ordering::Relaxed);
        std::mem::swap(frame, &mut smaller);
    }
    Ok(())
}
