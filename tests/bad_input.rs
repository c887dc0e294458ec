//! Invalid input, damaged files and faults are reported, and no data is lost.

mod backup_info;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod disk;
mod forged;
mod names;
mod server;
mod stored;
mod vault;
