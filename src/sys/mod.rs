//! System calls beyond the standard library, for Linux, FreeBSD and OpenBSD.
//!
//! The only module with `unsafe`. Independent of servers and backups.

mod detach;
mod identity;
mod kernel;
mod lock;
mod notify;
mod process;
mod stop;
mod user;

pub use detach::{Detached, StartupNotifier, detach};
pub use identity::FileIdentity;
pub use kernel::{drop_page_cache, read_ahead, start_writeback, syncfs_is_reliable};
pub use lock::LockFile;
pub use notify::notify;
pub use process::{disable_core_dumps, peer_user_id, set_backlog, set_private_umask, user_id};
pub use stop::{Stop, stop_on_interrupt};
pub use user::{Right, check_rights, effective_user_id, user_name};
