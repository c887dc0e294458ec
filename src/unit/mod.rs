//! Basic value types: LSNs, timelines, WAL segments, backup labels, server names, sizes, times.
//!
//! Each type parses and prints its text form, and calculates in 64 bits. Nothing here uses a file
//! or a socket.

mod buffer;
mod encryption;
mod keyword;
mod label;
mod lsn;
mod name;
mod segment;
mod size;
mod span;
mod text;
mod timeline;
mod timestamp;
mod version;
mod wal_position;

pub use buffer::{after, first, first_mut, read_full, read_some, to_u64, to_usize};
pub use encryption::Encryption;
pub use keyword::Keyword;
pub use label::Label;
pub use lsn::Lsn;
pub use name::ServerName;
pub use segment::{Segment, SegmentSize};
pub use size::ByteSize;
pub use span::Span;
pub use text::{Names, escaped, is_name, without_bom};
pub use timeline::Timeline;
pub use timestamp::{Timestamp, local_timestamp};
pub use version::PgVersion;
pub use wal_position::WalPosition;
