//! Reading a file of an incremental backup: its changed blocks, and the others from older backups.

use std::io::{self, Read};
use std::path::Path;

use super::super::ManifestFile;
use crate::codec::{DigestValues, Digests, StoredReader};
use crate::crypto::Sha512;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::{IncrementHeader, blocks_of_size};
use crate::unit::{first, to_u64};

/// Merges the blocks of the parts of a file, in one pass over each: all have them in ascending
/// order. The newest part that has a block wins; a part that says where the file was truncated
/// hides the older blocks from there on; a block that no part has is zeros.
pub struct CombinedReader {
    /// The newest first.
    parts: Vec<Part>,
    /// The next block, and the number of them.
    next: u32,
    length: u32,
    block: Vec<u8>,
    /// The first byte of the block that was not read yet.
    at: usize,
    sha512: Sha512,
    size: u64,
}

struct Part {
    file: ManifestFile,
    source: StoredReader,
    blocks: Blocks,
}

/// Which blocks a part still has.
enum Blocks {
    /// Those of the header, from this index on.
    Changed(IncrementHeader, usize),
    /// All, up to this one.
    All(u32),
}

impl CombinedReader {
    /// The parts are opened by `open`. `padding_error` as in [`IncrementHeader::read`].
    pub fn new(
        files: &[ManifestFile],
        padding_error: bool,
        open: &dyn Fn(&ManifestFile) -> Result<StoredReader>,
    ) -> Result<CombinedReader> {
        let mut parts = Vec::with_capacity(files.len());
        for file in files {
            let action = || format!("read {}", file.stored_path.display());
            let mut source = open(file).with_context(action)?;
            let blocks = blocks(file, &mut source, padding_error).with_context(action)?;
            parts.push(Part {
                file: file.clone(),
                source,
                blocks,
            });
        }
        let length = match parts.first().map(|part| &part.blocks) {
            Some(Blocks::Changed(header, _)) => header.length(),
            Some(Blocks::All(count)) => *count,
            None => 0,
        };
        Ok(CombinedReader {
            parts,
            next: 0,
            length,
            block: Vec::new(),
            at: 0,
            sha512: Sha512::new(),
            size: 0,
        })
    }

    /// Reads the next block, which is there.
    fn read_block(&mut self) -> Result<()> {
        self.block.clear();
        self.at = 0;
        let mut limit = u32::MAX;
        let mut other = Vec::new();
        for part in &mut self.parts {
            if part.has(self.next) {
                let wanted = self.block.is_empty() && self.next < limit;
                let to = if wanted { &mut self.block } else { &mut other };
                to.resize(IncrementHeader::BLOCK_SIZE, 0);
                let action = || format!("read {}", part.file.stored_path.display());
                part.source.read_exact(to).with_context(action)?;
            }
            if let Blocks::Changed(header, _) = &part.blocks {
                limit = limit.min(header.truncation);
            }
        }
        self.block.resize(IncrementHeader::BLOCK_SIZE, 0);
        self.next += 1;
        Ok(())
    }

    /// Call it after the last byte was read: checks all parts.
    pub fn finish(self) -> Result<Digests> {
        if self.next < self.length || self.at < self.block.len() {
            let message = "a file was not read to its end";
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let mut stored_size = 0;
        for mut part in self.parts {
            let action = || format!("read {}", part.file.stored_path.display());
            // Older blocks after the end of the file.
            io::copy(&mut part.source, &mut io::sink()).with_context(action)?;
            let found = part.source.finish().with_context(action)?;
            part.file.check(&found).with_context(action)?;
            stored_size += found.stored_size;
        }
        Ok(Digests {
            plain_size: self.size,
            stored_size,
            values: DigestValues::Sha512 {
                plain: Some(self.sha512.finish()),
                stored: None,
            },
        })
    }
}

impl Read for CombinedReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            if self.next >= self.length {
                return Ok(0);
            }
            self.read_block()?;
        }
        let ready = self.block.get(self.at..).unwrap_or_default();
        let mut ready = first(ready, ready.len().min(buf.len()));
        self.sha512.update(ready);
        let count = ready.read(buf)?;
        self.at += count;
        self.size += to_u64(count);
        Ok(count)
    }
}

impl Part {
    /// Whether the next block of the part is `number`; then it is to be read.
    fn has(&mut self, number: u32) -> bool {
        match &mut self.blocks {
            Blocks::All(count) => number < *count,
            Blocks::Changed(header, next) => {
                let found = header.blocks.get(*next) == Some(&number);
                *next += usize::from(found);
                found
            }
        }
    }
}

fn blocks(file: &ManifestFile, source: &mut StoredReader, padding_error: bool) -> Result<Blocks> {
    if is_increment(&file.path) {
        let header = IncrementHeader::read(source, file.size, padding_error)?;
        return Ok(Blocks::Changed(header, 0));
    }
    let count = blocks_of_size(file.size).ok_or_else(|| {
        let message = format!("its size, {} bytes, is no number of blocks", file.size);
        Error::new(ErrorKind::Corrupt, message)
    })?;
    Ok(Blocks::All(count))
}

fn is_increment(path: &Path) -> bool {
    IncrementHeader::target(path).is_some()
}
