//! What bad input gets: a clear error, and nothing lost.

#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod disk;
mod forged;
mod names;
mod server;
mod stored;
mod vault;
