//! The write-ahead log as PostgreSQL 13 to 19 write it: pages, records, and the few records that recovery can stop at.
//!
//! [`Decoder`] is fed the bytes of segments in order and finds every record, checked as PostgreSQL's recovery checks
//! it, and thereby the end of valid WAL; of later versions too, whose records nobody here can read. What lies in which file is not known here.

mod cursor;
mod decoder;
mod event;
mod page;
mod record;

pub use decoder::{Decoder, Invalid};
pub use event::Event;
pub use page::{LongHeader, PageHeader, first_record};
pub use record::{Record, RecordHeader};

#[cfg(test)]
pub(crate) mod synthetic;
#[cfg(test)]
mod tests;
