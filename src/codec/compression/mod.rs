//! The compression methods, one file each: one frame written, a sequence of frames read.
//!
//! The only place that knows the crates `flate2`, `zstd`, `lz4` and `bzip2`. A frame is a gzip member (RFC 1952), a
//! Zstandard frame (RFC 8878), an LZ4 frame (`lz4_Frame_format.md` 1.6) or a bzip2 stream. Compressors are kept per
//! thread, because making one costs more than a small file.

mod bzip2;
mod frames;
mod gzip;
mod level;
mod lz4;
mod method;
mod zstd;

pub(super) use level::{Effort, automatic, clamp};
pub(super) use lz4::is_of_c as is_lz4_of_c;
pub(super) use method::{Frames, compress};
