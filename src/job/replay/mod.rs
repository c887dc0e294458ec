//! Reads archived WAL as PostgreSQL's recovery would read it: along a way of timelines, segment after segment, to the
//! end of what is valid. Restore finds out with it what can be reached, verify that a backup has what it needs.

mod look_back;
mod path;
mod segments;
mod walk;

pub use path::{TimelineChoice, choose, followed_history, holds, target_history};
pub use segments::{Opened, Segments, WayFile};
pub use walk::{Ending, Walk, Walked};

#[cfg(test)]
mod tests;
