//! Encodes a stream of any length to one stored file: the pool compresses its chunks.

use std::collections::VecDeque;
use std::io::{self, Write};

use crate::codec::{
    CHUNK_SIZE, Digests, EncodeOptions, FrameCompressor, PlainDigest, StoredWriter,
};
use crate::error::Result;
use crate::pool::{Pool, TaskHandle};

/// Writes a stored file from its plain bytes. The chunks are compressed by several threads, and
/// written in order; their number limits the memory. The file is complete only after
/// [`StreamEncoder::finish`].
#[must_use = "a stored file without its end cannot be read"]
pub(super) struct StreamEncoder<'p, W: Write> {
    pool: &'p Pool,
    compressor: FrameCompressor,
    writer: StoredWriter<W>,
    /// The chunk that is being filled.
    plain: Vec<u8>,
    pending: VecDeque<TaskHandle<(Chunk, Result<()>)>>,
    /// The maximum length of `pending`.
    max_pending: usize,
    free: Vec<Chunk>,
}

/// Buffers for up to [`CHUNK_SIZE`] plain bytes and for their frame.
#[derive(Default)]
struct Chunk {
    plain: Vec<u8>,
    frame: Vec<u8>,
}

impl<'p, W: Write> StreamEncoder<'p, W> {
    /// Writes to `stored`; at most `workers` threads of `pool` compress.
    pub fn new(
        pool: &'p Pool,
        workers: usize,
        stored: W,
        options: &EncodeOptions,
    ) -> Result<StreamEncoder<'p, W>> {
        Ok(StreamEncoder {
            pool,
            compressor: FrameCompressor::new(options),
            writer: StoredWriter::new(stored, options)?,
            plain: Vec::with_capacity(CHUNK_SIZE),
            pending: VecDeque::new(),
            // One more for each worker, so that the next chunk is ready.
            max_pending: workers.clamp(1, pool.workers()) * 2,
            free: Vec::new(),
        })
    }

    /// Ends the file. The digests are those of the stored bytes only.
    pub fn finish(mut self) -> Result<(W, Digests)> {
        if !self.plain.is_empty() {
            self.encode_chunk()?;
        }
        while !self.pending.is_empty() {
            self.write_next()?;
        }
        self.writer.finish(&PlainDigest::new())
    }

    /// Encodes the chunk that was filled.
    fn encode_chunk(&mut self) -> Result<()> {
        if self.compressor.is_copy() {
            self.writer.write(&mut self.plain)?;
            self.plain.clear();
            return Ok(());
        }
        if self.pending.len() >= self.max_pending {
            self.write_next()?;
        }
        let mut chunk = self.free.pop().unwrap_or_default();
        std::mem::swap(&mut chunk.plain, &mut self.plain);
        self.plain.clear();
        let compressor = self.compressor.clone();
        self.pending.push_back(self.pool.submit(move || {
            let result = compressor.compress_frame(&chunk.plain, &mut chunk.frame);
            (chunk, result)
        }));
        while self.pending.front().is_some_and(TaskHandle::is_done) {
            self.write_next()?;
        }
        Ok(())
    }

    /// Writes the frame of the oldest chunk; waits for its compression.
    fn write_next(&mut self) -> Result<()> {
        if let Some(handle) = self.pending.pop_front() {
            let (mut chunk, result) = handle.wait()?;
            result?;
            self.writer.write(&mut chunk.frame)?;
            self.free.push(chunk);
        }
        Ok(())
    }
}

impl<W: Write> Write for StreamEncoder<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_SIZE - self.plain.len();
        let (now, _) = bytes.split_at(room.min(bytes.len()));
        self.plain.extend_from_slice(now);
        if self.plain.len() >= CHUNK_SIZE {
            self.encode_chunk()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Compression, Level, StoredReader};
    use crate::crypto::MasterKey;
    use crate::error::{Error, ErrorKind};
    use crate::unit::Encryption;
    use std::io::Read;
    use std::sync::Arc;

    /// Writes that fail after a number of bytes, as those to a full disk.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() > self.0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn options(compression: Compression, encryption: Encryption) -> EncodeOptions {
        EncodeOptions {
            compression,
            level: Level::Auto,
            encryption,
            key: Some(Arc::new(MasterKey::for_tests(1))),
        }
    }

    #[test]
    fn a_stream_of_every_method_is_read_as_any_stored_file() {
        let pool = Pool::new(2).unwrap();
        // Three chunks and a part of one.
        let plain: Vec<u8> = (0..3_145_733_u32)
            .map(|number| number.wrapping_mul(number >> 7).to_be_bytes()[1])
            .collect();
        for compression in Compression::ALL {
            for encryption in [Encryption::None, Encryption::Aes192] {
                let options = options(compression, encryption);
                let path = std::env::temp_dir().join(format!(
                    "pgmoneta-stream-{}-{compression}-{encryption}",
                    std::process::id()
                ));
                let file = std::fs::File::create(&path).unwrap();
                let mut encoder = StreamEncoder::new(&pool, 2, file, &options).unwrap();
                for part in plain.chunks(100_000) {
                    encoder.write_all(part).unwrap();
                }
                let (_, digests) = encoder.finish().unwrap();
                let mut reader =
                    StoredReader::open(&path, options.stored(), options.key.clone()).unwrap();
                let mut read = Vec::new();
                reader.read_to_end(&mut read).unwrap();
                let found = reader.finish().unwrap();
                std::fs::remove_file(&path).unwrap();
                assert!(read == plain, "{compression} {encryption}");
                assert_eq!(found.stored_sha256(), digests.stored_sha256());
                assert_eq!(found.stored_size, digests.stored_size);
            }
        }
    }

    #[test]
    fn a_full_disk_is_an_error_of_that_kind() {
        let pool = Pool::new(2).unwrap();
        let options = options(Compression::Zstd, Encryption::None);
        let mut encoder = StreamEncoder::new(&pool, 2, Full(CHUNK_SIZE), &options).unwrap();
        let noise = |at: usize| {
            let mut digest = crate::crypto::Sha256::new();
            digest.update(&at.to_be_bytes());
            digest.finish()
        };
        let written = (0..CHUNK_SIZE).try_for_each(|at| encoder.write_all(&noise(at)));
        assert_eq!(Error::from(written.unwrap_err()).kind(), ErrorKind::NoSpace);
    }
}
