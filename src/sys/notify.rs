//! Telling the service manager how we are.

use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixDatagram;

/// Sends `state` (such as `READY=1`) to the service manager that `NOTIFY_SOCKET` names (sd_notify(3)). Without one
/// nothing happens; a failure to send is logged, since nothing depends on it.
pub fn notify(state: &str) {
    if let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())
        && let Err(error) = send(&address, state)
    {
        log::warn!("tell the service manager {state}: {error}");
    }
}

fn send(address: &OsStr, state: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match abstract_name(address) {
        Some(name) => send_abstract(&socket, name, state),
        None => socket.send_to(state.as_bytes(), address).map(|_| ()),
    }
}

/// The name after `@`, for an address that is in no file system.
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
