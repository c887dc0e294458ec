//! Reads archived WAL as PostgreSQL's recovery would read it: along a timeline path, segment after
//! segment, to the end of valid WAL. Restore uses it to find out which targets can be reached,
//! verify to check that a backup has the WAL that it needs.

mod last_transaction;
mod reader;
mod segments;
mod timeline_path;

pub(crate) use last_transaction::FirstRecord;
pub(crate) use reader::{ReadResult, Stopped, WalReader};
pub(crate) use segments::{OpenedSegment, SegmentFile, Segments};
pub(crate) use timeline_path::{
    TimelineChoice, choose_path, contains_backup, followed_history, target_history,
};

#[cfg(test)]
mod tests;
