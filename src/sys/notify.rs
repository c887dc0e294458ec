//! Notification of the service manager, sd_notify(3).

use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixDatagram;

/// Sends `state` (such as `READY=1`) to the service manager at the socket in `NOTIFY_SOCKET`, if it
/// is set. A failure is only logged: the daemon does not depend on the service manager.
pub fn notify(state: &str) {
    if let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())
        && let Err(error) = send(&address, state)
    {
        log::warn!("notify the service manager of {state}: {error}");
    }
}

fn send(address: &OsStr, state: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match abstract_name(address) {
        Some(name) => send_abstract(&socket, name, state),
        None => socket.send_to(state.as_bytes(), address).map(|_| ()),
    }
}

/// The name after `@` of an address in the abstract namespace, unix(7).
fn abstract_name(address: &OsStr) -> Option<&[u8]> {
    use std::os::unix::ffi::OsStrExt;
    address.as_bytes().strip_prefix(b"@")
}

#[cfg(target_os = "linux")]
fn send_abstract(socket: &UnixDatagram, name: &[u8], state: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    socket.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

#[cfg(not(target_os = "linux"))]
fn send_abstract(_: &UnixDatagram, _: &[u8], _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
