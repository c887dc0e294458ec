//! The words we measure with: positions in the WAL, timelines, segments, labels, names, sizes, times.
//!
//! Each type parses what a person or a peer writes, prints what they expect to read, and does its arithmetic in 64
//! bits. Nothing here touches a file or a socket.

mod clock;
mod label;
mod lsn;
mod method;
mod name;
mod segment;
mod size;
mod span;
mod text;
mod timeline;
mod timestamp;
mod version;

pub use clock::timestamp;
pub use label::Label;
pub use lsn::Lsn;
pub use method::{Compression, Encryption, Level};
pub use name::ServerName;
pub use segment::{Segment, SegmentSize};
pub use size::ByteSize;
pub use span::Span;
pub use text::{escaped, without_mark};
pub use timeline::Timeline;
pub use timestamp::Timestamp;
pub use version::PgVersion;
