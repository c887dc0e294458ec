//! Basic value types: LSNs, timelines, WAL segments, backup labels, server names, sizes, times.
//!
//! Each type parses and prints its text form, and calculates in 64 bits. Nothing here uses a file
//! or a socket.

mod backup_step;
mod buffer;
mod duration;
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

pub use backup_step::{BackupStep, StepTimes};
pub(crate) use buffer::{after, first, first_mut, read_full, read_some, to_u64, to_usize};
pub(crate) use duration::human_duration;
pub use encryption::Encryption;
pub(crate) use keyword::Keyword;
pub(crate) use label::Label;
pub use lsn::Lsn;
pub(crate) use name::ServerName;
pub use segment::{Segment, SegmentSize};
pub(crate) use size::ByteSize;
pub(crate) use span::Span;
pub(crate) use text::{Names, escaped, is_name, without_bom};
pub use timeline::Timeline;
pub(crate) use timestamp::{Timestamp, local_timestamp};
pub(crate) use version::PgVersion;
pub use wal_position::WalPosition;
