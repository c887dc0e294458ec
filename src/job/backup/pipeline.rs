//! From a stream of plain bytes to stored files: read and digest here, compress in the pool, write here in order.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::staging::{FileHead, StagedEntry, Staging};
use crate::codec::{CHUNK, Framer, PlainDigest};
use crate::error::{Context, Failure, Kind, Result};
use crate::pool::{Pool, Ticket};
use crate::status::Progress;
use crate::sys::Stop;

/// A piece that is shorter is compressed on the spot: that takes less than to hand it to another thread and back.
const ON_THE_SPOT: usize = 16 << 10;

/// How much is read between two looks at the digests, so that they find the bytes in the cache.
const PIECE: usize = 64 << 10;

/// Writes the files of a backup. Files come one after the other; their chunks are compressed by all workers at once,
/// and written in order. A fixed number of buffers bounds the memory.
pub(super) struct Pipeline<'a> {
    pool: &'a Pool,
    stop: &'a Stop,
    progress: &'a Progress,
    staging: &'a mut Staging,
    free: Vec<Chunk>,
    /// How many chunks may still be made.
    unmade: usize,
    queue: VecDeque<Step>,
    open: Option<StagedEntry>,
}

/// Buffers for up to [`CHUNK`] plain bytes and for their frame.
struct Chunk {
    plain: Vec<u8>,
    length: usize,
    frame: Vec<u8>,
}

/// What remains to be done, in order.
enum Step {
    Begin(FileHead),
    Plain(Chunk),
    Frame(Chunk),
    Compress(Ticket<(Chunk, Result<()>)>),
    End(Box<PlainDigest>),
}

impl<'a> Pipeline<'a> {
    /// Writes to `staging` with the help of `workers` threads of `pool`.
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
            // Two for each worker, so that it finds the next one when it is done; one to read into, one to write from.
            unmade: workers.clamp(1, pool.workers()) * 2 + 2,
            queue: VecDeque::new(),
            open: None,
        }
    }

    /// Where the files go.
    pub(super) fn staging(&mut self) -> &mut Staging {
        self.staging
    }

    /// Stores a file: reads as many bytes from `input` as `head` says.
    pub(super) fn store(&mut self, head: FileHead, input: &mut dyn Read) -> Result<()> {
        let framer = Framer::new(self.staging.coding());
        let mut digest = Box::new(PlainDigest::new());
        let mut left = head.size;
        let path = head.path.clone();
        self.queue.push_back(Step::Begin(head));
        loop {
            self.stop.check()?;
            let mut chunk = self.chunk()?;
            chunk.length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let plain = chunk.plain.get_mut(..chunk.length).unwrap_or_default();
            for piece in plain.chunks_mut(PIECE) {
                fill(input, piece).with_context(|| format!("read {}", path.display()))?;
                digest.update(piece);
            }
            let length = u64::try_from(chunk.length).unwrap_or(0);
            left -= length;
            self.progress.advance(length);
            self.submit(chunk, &framer)?;
            if left == 0 {
                break;
            }
        }
        self.queue.push_back(Step::End(digest));
        self.write_what_is_done()
    }

    /// Waits for all that is under way, and writes it.
    pub(super) fn finish(mut self) -> Result<()> {
        while !self.queue.is_empty() {
            self.write_next()?;
        }
        Ok(())
    }

    fn submit(&mut self, mut chunk: Chunk, framer: &Framer) -> Result<()> {
        let step = if framer.copies() {
            Step::Plain(chunk)
        } else if chunk.length < ON_THE_SPOT {
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
        self.write_what_is_done()
    }

    /// A chunk to read into.
    fn chunk(&mut self) -> Result<Chunk> {
        loop {
            if let Some(chunk) = self.free.pop() {
                return Ok(chunk);
            }
            if self.unmade > 0 {
                self.unmade -= 1;
                return Ok(Chunk {
                    plain: vec![0; CHUNK],
                    length: 0,
                    frame: Vec::new(),
                });
            }
            self.write_next()?;
        }
    }

    /// Writes as far as it goes without waiting.
    fn write_what_is_done(&mut self) -> Result<()> {
        loop {
            match self.queue.front() {
                None => return Ok(()),
                Some(Step::Compress(ticket)) if !ticket.is_done() => return Ok(()),
                Some(_) => self.write_next()?,
            }
        }
    }

    /// Does the next step; waits for it.
    fn write_next(&mut self) -> Result<()> {
        match self.queue.pop_front() {
            None => Err(Failure::new(Kind::Internal, "no chunk is under way")),
            Some(Step::Begin(head)) => {
                self.open = Some(self.staging.begin(head)?);
                Ok(())
            }
            Some(Step::End(digest)) => {
                let entry = self.open.take().ok_or_else(not_open)?;
                self.staging.end(entry, &digest)
            }
            Some(Step::Plain(mut chunk)) => {
                let plain = chunk.plain.get_mut(..chunk.length).unwrap_or_default();
                self.open.as_mut().ok_or_else(not_open)?.write(plain)?;
                self.free.push(chunk);
                Ok(())
            }
            Some(Step::Frame(chunk)) => self.write_frame(chunk),
            Some(Step::Compress(ticket)) => {
                let (chunk, result) = ticket.wait()?;
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
    fn compress(&mut self, framer: &Framer) -> Result<()> {
        let plain = self.plain.get(..self.length).unwrap_or_default();
        framer.frame(plain, &mut self.frame)
    }
}

/// As `read_exact`, with words for a stream that ends.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> Result<()> {
    input.read_exact(buffer).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Failure::new(
                Kind::Corrupt,
                "the base backup that the server sent is cut short",
            )
        } else {
            error.into()
        }
    })
}

fn not_open() -> Failure {
    Failure::new(Kind::Internal, "no file is open to be written")
}
