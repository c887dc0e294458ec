//! The WAL format of PostgreSQL 13 to 19: pages, records, and the content of the records that a
//! restore needs.
//!
//! [`Decoder`] gets the bytes of segments in order and finds every record, with the checks of
//! PostgreSQL's recovery, and thus the end of valid WAL, also of later versions, whose records it
//! cannot decode. Files are not handled here.

mod cursor;
mod decoder;
mod event;
mod page;
mod record;

pub use decoder::Decoder;
pub(crate) use decoder::InvalidRecord;
pub use event::Event;
pub(crate) use page::{LongHeader, PageHeader, first_record};
pub use record::Record;

#[cfg(any(test, fuzzing))]
pub(crate) mod synthetic;
#[cfg(test)]
mod tests;
