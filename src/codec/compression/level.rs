//! Compression levels of the methods.

use crate::unit::Compression;

/// The compression effort for a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// A valid level of the method, see [`clamp_level`].
    Level(i32),
    /// Parameters for PostgreSQL pages; zstd only, other methods use [`default_level`].
    Pages,
}

impl Effort {
    /// The level for a method without [`Effort::Pages`].
    pub fn level(self, compression: Compression) -> i32 {
        match self {
            Effort::Level(level) => level,
            Effort::Pages => default_level(compression),
        }
    }
}

/// The default level of a method. For zstd a trial decides instead (see
/// [`super::super::FrameCompressor`]); for the others it is the last level at which more time still
/// reduces the size notably.
pub fn default_level(compression: Compression) -> i32 {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 6,
        Compression::Zstd => 3,
        Compression::Lz4 => 1,
        Compression::Bzip2 => 9,
    }
}

/// The nearest valid level of the method.
pub fn clamp_level(compression: Compression, level: i32) -> i32 {
    match compression {
        Compression::None => 0,
        Compression::Gzip | Compression::Bzip2 => level.clamp(1, 9),
        Compression::Zstd => level.clamp(-131_072, 22),
        Compression::Lz4 => level.clamp(1, 12),
    }
}
