//! Compressing the chunks of a file, on any thread and in any order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::compression::{Effort, clamp_level, compress, default_level};
use super::{CHUNK_SIZE, EncodeOptions};
use crate::error::{Context, Result};
use crate::unit::{Compression, Level};

/// The two zstd efforts to choose from: the first is two to three times as fast.
const FAST: Effort = Effort::Pages;
const SMALL: Effort = Effort::Level(3);

/// Shorter files are compressed with `SMALL` without a trial: the speed does not matter.
const MIN_TRIAL_LENGTH: usize = 128 << 10;

/// The size that `SMALL` must save to be chosen, percent. It saves almost nothing on PostgreSQL
/// pages, and about 10 % on text.
const MIN_SAVING_PERCENT: usize = 5;

/// The states of a trial.
const UNDECIDED: u8 = 0;
const CHOSE_FAST: u8 = 1;
const CHOSE_SMALL: u8 = 2;

/// Compresses the chunks of one file, each to one frame. Clones share the choice for that file.
#[derive(Clone, Debug)]
pub struct FrameCompressor {
    compression: Compression,
    choice: EffortChoice,
}

#[derive(Clone, Debug)]
enum EffortChoice {
    Fixed(Effort),
    Trial(Arc<AtomicU8>),
}

impl FrameCompressor {
    /// A compressor for one file.
    pub fn new(options: &EncodeOptions) -> FrameCompressor {
        let compression = options.compression;
        let choice = match options.level {
            Level::Auto if compression == Compression::Zstd => EffortChoice::Trial(Arc::default()),
            Level::Auto => EffortChoice::Fixed(Effort::Level(default_level(compression))),
            Level::Fixed(level) => {
                EffortChoice::Fixed(Effort::Level(clamp_level(compression, level)))
            }
        };
        FrameCompressor {
            compression,
            choice,
        }
    }

    /// Whether a frame is just a copy of its chunk.
    pub fn is_copy(&self) -> bool {
        self.compression == Compression::None
    }

    /// Compresses a chunk of at most [`CHUNK_SIZE`] bytes; it replaces the content of `frame`. The
    /// first chunk of a file decides the effort for the others; threads do not wait for that, they
    /// use the fast one until then.
    pub fn compress_frame(&self, plain: &[u8], frame: &mut Vec<u8>) -> Result<()> {
        debug_assert!(plain.len() <= CHUNK_SIZE);
        let compress = |effort, frame: &mut _| compress(self.compression, effort, plain, frame);
        let result = match &self.choice {
            EffortChoice::Fixed(effort) => compress(*effort, frame),
            EffortChoice::Trial(chosen) => match chosen.load(Ordering::Relaxed) {
                UNDECIDED if plain.len() < MIN_TRIAL_LENGTH => compress(SMALL, frame),
                UNDECIDED => {
                    chosen.store(CHOSE_FAST, Ordering::Relaxed);
                    try_both(plain, frame, chosen)
                }
                CHOSE_SMALL => compress(SMALL, frame),
                _ => compress(FAST, frame),
            },
        };
        result.with_context(|| format!("compress with {}", self.compression))
    }
}

/// Compresses with both efforts and chooses the better one.
fn try_both(plain: &[u8], frame: &mut Vec<u8>, chosen: &AtomicU8) -> std::io::Result<()> {
    compress(Compression::Zstd, FAST, plain, frame)?;
    let mut smaller = Vec::new();
    compress(Compression::Zstd, SMALL, plain, &mut smaller)?;
    if smaller.len() * 100 < frame.len() * (100 - MIN_SAVING_PERCENT) {
        chosen.store(CHOSE_SMALL, Ordering::Relaxed);
        std::mem::swap(frame, &mut smaller);
    }
    Ok(())
}
