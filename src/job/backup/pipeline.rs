//! Turns a stream of plain bytes into stored files: reads and digests here, compresses in the pool,
//! writes here in order.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::staging::{FileHeader, StagedEntry, Staging};
use crate::codec::{CHUNK_SIZE, FrameCompressor, PlainDigest};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::pool::{Pool, TaskHandle};
use crate::status::Progress;
use crate::sys::Stop;
use crate::unit::{first, first_mut, to_u64, to_usize};

/// A shorter chunk is compressed in this thread: that is faster than passing it to another thread.
const INLINE_LIMIT: usize = 16 << 10;

/// How much is read before it is digested: small enough to stay in the CPU cache.
const DIGEST_BLOCK: usize = 64 << 10;

/// Writes the files of a backup. The chunks of a file are compressed by all workers in parallel,
/// and written in order. A fixed number of buffers limits the memory.
pub(super) struct Pipeline<'a> {
    pool: &'a Pool,
    stop: &'a Stop,
    progress: &'a Progress,
    staging: &'a mut Staging,
    free: Vec<Chunk>,
    /// How many chunks may still be allocated.
    unallocated: usize,
    queue: VecDeque<Step>,
    open: Option<StagedEntry>,
}

/// Buffers for up to [`CHUNK_SIZE`] plain bytes and for their frame.
struct Chunk {
    plain: Vec<u8>,
    length: usize,
    frame: Vec<u8>,
}

/// A pending step; steps run in order.
enum Step {
    Begin(FileHeader),
    Plain(Chunk),
    Frame(Chunk),
    Compress(TaskHandle<(Chunk, Result<()>)>),
    End(Box<PlainDigest>),
}

impl<'a> Pipeline<'a> {
    /// Writes to `staging`; at most `workers` threads of `pool` compress.
    pub(super) fn new(
        pool: &'a Pool,
        workers: usize,
        stop: &'a Stop,
        progress: &'a Progress,
        staging: &'a mut Staging,
    ) -> Pipeline<'a> {
        Pipeline {
            pool,
            stop,
            progress,
            staging,
            free: Vec::new(),
            // Two for each worker, so that the next one is ready; one to read into, one to write
            // from.
            unallocated: workers.clamp(1, pool.workers()) * 2 + 2,
            queue: VecDeque::new(),
            open: None,
        }
    }

    /// The directory of the backup.
    pub(super) fn staging(&mut self) -> &mut Staging {
        self.staging
    }

    /// Stores a file: reads as many bytes from `input` as `header` says.
    pub(super) fn store(&mut self, header: FileHeader, input: &mut dyn Read) -> Result<()> {
        let framer = FrameCompressor::new(self.staging.coding());
        let mut digest = Box::new(PlainDigest::new());
        let mut left = header.size;
        let path = header.path.clone();
        self.queue.push_back(Step::Begin(header));
        loop {
            self.stop.check()?;
            let mut chunk = self.chunk()?;
            chunk.length = to_usize(left).min(CHUNK_SIZE);
            let plain = first_mut(&mut chunk.plain, chunk.length);
            for block in plain.chunks_mut(DIGEST_BLOCK) {
                fill(input, block).with_context(|| format!("read {}", path.display()))?;
                digest.update(block);
            }
            let length = to_u64(chunk.length);
            left -= length;
            self.progress.advance(length);
            self.submit(chunk, &framer)?;
            if left == 0 {
                break;
            }
        }
        self.queue.push_back(Step::End(digest));
        self.drain_ready()
    }

    /// Waits for all pending chunks, and writes them.
    pub(super) fn finish(mut self) -> Result<()> {
        while !self.queue.is_empty() {
            self.write_next()?;
        }
        Ok(())
    }

    fn submit(&mut self, mut chunk: Chunk, framer: &FrameCompressor) -> Result<()> {
        let step = if framer.is_copy() {
            Step::Plain(chunk)
        } else if chunk.length < INLINE_LIMIT {
            chunk.compress(framer)?;
            Step::Frame(chunk)
        } else {
            let framer = framer.clone();
            Step::Compress(self.pool.submit(move || {
                let result = chunk.compress(&framer);
                (chunk, result)
            }))
        };
        self.queue.push_back(step);
        self.drain_ready()
    }

    /// A free chunk to read into.
    fn chunk(&mut self) -> Result<Chunk> {
        loop {
            if let Some(chunk) = self.free.pop() {
                return Ok(chunk);
            }
            if self.unallocated > 0 {
                self.unallocated -= 1;
                return Ok(Chunk {
                    plain: vec![0; CHUNK_SIZE],
                    length: 0,
                    frame: Vec::new(),
                });
            }
            self.write_next()?;
        }
    }

    /// Runs the steps that need no waiting.
    fn drain_ready(&mut self) -> Result<()> {
        loop {
            match self.queue.front() {
                None => return Ok(()),
                Some(Step::Compress(handle)) if !handle.is_done() => return Ok(()),
                Some(_) => self.write_next()?,
            }
        }
    }

    /// Runs the next step; waits for its compression.
    fn write_next(&mut self) -> Result<()> {
        match self.queue.pop_front() {
            None => Err(Error::new(ErrorKind::Internal, "no step is pending")),
            Some(Step::Begin(header)) => {
                self.open = Some(self.staging.begin(header)?);
                Ok(())
            }
            Some(Step::End(digest)) => {
                let entry = self.open.take().ok_or_else(not_open)?;
                self.staging.end(entry, &digest)
            }
            Some(Step::Plain(mut chunk)) => {
                let plain = first_mut(&mut chunk.plain, chunk.length);
                self.open.as_mut().ok_or_else(not_open)?.write(plain)?;
                self.free.push(chunk);
                Ok(())
            }
            Some(Step::Frame(chunk)) => self.write_frame(chunk),
            Some(Step::Compress(handle)) => {
                let (chunk, result) = handle.wait()?;
                result?;
                self.write_frame(chunk)
            }
        }
    }

    fn write_frame(&mut self, mut chunk: Chunk) -> Result<()> {
        let entry = self.open.as_mut().ok_or_else(not_open)?;
        entry.write(&mut chunk.frame)?;
        self.free.push(chunk);
        Ok(())
    }
}

impl Chunk {
    fn compress(&mut self, framer: &FrameCompressor) -> Result<()> {
        let plain = first(&self.plain, self.length);
        framer.compress_frame(plain, &mut self.frame)
    }
}

/// As `read_exact`, with an error text for a stream that ends early.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> Result<()> {
    input.read_exact(buffer).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Error::new(
                ErrorKind::Corrupt,
                "the base backup that the server sent is truncated",
            )
        } else {
            error.into()
        }
    })
}

fn not_open() -> Error {
    Error::new(ErrorKind::Internal, "no file is open for writing")
}
