//! The compression methods, one file each: write one frame, read a sequence of frames.
//!
//! The only module that uses the crates `flate2`, `zstd`, `lz4` and `bzip2`. A frame is a gzip
//! member (RFC 1952), a Zstandard frame (RFC 8878), an LZ4 frame (`lz4_Frame_format.md` 1.6) or a
//! bzip2 stream. Compressors are cached per thread, because creating one costs more than
//! compressing a small file.

mod bzip2;
mod frames;
mod gzip;
mod lz4;
mod lz4_records;
mod method;
mod none;
mod table;
mod zstd;

pub(crate) use method::Level;
pub(super) use method::{Coder, CompressPages, FrameReader};
pub use table::Compression;
