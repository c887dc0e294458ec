//! Encoding and decoding of stored files in one pass: hash, compress, encrypt, and the reverse.
//!
//! A stored file is `compress` then `encrypt` of a plain one. Compressed, it is a sequence of
//! independent frames of `CHUNK_SIZE` plain bytes each, so that many threads compress one file
//! and any standard tool reads it; encrypted, it is one AES-GCM message. Digests are computed in
//! the same pass. The layout of the repository is not known here.

mod cipher;
mod compression;
mod digest;
mod encode;
mod encode_options;
mod frame_compressor;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod message;
mod probe;
mod stored_format;
mod stored_reader;
mod stored_writer;

pub use compression::Compression;
pub(crate) use compression::Level;
pub use digest::DigestKind;
pub(crate) use digest::{DigestValues, Digests, OwnDigests, PlainDigest};
pub(crate) use encode::encode;
pub(crate) use encode_options::{CHUNK_SIZE, EncodeOptions};
pub(crate) use frame_compressor::FrameCompressor;
pub(crate) use message::{compress_message, decompress_message};
pub use stored_format::{StoredFormat, Suffixes};
pub use stored_reader::StoredReader;
pub(crate) use stored_writer::StoredWriter;

#[cfg(test)]
mod tests;
