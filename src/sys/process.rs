//! Who we are, and who our peers are.

use std::os::fd::{AsFd, BorrowedFd};

use crate::error::{Context, Result};

/// The real user id of this process.
pub fn user_id() -> u32 {
    rustix::process::getuid().as_raw()
}

/// From now on new files and directories are for their owner only.
pub fn set_private_umask() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// From now on no core file of this process is written, nor may others of the same user look into its memory: it holds
/// keys and passwords.
pub fn forbid_core_dumps() -> Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).context("forbid core files")?;
    undumpable().context("forbid core dumps")
}

/// A program that takes core dumps by a pipe (core(5)) is not bound by the limit.
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

/// Sets how many connections may wait to be accepted by a socket that listens.
pub fn set_backlog(listener: impl AsFd, backlog: u32) -> Result<()> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    rustix::net::listen(listener, backlog).context("set the backlog")
}

/// The user id of the process at the other end of a Unix socket.
pub fn peer_user_id(socket: impl AsFd) -> Result<u32> {
    peer(socket.as_fd()).context("ask who the client is")
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
    // SAFETY: the descriptor is open for the whole call, and both places to write to are ours.
    match unsafe { libc::getpeereid(socket.as_raw_fd(), &mut user, &mut group) } {
        0 => Ok(user),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_of_our_own_socket_is_ourselves() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(peer_user_id(&one).unwrap(), user_id());
    }
}
