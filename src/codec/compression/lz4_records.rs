//! The LZ4 files of the C program, which have no LZ4 frame: records of a length (4 bytes,
//! little-endian) and an LZ4 block (`lz4_Block_format.md`) of at most 4096 plain bytes. A block may
//! refer to the bytes before it. The program writes empty blocks too: for an empty file, and after
//! each multiple of 1 MiB that ends a file.

use std::io::{self, BufRead, Read};

use super::super::cipher::DecryptingReader;
use super::frames::{damaged, truncated};
use crate::unit::{first, to_usize};

/// The largest LZ4 block for 4096 bytes.
const MAX_BLOCK: u32 = 4128;

/// Plain bytes of a block.
const MAX_PLAIN: usize = 4096;

/// How far back a block may refer: an offset has 16 bits.
const WINDOW: usize = 64 << 10;

const NAME: &str = "lz4 record";

/// Whether this is the start of such a file: no LZ4 frame begins with so low a number.
pub fn is_record(bytes: &[u8]) -> bool {
    let length = bytes
        .first_chunk()
        .map(|length| u32::from_le_bytes(*length));
    length.is_some_and(is_length)
}

fn is_length(length: u32) -> bool {
    (1..=MAX_BLOCK).contains(&length)
}

/// Reads records up to the end of the file.
pub struct Records {
    input: DecryptingReader,
    /// The last decoded bytes, at least [`WINDOW`] of them if there were so many.
    plain: Vec<u8>,
    /// The first of them that was not read yet.
    next: usize,
    block: Vec<u8>,
}

impl Records {
    pub fn new(input: DecryptingReader) -> Records {
        Records {
            input,
            plain: Vec::with_capacity(2 * WINDOW),
            next: 0,
            block: Vec::new(),
        }
    }

    pub fn into_input(self) -> DecryptingReader {
        self.input
    }

    /// Decodes the next record; `false` at the end of the file.
    fn decode_record(&mut self) -> io::Result<bool> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let mut length = [0; 4];
        self.input.read_exact(&mut length).map_err(incomplete)?;
        let length = u32::from_le_bytes(length);
        if !is_length(length) {
            let what = format!("its length is {length}, not 1 to {MAX_BLOCK}");
            return Err(damaged(NAME, &what));
        }
        self.block.resize(to_usize(length.into()), 0);
        self.input.read_exact(&mut self.block).map_err(incomplete)?;
        if self.plain.len() > 2 * WINDOW - MAX_PLAIN {
            let excess = self.plain.len() - WINDOW;
            self.plain.drain(..excess);
        }
        self.next = self.plain.len();
        decode_block(&self.block, &mut self.plain).map_err(|what| damaged(NAME, &what))?;
        Ok(true)
    }
}

impl Read for Records {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        // A record may be empty.
        while self.next == self.plain.len() {
            if !self.decode_record()? {
                return Ok(0);
            }
        }
        let ready = self.plain.get(self.next..).unwrap_or_default();
        let count = ready.len().min(buf.len());
        let mut ready = first(ready, count);
        let count = ready.read(buf)?;
        self.next += count;
        Ok(count)
    }
}

fn incomplete(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => truncated(NAME),
        _ => error,
    }
}

/// Decodes a block of at most [`MAX_PLAIN`] bytes after those in `plain`, to which it may refer.
fn decode_block(block: &[u8], plain: &mut Vec<u8>) -> Result<(), &'static str> {
    let limit = plain.len() + MAX_PLAIN;
    let mut rest = block;
    loop {
        let token = *take(&mut rest, 1)?.first().unwrap_or(&0);
        let literals = length(token >> 4, &mut rest)?;
        let literals = take(&mut rest, literals)?;
        if plain.len() + literals.len() > limit {
            return Err(TOO_LONG);
        }
        plain.extend_from_slice(literals);
        // The last sequence has no match.
        if rest.is_empty() {
            return Ok(());
        }
        let offset = take(&mut rest, 2)?;
        let offset = offset.iter().rev();
        let offset = offset.fold(0, |high, low| high << 8 | usize::from(*low));
        let mut left = length(token & 15, &mut rest)?.saturating_add(4);
        if plain.len().saturating_add(left) > limit {
            return Err(TOO_LONG);
        }
        if offset == 0 || offset > plain.len() {
            return Err("it refers to bytes before the file");
        }
        // The match may overlap what it produces.
        while left > 0 {
            let from = plain.len() - offset;
            let count = left.min(offset);
            plain.extend_from_within(from..from + count);
            left -= count;
        }
    }
}

const TOO_LONG: &str = "it decodes to more than 4096 bytes";

/// A length whose first four bits are `bits`: 15 is continued by bytes, up to one that is not 255.
fn length(bits: u8, rest: &mut &[u8]) -> Result<usize, &'static str> {
    let mut length = usize::from(bits);
    let mut more = bits == 15;
    while more {
        let byte = *take(rest, 1)?.first().unwrap_or(&0);
        length = length.saturating_add(byte.into());
        more = byte == 255;
    }
    Ok(length)
}

fn take<'b>(rest: &mut &'b [u8], count: usize) -> Result<&'b [u8], &'static str> {
    let (taken, after) = rest.split_at_checked(count).ok_or("it is too short")?;
    *rest = after;
    Ok(taken)
}
