//! How hard each method can compress.

use crate::unit::Compression;

/// How hard a chunk is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// A level of the method; it must be one that the method knows, see [`clamp`].
    Level(i32),
    /// What suits PostgreSQL's pages; zstd only, the other methods take what [`automatic`] says.
    Pages,
}

impl Effort {
    /// The level of a method that has nothing but levels.
    pub fn level(self, compression: Compression) -> i32 {
        match self {
            Effort::Level(level) => level,
            Effort::Pages => automatic(compression),
        }
    }
}

/// The level of a method that is not chosen by trying: zstd is the only one where trying pays (see
/// [`super::super::Framer`]); of the others, it is the last level at which more time still buys much size.
pub fn automatic(compression: Compression) -> i32 {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 6,
        Compression::Zstd => 3,
        Compression::Lz4 => 1,
        Compression::Bzip2 => 9,
    }
}

/// The nearest level that the method knows.
pub fn clamp(compression: Compression, level: i32) -> i32 {
    match compression {
        Compression::None => 0,
        Compression::Gzip | Compression::Bzip2 => level.clamp(1, 9),
        Compression::Zstd => level.clamp(-131_072, 22),
        Compression::Lz4 => level.clamp(1, 12),
    }
}
