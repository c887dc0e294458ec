//! Connecting over TCP and Unix sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use socket2::{Domain, SockAddr, Socket as RawSocket, TcpKeepalive, Type};

use super::socket::Socket;
use super::stream::network_error;
use super::{Deadline, Stream};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys::Stop;

/// The socket options of a TCP connection.
#[derive(Clone, Copy, Debug)]
pub struct TcpOptions {
    /// Whether TCP keepalive is on, which detects a dead peer within about two minutes.
    pub keep_alive: bool,
    /// Whether `TCP_NODELAY` is on.
    pub nodelay: bool,
}

/// TCP keepalive: the idle time before the first probe, the interval of probes, and the number of
/// unanswered probes after which the kernel closes the connection.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
#[cfg(not(target_os = "openbsd"))]
const KEEPALIVE_PROBES: u32 = 6;

/// The interval of attempts to connect to a Unix socket with a full queue: the kernel does not
/// notify when it has room.
const CONNECT_RETRY_INTERVAL: Duration = Duration::from_millis(20);

impl Stream {
    /// Connects to `host` and `port`: tries the addresses of the host in order, each for an equal
    /// share of the remaining time until `deadline`.
    pub fn tcp(
        host: &str,
        port: u16,
        options: TcpOptions,
        deadline: Deadline,
        stop: &Stop,
    ) -> Result<Stream> {
        let peer = format!("{host}:{port}");
        let action = || format!("connect to {peer}");
        let addresses = resolve(host, port, deadline, stop).with_context(action)?;
        let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let mut last = Error::new(ErrorKind::Network, "the host name has no address");
        for address in addresses {
            let share = Deadline::after(deadline.left() / left.max(1));
            left = left.saturating_sub(1);
            match connect_address(address, options, share, stop) {
                Ok(socket) => {
                    return Ok(Stream::from_socket(
                        Socket::Tcp(socket.into()),
                        stop.clone(),
                        peer,
                    ));
                }
                Err(failure) if failure.kind() == ErrorKind::Stopped => return Err(failure),
                Err(failure) => last = failure.context(address.ip()),
            }
        }
        Err(last.context(action()))
    }

    /// Connects to the Unix socket at `path`.
    pub fn unix(path: &Path, deadline: Deadline, stop: &Stop) -> Result<Stream> {
        let peer = path.display().to_string();
        let action = || format!("connect to {peer}");
        let address = SockAddr::unix(path).with_context(action)?;
        loop {
            let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None).with_context(action)?;
            socket.set_nonblocking(true).with_context(action)?;
            match socket.connect(&address) {
                Ok(()) => {
                    let socket = UnixStream::from(OwnedFd::from(socket));
                    return Ok(Stream::from_socket(
                        Socket::Unix(socket),
                        stop.clone(),
                        peer,
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if deadline.passed() {
                        let message = "the server does not accept connections before the deadline";
                        return Err(Error::new(ErrorKind::Timeout, message).context(action()));
                    }
                    stop.pause(CONNECT_RETRY_INTERVAL.min(deadline.left()))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(network_error(&error).context(action())),
            }
        }
    }
}

/// The addresses of a host. The resolver of the C library can neither be interrupted nor has it a
/// deadline, so a thread calls it; after the deadline the thread is abandoned and ends when the
/// resolver returns.
fn resolve(host: &str, port: u16, deadline: Deadline, stop: &Stop) -> Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).context("create a pipe")?;
    let (sender, receiver) = mpsc::channel();
    let name = (host.to_owned(), port);
    std::thread::Builder::new()
        .name("resolve".to_owned())
        .spawn(move || {
            let found = name.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            // Fails after the deadline, when the receiver is gone.
            let _ = sender.send(found);
            drop(writer);
        })
        .context("start a thread")?;
    if !stop.wait_readable(reader.as_fd(), deadline.left())? {
        let message = "the host name was not resolved before the deadline";
        return Err(Error::new(ErrorKind::Timeout, message));
    }
    let found = receiver
        .recv()
        .map_err(|_| Error::new(ErrorKind::Internal, "the resolver thread ended"))?;
    found.map_err(|error| network_error(&error))
}

fn connect_address(
    address: SocketAddr,
    options: TcpOptions,
    deadline: Deadline,
    stop: &Stop,
) -> Result<RawSocket> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, None)
        .map_err(|error| network_error(&error))?;
    set_options(&socket, options).context("set up a TCP socket")?;
    match socket.connect(&address.into()) {
        Ok(()) => return Ok(socket),
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(network_error(&error)),
    }
    if !stop.wait_writable(socket.as_fd(), deadline.left())? {
        return Err(Error::new(
            ErrorKind::Timeout,
            "no answer before the deadline",
        ));
    }
    match socket.take_error() {
        Ok(None) => Ok(socket),
        Ok(Some(error)) | Err(error) => Err(network_error(&error)),
    }
}

pub(super) fn set_options(socket: &RawSocket, options: TcpOptions) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(options.nodelay)?;
    if options.keep_alive {
        let probes = TcpKeepalive::new().with_time(KEEPALIVE_IDLE);
        // On OpenBSD these are settings of the whole system.
        #[cfg(not(target_os = "openbsd"))]
        let probes = probes
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&probes)?;
    }
    Ok(())
}
