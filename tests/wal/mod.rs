//! The WAL receiver against real servers, as a thread of the tests.

mod alarms;
mod crash;
mod log;
mod relay;
mod setup;
mod streaming;
mod timelines;
