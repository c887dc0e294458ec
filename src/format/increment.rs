//! The files of an incremental backup that have only the changed blocks of a file of the cluster
//! (`basebackup_incremental.c` and `pg_combinebackup/reconstruct.c`, PostgreSQL 17): a header, the
//! numbers of the blocks, zeros up to a multiple of the block size, and the blocks.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::unit::to_u64;

/// `INCREMENTAL_MAGIC`
const MAGIC: u32 = 0xd3ae_1f0d;

/// `RELSEG_SIZE`: the most blocks of a file.
const MAX_BLOCKS: u32 = 131_072;

/// The prefix of the name.
const PREFIX: &[u8] = b"INCREMENTAL.";

/// The header of such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncrementHeader {
    /// The numbers of the blocks that follow, ascending.
    pub blocks: Vec<u32>,
    /// `truncation_block_length`: from this block on the file has no block of an older backup.
    pub truncation: u32,
}

impl IncrementHeader {
    /// The size of a block, bytes. A server with another one is not supported.
    pub const BLOCK_SIZE: usize = 8192;

    /// The path in the cluster of a file at `path` in an incremental backup; `None` if that is the
    /// whole file.
    pub fn target(path: &Path) -> Option<PathBuf> {
        let name = path.file_name()?.as_bytes().strip_prefix(PREFIX)?;
        (!name.is_empty()).then(|| path.with_file_name(OsStr::from_bytes(name)))
    }

    /// Reads the header of a file of `size` bytes, up to its first block.
    ///
    /// In increments of servers before PostgreSQL 17, which only the C program makes, the number of
    /// zeros was computed from numbers instead of bytes: `padding_error` accepts that.
    pub fn read(input: &mut impl Read, size: u64, padding_error: bool) -> Result<IncrementHeader> {
        if number(input)? != MAGIC {
            return Err(invalid("it does not begin as one".to_owned()));
        }
        let (count, truncation) = (number(input)?, number(input)?);
        if count > MAX_BLOCKS || truncation > MAX_BLOCKS {
            return Err(invalid(format!("it has {count} blocks of {truncation}")));
        }
        let mut blocks = Vec::new();
        for _ in 0..count {
            let block = number(input)?;
            if block >= MAX_BLOCKS || blocks.last().is_some_and(|last| *last >= block) {
                return Err(invalid(format!("its block numbers are wrong at {block}")));
            }
            blocks.push(block);
        }
        let block_size = to_u64(IncrementHeader::BLOCK_SIZE);
        let header = 12 + 4 * u64::from(count);
        let mut padding = match count {
            0 => 0,
            _ => header.next_multiple_of(block_size) - header,
        };
        let expected = header + padding + u64::from(count) * block_size;
        let excess = 3 * (3 + u64::from(count));
        if padding_error && count > 0 && size == expected + excess {
            padding += excess;
        } else if size != expected {
            let what = format!("it has {size} bytes, and with {count} blocks must have {expected}");
            return Err(invalid(what));
        }
        let skipped = io::copy(&mut input.take(padding), &mut io::sink())?;
        if skipped < padding {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(IncrementHeader { blocks, truncation })
    }

    /// The number of blocks of the file in the cluster.
    pub fn length(&self) -> u32 {
        let end = self.blocks.last().map_or(0, |last| last.saturating_add(1));
        end.max(self.truncation)
    }
}

fn number(input: &mut impl Read) -> Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn invalid(what: String) -> Error {
    let message = format!("it is no file of an incremental backup: {what}");
    Error::new(ErrorKind::Corrupt, message)
}

/// The size of a file of this number of blocks, bytes.
pub fn size_of_blocks(count: u32) -> u64 {
    u64::from(count) * to_u64(IncrementHeader::BLOCK_SIZE)
}

/// The number of whole blocks in a file of `size` bytes; `None` if it does not end with one.
pub fn blocks_of_size(size: u64) -> Option<u32> {
    let block_size = to_u64(IncrementHeader::BLOCK_SIZE);
    let whole = size.is_multiple_of(block_size);
    u32::try_from(size / block_size).ok().filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(blocks: &[u32], truncation: u32, excess: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [MAGIC, u32::try_from(blocks.len()).unwrap(), truncation]
            .iter()
            .chain(blocks)
        {
            bytes.extend(number.to_le_bytes());
        }
        if !blocks.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(8192) + excess, 0);
        }
        for block in blocks {
            bytes.extend([u8::try_from(block % 256).unwrap(); 8192]);
        }
        bytes
    }

    fn read(bytes: &[u8], padding_error: bool) -> Result<(IncrementHeader, Vec<u8>)> {
        let mut input = bytes;
        let size = to_u64(bytes.len());
        let header = IncrementHeader::read(&mut input, size, padding_error)?;
        Ok((header, input.to_vec()))
    }

    #[test]
    fn a_header_ends_before_the_first_block() {
        let (header, rest) = read(&file(&[3, 700], 5, 0), false).unwrap();
        assert_eq!((header.length(), header.truncation), (701, 5));
        assert_eq!((rest.len(), rest[0], rest[8192]), (2 * 8192, 3, 188));
        let (header, rest) = read(&file(&[], 5, 0), false).unwrap();
        assert_eq!((header.length(), rest.len()), (5, 0));
        let many: Vec<u32> = (0..3000).collect();
        assert_eq!(
            read(&file(&many, 0, 0), false).unwrap().1.len(),
            3000 * 8192
        );
        // As the C program pads it before PostgreSQL 17.
        let padded = file(&[3, 7], 5, 3 * 5);
        assert_eq!(read(&padded, true).unwrap().1[0], 3);
        assert!(read(&padded, false).is_err());
    }

    #[test]
    fn a_damaged_header_is_an_error() {
        let good = file(&[3, 7], 5, 0);
        for length in [0, 3, 11, 12, 19, 20, 8191, 8192, good.len() - 1] {
            assert!(read(&good[..length], true).is_err(), "{length}");
        }
        for (at, value) in [
            (0, 1_u32),
            (4, 3),
            (4, 200_000),
            (8, 200_000),
            (12, 7),
            (16, 1 << 30),
        ] {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(
                read(&bytes, true).unwrap_err().kind(),
                ErrorKind::Corrupt,
                "{at} {value}"
            );
        }
    }

    #[test]
    fn the_name_has_a_prefix() {
        let path = Path::new("base/5/INCREMENTAL.1259");
        assert_eq!(IncrementHeader::target(path), Some("base/5/1259".into()));
        for name in ["base/5/1259", "INCREMENTAL.", "INCREMENTAL./1"] {
            assert_eq!(IncrementHeader::target(Path::new(name)), None, "{name}");
        }
    }
}
