//! The kernel: what is asked of it beyond the standard library, for Linux, FreeBSD and OpenBSD.
//!
//! The only place with `unsafe`, and the only one with `cfg` for an operating system. Nothing here knows what a
//! server or a backup is.

mod detach;
mod identity;
mod kernel;
mod lock;
mod notify;
mod process;
mod stop;
mod user;

pub use detach::{Detached, Ready, detach};
pub use identity::FileIdentity;
pub use kernel::{forget_cached, read_ahead, start_writeback, syncfs_is_proof};
pub use lock::LockFile;
pub use notify::notify;
pub use process::{forbid_core_dumps, peer_user_id, set_backlog, set_private_umask, user_id};
pub use stop::{Stop, stop_on_interrupt};
pub use user::{Right, check_rights, effective_user_id, user_name};
