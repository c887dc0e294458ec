//! One pass over a file: hash, compress, encrypt, and back.
//!
//! A stored file is `compress` then `encrypt` of a plain one. Compressed, it is a sequence of independent frames of
//! [`CHUNK`] plain bytes each, so that many threads compress one file and any standard tool reads it; encrypted, it
//! is one AES-GCM message. What passes through is digested on the way: nothing is read twice. Which files there are
//! and where they lie is not known here.

mod cipher;
mod coding;
mod compression;
mod digest;
mod encode;
mod framer;
mod message;
mod probe;
mod sink;
mod source;
mod stored;

pub use coding::{CHUNK, Coding};
pub use digest::{Digests, PlainDigest};
pub use encode::encode;
pub use framer::Framer;
pub use message::{pack, unpack};
pub use probe::Recognize;
pub use sink::Sink;
pub use source::Source;
pub use stored::{Stored, Suffixes};

#[cfg(test)]
mod tests;
