//! The management protocol, the client, and start and stop of the daemon, tested from outside.

mod client;
mod detached;
mod documents;
mod exclusion;
mod files;
mod frames;
mod health;
mod lifecycle;
#[cfg(target_os = "linux")]
mod many;
mod paths;
mod running;
mod wire;
