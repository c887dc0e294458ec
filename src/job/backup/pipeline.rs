//! Turns a stream of plain bytes into stored files: reads and digests here, compresses in the pool,
//! writes here in order. A file that has not changed since an older backup is linked to that one,
//! in the pool.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;

use super::staging::{FileHeader, StagedEntry, Staging};
use crate::codec::{CHUNK_SIZE, Digests, FrameCompressor, PlainDigest};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::job::room::Watch;
use crate::pool::{Pool, TaskHandle};
use crate::repository::ManifestFile;
use crate::status::Progress;
use crate::sys::Stop;
use crate::unit::{first, first_mut, to_u64, to_usize};

/// A shorter chunk is compressed in this thread: that is faster than passing it to another thread.
const INLINE_LIMIT: usize = 16 << 10;

/// How much is read before it is digested: small enough to stay in the CPU cache.
const DIGEST_BLOCK: usize = 64 << 10;

/// How many links may be pending after their files were written: they hold no chunk.
const MAX_PENDING_LINKS: usize = 64;

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
    /// Files that are written, and may be replaced by a link.
    links: VecDeque<(ManifestFile, Digests, TaskHandle<Result<bool>>)>,
    /// Ends it before it takes what is reserved for WAL.
    watch: Option<Watch>,
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
    /// A whole file that may need no writing.
    Link(Box<LinkStep>),
}

/// A file of one chunk that is the same in an older backup. The chunk is compressed only if it
/// cannot be linked.
struct LinkStep {
    header: FileHeader,
    digest: PlainDigest,
    /// What is stored of the older file.
    recorded: Digests,
    handle: TaskHandle<(Chunk, Result<bool>)>,
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
            links: VecDeque::new(),
            watch: None,
        }
    }

    /// Looks at the free space meanwhile.
    pub(super) fn with_watch(mut self, watch: Watch) -> Pipeline<'a> {
        self.watch = Some(watch);
        self
    }

    /// The directory of the backup.
    pub(super) fn staging(&mut self) -> &mut Staging {
        self.staging
    }

    /// Stores a file: reads as many bytes from `input` as `header` says.
    pub(super) fn store(&mut self, header: FileHeader, input: &mut dyn Read) -> Result<()> {
        if to_usize(header.size) <= CHUNK_SIZE {
            return self.store_chunk(header, input);
        }
        let framer = FrameCompressor::new(self.staging.coding());
        let mut digest = Box::new(PlainDigest::new());
        let mut left = header.size;
        let path = header.path.clone();
        self.queue.push_back(Step::Begin(header));
        while left > 0 {
            let chunk = self.read_chunk(input, left, &mut digest, &path)?;
            left -= to_u64(chunk.length);
            self.submit(chunk, &framer)?;
        }
        self.queue.push_back(Step::End(digest));
        self.drain_ready()
    }

    /// Stores a file of one chunk.
    fn store_chunk(&mut self, header: FileHeader, input: &mut dyn Read) -> Result<()> {
        let framer = FrameCompressor::new(self.staging.coding());
        let mut digest = Box::new(PlainDigest::new());
        let mut chunk = self.read_chunk(input, header.size, &mut digest, &header.path)?;
        let plain = digest.with_stored(0, [0; 32]);
        let Some(file) = self.staging.unchanged(&header.stored_path, &plain) else {
            self.queue.push_back(Step::Begin(header));
            self.submit(chunk, &framer)?;
            self.queue.push_back(Step::End(digest));
            return self.drain_ready();
        };
        let recorded = file.recorded;
        let handle = self.pool.submit(move || {
            let linked = file.link().and_then(|linked| {
                if !linked {
                    chunk.compress(&framer)?;
                }
                Ok(linked)
            });
            (chunk, linked)
        });
        self.queue.push_back(Step::Link(Box::new(LinkStep {
            header,
            digest: *digest,
            recorded,
            handle,
        })));
        self.drain_ready()
    }

    /// Reads and digests the next chunk of a file of which `left` bytes are left.
    fn read_chunk(
        &mut self,
        input: &mut dyn Read,
        left: u64,
        digest: &mut PlainDigest,
        path: &Path,
    ) -> Result<Chunk> {
        self.stop.check()?;
        let mut chunk = self.chunk()?;
        chunk.length = to_usize(left).min(CHUNK_SIZE);
        let plain = first_mut(&mut chunk.plain, chunk.length);
        for block in plain.chunks_mut(DIGEST_BLOCK) {
            fill(input, block).with_context(|| format!("read {}", path.display()))?;
            digest.update(block);
            if let Some(watch) = &mut self.watch {
                watch.count(to_u64(block.len()))?;
            }
        }
        self.progress.advance(to_u64(chunk.length));
        Ok(chunk)
    }

    /// Waits for all pending chunks and links, and writes them.
    pub(super) fn finish(mut self) -> Result<()> {
        while !self.queue.is_empty() {
            self.write_next()?;
        }
        while !self.links.is_empty() {
            self.finish_link()?;
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
        while self.links.front().is_some_and(|link| link.2.is_done()) {
            self.finish_link()?;
        }
        loop {
            match self.queue.front() {
                None => return Ok(()),
                Some(Step::Compress(handle)) if !handle.is_done() => return Ok(()),
                Some(Step::Link(link)) if !link.handle.is_done() => return Ok(()),
                Some(_) => self.write_next()?,
            }
        }
    }

    /// Runs the next step; waits for its task in the pool.
    fn write_next(&mut self) -> Result<()> {
        match self.queue.pop_front() {
            None => Err(Error::new(ErrorKind::Internal, "no step is pending")),
            Some(Step::Begin(header)) => {
                self.open = Some(self.staging.begin(header)?);
                Ok(())
            }
            Some(Step::End(digest)) => {
                let entry = self.open.take().ok_or_else(not_open)?;
                self.end(entry, &digest)
            }
            Some(Step::Link(link)) => self.end_link(*link),
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

    /// Ends a file that was written. If it has not changed it is to be replaced by a link.
    fn end(&mut self, entry: StagedEntry, digest: &PlainDigest) -> Result<()> {
        let file = self.staging.finish_file(entry, digest)?;
        let unchanged = self.staging.unchanged(&file.stored_path, &file.recorded());
        let Some(unchanged) = unchanged else {
            return self.staging.add_file(&file);
        };
        if self.links.len() >= MAX_PENDING_LINKS {
            self.finish_link()?;
        }
        let recorded = unchanged.recorded;
        let handle = self.pool.submit(move || unchanged.link());
        self.links.push_back((file, recorded, handle));
        Ok(())
    }

    /// Ends a file of which the pool has tried to make a link instead of writing it.
    fn end_link(&mut self, link: LinkStep) -> Result<()> {
        let (mut chunk, linked) = link.handle.wait()?;
        if linked? {
            self.free.push(chunk);
            return self.staging.add_linked(link.header, &link.recorded);
        }
        let mut entry = self.staging.begin(link.header)?;
        entry.write(&mut chunk.frame)?;
        self.free.push(chunk);
        self.staging.end(entry, &link.digest)
    }

    /// Waits for the oldest of the links that replace a file.
    fn finish_link(&mut self) -> Result<()> {
        let Some((file, recorded, handle)) = self.links.pop_front() else {
            return Ok(());
        };
        if !handle.wait()?? {
            return self.staging.add_file(&file);
        }
        let header = FileHeader {
            path: file.path,
            stored_path: file.stored_path,
            size: file.size,
            modified: file.modified,
            mode: file.mode,
        };
        self.staging.add_linked(header, &recorded)
    }

    fn write_frame(&mut self, mut chunk: Chunk) -> Result<()> {
        let entry = self.open.as_mut().ok_or_else(not_open)?;
        entry.write(&mut chunk.frame)?;
        self.free.push(chunk);
        Ok(())
    }
}

impl Drop for Pipeline<'_> {
    /// Waits for the links that are in progress: after an error the directory is removed.
    fn drop(&mut self) {
        for step in self.queue.drain(..) {
            if let Step::Link(link) = step {
                // Its error, if any, follows from the first one.
                let _ = link.handle.wait();
            }
        }
        for (_, _, handle) in self.links.drain(..) {
            let _ = handle.wait();
        }
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
