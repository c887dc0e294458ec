//! The WAL receiver against real servers, in a thread of the tests.

mod alarms;
mod alone;
mod branches;
mod crash;
mod log;
mod older;
mod recovered;
mod relay;
mod removed;
mod setup;
mod streaming;
mod timelines;
