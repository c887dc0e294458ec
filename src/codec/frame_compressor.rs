//! Compressing the chunks of a file, on any thread and in any order.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::compression::{Coder, CompressPages};
use super::{CHUNK_SIZE, Compression, EncodeOptions, Level};
use crate::error::{Context, Result};

/// Shorter files are compressed with the default level without a trial: the speed does not matter.
const MIN_TRIAL_LENGTH: usize = 128 << 10;

/// The size that the default level must save to be chosen, percent. It saves almost nothing on
/// PostgreSQL pages, and about 10 % on text.
const MIN_SAVING_PERCENT: usize = 5;

/// The states of a trial.
const UNDECIDED: u8 = 0;
const CHOSE_PAGES: u8 = 1;
const CHOSE_LEVEL: u8 = 2;

/// Compresses the chunks of one file, each to one frame. Clones share the choice for that file.
#[derive(Clone, Debug)]
pub struct FrameCompressor {
    compression: Compression,
    choice: Choice,
}

#[derive(Clone, Debug)]
enum Choice {
    Level(i32),
    /// Between [`Coder::compress_pages`] and the default level.
    Trial(CompressPages, Arc<AtomicU8>),
}

impl FrameCompressor {
    /// A compressor for one file. A level out of the range of the method is its nearest one.
    pub fn new(options: &EncodeOptions) -> FrameCompressor {
        let (coder, levels) = (options.compression.coder(), options.compression.levels());
        let choice = match (options.level, coder.compress_pages) {
            (Level::Auto, Some(pages)) => Choice::Trial(pages, Arc::default()),
            (Level::Auto, None) => Choice::Level(coder.default_level),
            (Level::Fixed(level), _) => Choice::Level(level.clamp(*levels.start(), *levels.end())),
        };
        FrameCompressor {
            compression: options.compression,
            choice,
        }
    }

    /// Whether a frame is just a copy of its chunk.
    pub fn is_copy(&self) -> bool {
        self.compression == Compression::None
    }

    /// Compresses a chunk of at most [`CHUNK_SIZE`] bytes; it replaces the content of `frame`. The
    /// first chunk of a file decides for the others; threads do not wait for that, they use the
    /// faster encoder until then.
    pub fn compress_frame(&self, plain: &[u8], frame: &mut Vec<u8>) -> Result<()> {
        debug_assert!(plain.len() <= CHUNK_SIZE);
        frame.clear();
        let coder = self.compression.coder();
        let result = match &self.choice {
            Choice::Level(level) => (coder.compress)(*level, plain, frame),
            Choice::Trial(pages, chosen) => match chosen.load(Ordering::Relaxed) {
                UNDECIDED if plain.len() >= MIN_TRIAL_LENGTH => {
                    chosen.store(CHOSE_PAGES, Ordering::Relaxed);
                    try_both(coder, *pages, plain, frame, chosen)
                }
                CHOSE_PAGES => pages(plain, frame),
                _ => (coder.compress)(coder.default_level, plain, frame),
            },
        };
        result.with_context(|| format!("compress with {}", self.compression))
    }
}

/// Compresses with both encoders and chooses the better one.
fn try_both(
    coder: &Coder,
    pages: CompressPages,
    plain: &[u8],
    frame: &mut Vec<u8>,
    chosen: &AtomicU8,
) -> io::Result<()> {
    pages(plain, frame)?;
    let mut smaller = Vec::new();
    (coder.compress)(coder.default_level, plain, &mut smaller)?;
    if smaller.len() * 100 < frame.len() * (100 - MIN_SAVING_PERCENT) {
        chosen.store(CHOSE_LEVEL, Ordering::Relaxed);
        std::mem::swap(frame, &mut smaller);
    }
    Ok(())
}
