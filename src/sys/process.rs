//! Properties of this process and of the peers of its sockets.

use std::os::fd::{AsFd, BorrowedFd};

use crate::error::{Context, Result};

/// The real user id of this process.
pub fn user_id() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Sets the umask to 077: new files and directories are accessible by their owner only.
pub fn set_private_umask() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Disables core dumps, and reading the memory of this process by other processes of the same user:
/// it contains keys and passwords.
pub fn disable_core_dumps() -> Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).context("disable core files")?;
    undumpable().context("disable core dumps")
}

/// The number of descriptors that is enough for many servers. A limit without end is not used: some
/// libraries close every possible descriptor.
const MAX_DESCRIPTORS: u64 = 65_536;

/// Raises the soft limit of open descriptors to the hard one: each server needs several.
pub fn raise_descriptor_limit() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(MAX_DESCRIPTORS).min(MAX_DESCRIPTORS);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum,
    };
    setrlimit(Resource::Nofile, raised).context("raise the limit of open descriptors")
}

/// The limit does not apply where core dumps are piped to a program (core(5)).
#[cfg(target_os = "linux")]
fn undumpable() -> Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(target_os = "freebsd")]
fn undumpable() -> Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(None, DumpableBehavior::NotDumpable)?)
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn undumpable() -> Result<()> {
    Ok(())
}

/// Sets the length of the queue of connections to accept of a listening socket, listen(2).
pub fn set_backlog(listener: impl AsFd, backlog: u32) -> Result<()> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    rustix::net::listen(listener, backlog).context("set the backlog")
}

/// The user id of the process at the other end of a Unix socket.
pub fn peer_user_id(socket: impl AsFd) -> Result<u32> {
    peer(socket.as_fd()).context("get the user ID of the client")
}

#[cfg(target_os = "linux")]
fn peer(socket: BorrowedFd<'_>) -> Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(socket)?.uid.as_raw())
}

#[cfg(not(target_os = "linux"))]
#[expect(unsafe_code, reason = "getpeereid has no safe wrapper")]
fn peer(socket: BorrowedFd<'_>) -> Result<u32> {
    use std::os::fd::AsRawFd;
    let (mut user, mut group) = (0, 0);
    // SAFETY: the descriptor is open for the whole call, and both output pointers are valid.
    match unsafe { libc::getpeereid(socket.as_raw_fd(), &mut user, &mut group) } {
        0 => Ok(user),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_of_a_socket_pair_is_this_user() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(peer_user_id(&one).unwrap(), user_id());
    }
}
