//! Listening on TCP ports, and accepted connections.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use socket2::{Domain, SockRef, Socket as RawSocket, Type};

use super::connect::set_options;
use super::socket::Socket;
use super::{Deadline, Stream, TcpOptions};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys::Stop;

/// The first port that needs no privilege.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// Listens on `port` of all addresses of `host`: a name, an address, or `*` for all of this
/// machine, IPv4 and IPv6. An address that this machine does not have is skipped if another one can
/// be used. The listeners are non-blocking.
pub fn listen(host: &str, port: u16, backlog: u32) -> Result<Vec<TcpListener>> {
    let action = || format!("listen on {host}, port {port}");
    let mut listeners = Vec::new();
    let mut missing = None;
    for address in addresses(host, port).with_context(action)? {
        match bind(address, backlog) {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_missing(&error) => missing = Some((address, error)),
            Err(error) => return Err(explain(&error, address).context(action())),
        }
    }
    match (listeners.is_empty(), missing) {
        (false, Some((address, error))) => {
            log::info!("{}: {} is skipped: {error}", action(), address.ip());
        }
        (true, Some((address, error))) => return Err(explain(&error, address).context(action())),
        _ => {}
    }
    Ok(listeners)
}

fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    if host == "*" {
        let all = [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ];
        return Ok(all.map(|address| SocketAddr::new(address, port)).to_vec());
    }
    let unknown = |why: String| {
        Error::new(ErrorKind::Configuration, why)
            .with_hint("host must be *, or a name or an address of this machine")
    };
    let found = (host, port).to_socket_addrs();
    let mut found: Vec<SocketAddr> = found.map_err(|error| unknown(error.to_string()))?.collect();
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(unknown("the host name has no address".to_owned()));
    }
    Ok(found)
}

fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of an earlier run may still wait for their end (TIME_WAIT).
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Each of the two protocols has its own socket.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Whether this machine does not have the address, or not the protocol.
fn is_missing(error: &io::Error) -> bool {
    let missing = [Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT];
    missing
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn explain(error: &io::Error, address: SocketAddr) -> Error {
    let (ip, port) = (address.ip(), address.port());
    match error.kind() {
        io::ErrorKind::AddrInUse => Error::new(ErrorKind::Busy, format!("{ip}: {error}"))
            .with_hint("another process listens on this port: choose another one"),
        io::ErrorKind::PermissionDenied if port < FIRST_UNPRIVILEGED => {
            Error::new(ErrorKind::Permission, format!("{ip}: {error}"))
                .with_hint("ports below 1024 need a privilege: choose one from 1024 on")
        }
        io::ErrorKind::AddrNotAvailable => {
            Error::new(ErrorKind::Configuration, format!("{ip}: {error}"))
                .with_hint("host must be *, or a name or an address of this machine")
        }
        _ => Error::new(ErrorKind::Network, format!("{ip}: {error}")),
    }
}

impl Stream {
    /// A stream over an accepted TCP connection.
    pub fn from_tcp(socket: TcpStream, options: TcpOptions, stop: Stop) -> Result<Stream> {
        let action = "set up a TCP socket";
        set_options(&SockRef::from(&socket), options).context(action)?;
        let peer = socket.peer_addr().context(action)?.to_string();
        Ok(Stream::from_socket(Socket::Tcp(socket), stop, peer))
    }

    /// The address of this side as the host of a URL; `localhost` if it is no TCP connection.
    pub fn local_host(&self) -> String {
        let address = match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(_) => None,
        };
        match address.map(|address| address.ip().to_canonical()) {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => format!("[{address}]"),
            None => "localhost".to_owned(),
        }
    }

    /// The first byte that the peer sends, which stays to be read; `None` if it closes the
    /// connection instead. For use before TLS starts: afterwards it is a byte of the TLS layer.
    pub fn peek(&mut self, deadline: Deadline) -> Result<Option<u8>> {
        let action = || format!("read from {}", self.peer);
        loop {
            if !self
                .stop
                .wait_readable(self.socket.as_fd(), deadline.left())?
            {
                let message = "the peer sent nothing before the deadline";
                return Err(Error::new(ErrorKind::Timeout, message).context(action()));
            }
            let mut byte = [0];
            match recv(&self.socket, byte.as_mut_slice(), RecvFlags::PEEK) {
                Ok((_, 0)) => return Ok(None),
                Ok(_) => return Ok(byte.first().copied()),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => {
                    let error = io::Error::from(error);
                    return Err(super::stream::network_error(&error).context(action()));
                }
            }
        }
    }

    /// Tells the peer that no more bytes follow, by the message of TLS for that too.
    pub fn finish(&mut self, deadline: Deadline) -> Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.write_all(&[], deadline)?;
        // Fails if the connection has ended already.
        let _ = shutdown(self.socket.as_fd(), Shutdown::Write);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_bound_and_errors_have_a_hint() {
        let local = listen("127.0.0.1", 0, 16).unwrap();
        assert_eq!(local.len(), 1);
        let port = local[0].local_addr().unwrap().port();
        let busy = listen("127.0.0.1", port, 16).unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Busy);
        assert!(busy.hint().unwrap().contains("another process"), "{busy}");
        drop(local);
        let every = listen("*", port, 16).unwrap();
        assert!(every[0].local_addr().unwrap().ip().is_unspecified());
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        for unknown in ["nobody.invalid", "192.0.2.1", ""] {
            let failure = listen(unknown, 0, 16).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Configuration, "{unknown}");
            assert!(
                failure.hint().unwrap().starts_with("host must be"),
                "{failure}"
            );
        }
        assert!(!listen("localhost", 0, 16).unwrap().is_empty());
    }
}
