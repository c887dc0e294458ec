//! System calls beyond the standard library, for Linux, FreeBSD and OpenBSD.
//!
//! The only module with `unsafe`. Independent of servers and backups.

mod append;
mod detach;
mod identity;
mod kernel;
mod lock;
mod notify;
mod process;
mod stop;
mod user;

pub(crate) use append::{NO_READER, open_to_append};
pub(crate) use detach::{Detached, detach};
pub(crate) use identity::FileIdentity;
pub(crate) use kernel::{drop_page_cache, read_ahead, start_writeback, syncfs_is_reliable};
pub(crate) use lock::LockFile;
#[cfg(test)]
pub(crate) use lock::acquire_released;
pub(crate) use notify::notify;
pub(crate) use process::{
    disable_core_dumps, peer_user_id, raise_descriptor_limit, set_backlog, set_private_umask,
    user_id,
};
pub use stop::Stop;
pub(crate) use stop::{InterruptibleReader, stop_on_interrupt};
pub(crate) use user::{Right, check_rights, effective_group_id, effective_user_id, user_name};
