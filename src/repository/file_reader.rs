//! Reading the plain bytes of a file of a backup.

use std::io::{self, Read};

use super::c_backup::CombinedReader;
use crate::codec::{Digests, StoredReader};
use crate::error::Result;

/// Reads the plain bytes of a file of a backup, from one stored file, or from several that are
/// combined.
pub enum FileReader {
    Stored(Box<StoredReader>),
    Combined(Box<CombinedReader>),
}

impl FileReader {
    /// Call it after the last byte was read: checks that none is left and that the stored files are
    /// authentic; the parts of a combined file are compared with their digests. See
    /// [`StoredReader::finish`].
    pub fn finish(self) -> Result<Digests> {
        match self {
            FileReader::Stored(source) => source.finish(),
            FileReader::Combined(source) => source.finish(),
        }
    }
}

impl Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            FileReader::Stored(source) => source.read(buf),
            FileReader::Combined(source) => source.read(buf),
        }
    }
}
