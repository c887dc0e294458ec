//! Making connections.

use std::io::{self, ErrorKind};
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
use super::stream::broken;
use super::{Deadline, Stream};
use crate::error::{Context, Failure, Kind, Result};
use crate::sys::Stop;

/// How a TCP connection is set up.
#[derive(Clone, Copy, Debug)]
pub struct TcpOptions {
    /// Whether the kernel probes a silent peer, so that a dead one is noticed within about two minutes.
    pub keep_alive: bool,
    /// Whether small packets are sent at once.
    pub nodelay: bool,
}

/// How long a silent connection is left alone, how far probes are apart, and how many go unanswered before the
/// kernel gives it up.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
#[cfg(not(target_os = "openbsd"))]
const KEEPALIVE_PROBES: u32 = 6;

/// How long to wait before a Unix socket with a full queue is tried again: the kernel tells nobody when it has room.
const QUEUE_PAUSE: Duration = Duration::from_millis(20);

impl Stream {
    /// Connects to `host` and `port`: tries each address of the host in turn, and gives each its share of the time
    /// until `deadline`.
    pub fn tcp(
        host: &str,
        port: u16,
        options: TcpOptions,
        deadline: Deadline,
        stop: &Stop,
    ) -> Result<Stream> {
        let peer = format!("{host}:{port}");
        let doing = || format!("connect to {peer}");
        let addresses = resolve(host, port, deadline, stop).with_context(doing)?;
        let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let mut last = Failure::new(Kind::Network, "the host name has no address");
        for address in addresses {
            let share = Deadline::after(deadline.left() / left.max(1));
            left = left.saturating_sub(1);
            match connect_address(address, options, share, stop) {
                Ok(socket) => {
                    return Ok(Stream::over(Socket::Tcp(socket.into()), stop.clone(), peer));
                }
                Err(failure) if failure.kind() == Kind::Stopped => return Err(failure),
                Err(failure) => last = failure.context(address.ip()),
            }
        }
        Err(last.context(doing()))
    }

    /// Connects to the Unix socket at `path`.
    pub fn unix(path: &Path, deadline: Deadline, stop: &Stop) -> Result<Stream> {
        let peer = path.display().to_string();
        let doing = || format!("connect to {peer}");
        let address = SockAddr::unix(path).with_context(doing)?;
        loop {
            let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None).with_context(doing)?;
            socket.set_nonblocking(true).with_context(doing)?;
            match socket.connect(&address) {
                Ok(()) => {
                    let socket = UnixStream::from(OwnedFd::from(socket));
                    return Ok(Stream::over(Socket::Unix(socket), stop.clone(), peer));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if deadline.passed() {
                        let late = "the server does not accept connections before the deadline";
                        return Err(Failure::new(Kind::Timeout, late).context(doing()));
                    }
                    stop.pause(QUEUE_PAUSE.min(deadline.left()))?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error).context(doing())),
            }
        }
    }
}

/// The addresses of a host. The resolver of the C library can neither be interrupted nor given a deadline, so a thread
/// calls it; one that is too late is left behind and ends when the resolver gives up.
fn resolve(host: &str, port: u16, deadline: Deadline, stop: &Stop) -> Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).context("make a pipe")?;
    let (sender, receiver) = mpsc::channel();
    let name = (host.to_owned(), port);
    std::thread::Builder::new()
        .name("resolve".to_owned())
        .spawn(move || {
            let found = name.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            // Nobody listens any more if we are too late.
            let _ = sender.send(found);
            drop(writer);
        })
        .context("start a thread")?;
    if !stop.wait_readable(reader.as_fd(), deadline.left())? {
        let late = "the host name was not resolved before the deadline";
        return Err(Failure::new(Kind::Timeout, late));
    }
    let found = receiver
        .recv()
        .map_err(|_| Failure::new(Kind::Internal, "the resolver's thread ended"))?;
    found.map_err(|error| broken(&error))
}

fn connect_address(
    address: SocketAddr,
    options: TcpOptions,
    deadline: Deadline,
    stop: &Stop,
) -> Result<RawSocket> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, None)
        .map_err(|error| broken(&error))?;
    set_options(&socket, options).context("set up a TCP socket")?;
    match socket.connect(&address.into()) {
        Ok(()) => return Ok(socket),
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(broken(&error)),
    }
    if !stop.wait_writable(socket.as_fd(), deadline.left())? {
        return Err(Failure::new(Kind::Timeout, "no answer before the deadline"));
    }
    match socket.take_error() {
        Ok(None) => Ok(socket),
        Ok(Some(error)) | Err(error) => Err(broken(&error)),
    }
}

fn set_options(socket: &RawSocket, options: TcpOptions) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(options.nodelay)?;
    if options.keep_alive {
        let probes = TcpKeepalive::new().with_time(KEEPALIVE_IDLE);
        // OpenBSD sets these for the whole system only.
        #[cfg(not(target_os = "openbsd"))]
        let probes = probes
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&probes)?;
    }
    Ok(())
}
