//! The threads of a port.

use std::io;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::log_limit::LogLimit;
use super::places::{Place, Places};
use crate::daemon::jobs::join;
use crate::error::{Context, ErrorKind, Result};
use crate::job::context::DaemonContext;
use crate::net::{Stream, TcpOptions};
use crate::sys::Stop;

/// How long to wait before accepting again after an error, such as no free descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);

/// How often counted events are logged, and ended threads joined, without a new connection.
const IDLE_INTERVAL: Duration = Duration::from_secs(10);

/// The maximum number of connections of a port.
const MAX_CONNECTIONS: usize = 64;

/// What a port needs besides its listeners.
#[derive(Clone)]
pub struct PortOptions {
    /// The key of the configuration: the names of its threads and the lines in the log begin with
    /// it.
    pub name: &'static str,
    /// The maximum number of connections, each of which has a thread.
    pub max_connections: usize,
    /// The options of its connections.
    pub tcp: TcpOptions,
    /// Requested when the daemon stops: it ends the waits of all connections.
    pub stop: Stop,
}

impl PortOptions {
    /// For a port of the daemon, with the options of the configuration.
    pub fn new(name: &'static str, daemon: &DaemonContext) -> PortOptions {
        PortOptions {
            name,
            max_connections: MAX_CONNECTIONS,
            tcp: TcpOptions {
                keep_alive: daemon.config.keep_alive,
                nodelay: daemon.config.nodelay,
            },
            stop: daemon.stop.clone(),
        }
    }
}

/// Serves the connections of a port.
pub trait PortService: Send + Sync + 'static {
    /// Serves one connection, in a thread of its own, until it ends. An error is noted in the log,
    /// see [`LogLimit`], unless the connection was closed for another one.
    fn serve(&self, stream: Stream, address: IpAddr, place: &Place) -> Result<()>;
}

/// A TCP port that is served.
pub struct Port {
    shared: Arc<Shared>,
    /// Ends the threads that accept.
    accepting: Stop,
    acceptors: Vec<JoinHandle<()>>,
}

struct Shared {
    options: PortOptions,
    service: Arc<dyn PortService>,
    places: Arc<Places>,
    log: LogLimit,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Port {
    /// Accepts connections from the listeners, which are non-blocking.
    pub fn start(
        listeners: Vec<TcpListener>,
        options: PortOptions,
        service: Arc<dyn PortService>,
    ) -> Result<Port> {
        let accepting = options.stop.child()?;
        let shared = Arc::new(Shared {
            places: Places::new(options.max_connections),
            log: LogLimit::new(options.name),
            threads: Mutex::default(),
            options,
            service,
        });
        let mut port = Port {
            shared,
            accepting,
            acceptors: Vec::new(),
        };
        for listener in listeners {
            let (shared, stop) = (port.shared.clone(), port.accepting.clone());
            let thread = std::thread::Builder::new().name(format!("{}/accept", port.name()));
            let thread = thread.spawn(move || shared.accept_all(&listener, &stop));
            match thread.context("start a thread") {
                Ok(thread) => port.acceptors.push(thread),
                Err(failure) => {
                    port.close();
                    port.join();
                    return Err(failure);
                }
            }
        }
        Ok(port)
    }

    fn name(&self) -> &'static str {
        self.shared.options.name
    }

    /// Closes the listeners: no new connections. Those that there are go on.
    pub fn close(&mut self) {
        self.accepting.request();
        self.shared.places.close();
        self.acceptors.drain(..).for_each(join);
    }

    /// Waits until all connections have ended. To be called after a stop was requested.
    pub fn join(mut self) {
        self.close();
        let threads = std::mem::take(&mut *self.shared.lock_threads());
        threads.into_iter().for_each(join);
        self.shared.log.flush();
    }
}

impl Shared {
    /// Accepts connections until a stop is requested.
    fn accept_all(self: &Arc<Self>, listener: &TcpListener, stop: &Stop) {
        loop {
            match stop.wait_readable(listener.as_fd(), IDLE_INTERVAL) {
                Ok(true) => {}
                Ok(false) => self.tidy_up(),
                Err(failure) if failure.kind() == ErrorKind::Stopped => return,
                Err(failure) => {
                    self.log.note("errors", &failure);
                    if stop.pause(ACCEPT_RETRY_DELAY).is_err() {
                        return;
                    }
                }
            }
            match listener.accept() {
                Ok((socket, peer)) => self.start(socket, peer.ip()),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock
                    | io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        // The connection stays in the queue, and the listener readable.
                        self.log.note("connections not accepted", &error);
                        self.places.evict();
                        if stop.pause(ACCEPT_RETRY_DELAY).is_err() {
                            return;
                        }
                    }
                },
            }
        }
    }

    /// Serves a connection in a thread of its own, as soon as it has a place.
    fn start(self: &Arc<Self>, socket: TcpStream, address: IpAddr) {
        let second = match socket.try_clone() {
            Ok(second) => second,
            Err(error) => {
                self.places.evict();
                return self.log.note("connections refused", &error);
            }
        };
        let evicted = || {
            let max = self.options.max_connections;
            let text = format!("{max} connections are open, which is the maximum");
            self.log.note("idle connections closed", text);
        };
        let Some(place) = self.places.take(address, second, &evicted) else {
            return;
        };
        self.tidy_up();
        let shared = Arc::clone(self);
        let name = format!("{}/{address}", self.options.name);
        let thread = std::thread::Builder::new().name(name);
        match thread.spawn(move || shared.run(socket, address, &place)) {
            Ok(thread) => self.lock_threads().push(thread),
            Err(error) => self.log.note("connections refused", &error),
        }
    }

    fn run(&self, socket: TcpStream, address: IpAddr, place: &Place) {
        let served = || {
            let stream = Stream::from_tcp(socket, self.options.tcp, self.options.stop.clone())?;
            self.service.serve(stream, address, place)
        };
        match catch_unwind(AssertUnwindSafe(served)) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) if failure.kind() == ErrorKind::Stopped => {}
            // It was closed for another one, which is counted.
            Ok(Err(_)) if !place.pause(Duration::ZERO) => {}
            Ok(Err(failure)) => {
                let text = format!("{address}: {}", failure.message_with_hint());
                self.log.note("connections failed", text);
            }
            Err(_) => log::error!("{}: {address}: it panicked, a bug", self.options.name),
        }
    }

    /// Joins the threads that have ended, and logs what is due.
    fn tidy_up(&self) {
        self.log.flush();
        let mut threads = self.lock_threads();
        let (ended, running) = threads.drain(..).partition(JoinHandle::is_finished);
        *threads = running;
        drop(threads);
        let ended: Vec<JoinHandle<()>> = ended;
        ended.into_iter().for_each(join);
    }

    fn lock_threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
