//! The rows of a compression method: its names and numbers, and its encoder and decoder. They are
//! apart so that a program that only reads the configuration does not contain the coders.

use std::fmt;
use std::io::{self, Read};

use super::super::cipher::DecryptingReader;
use crate::error::Result;
use crate::unit::Names;

/// The names and numbers of a compression method.
pub struct Method {
    /// The name in files and messages, and others that are accepted.
    pub names: Names,
    /// The suffix of a stored file's name.
    pub suffix: &'static str,
    /// The number in the management protocol, at most 15.
    pub code: u8,
    /// The lowest and the highest level.
    pub levels: (i32, i32),
    /// Whether bytes are the start of a compressed file.
    pub is_start: fn(&[u8]) -> bool,
}

/// The encoder and the decoder of a compression method.
pub struct Coder {
    /// The last level at which more time still reduces the size notably.
    pub default_level: i32,
    /// Appends one frame with the plain bytes to an empty buffer, with a level of its range.
    pub compress: fn(i32, &[u8], &mut Vec<u8>) -> io::Result<()>,
    /// As `compress`, but faster, and for PostgreSQL pages about as small as the default level; the
    /// level `auto` tries both on each file.
    pub compress_pages: Option<CompressPages>,
    /// The plain bytes of a sequence of frames up to the end of the file. A truncated frame, or
    /// bytes after the last one that start no frame, are errors; no frame at all is an empty file.
    pub decompress: fn(DecryptingReader) -> io::Result<Box<dyn FrameReader>>,
    /// Compresses a whole message of the management protocol as the C program does.
    pub compress_message: fn(&[u8]) -> Result<Vec<u8>>,
    /// The reverse of `compress_message`, for at most this many plain bytes; takes the message
    /// from the start of the slice.
    pub decompress_message: fn(&mut &[u8], usize) -> Result<Vec<u8>>,
}

/// See [`Coder::compress_pages`].
pub type CompressPages = fn(&[u8], &mut Vec<u8>) -> io::Result<()>;

/// Reads the plain bytes of a stored file.
pub trait FrameReader: Read + Send {
    /// The reader of the frames; `None` after an error.
    fn into_input(self: Box<Self>) -> Option<DecryptingReader>;
}

/// The compression level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Chosen for each file from its first bytes.
    #[default]
    Auto,
    /// A level of the compression method; the range depends on the method.
    Fixed(i32),
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Auto => f.write_str("auto"),
            Level::Fixed(level) => level.fmt(f),
        }
    }
}
