//! Restore and verify, and what they stand on.

mod after_recovery;
mod branches;
mod dry_run;
mod limits;
mod mixed;
mod names;
mod newer;
mod outside;
mod places;
mod positions;
mod replayed;
mod saved;
mod story;
mod targets;
mod timelines;
mod times;
mod verify;
mod wal_records;
