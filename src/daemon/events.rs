//! The event loop of the main thread: clients, signals, ended jobs.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::net::UnixListener;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use crate::error::{Context as _, Result};
use crate::logging;

const LISTENER: Token = Token(0);
const SIGNALS: Token = Token(1);
const WAKER: Token = Token(2);

/// How long to wait before accepting again after an error, such as no free file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(500);

/// How often to check that the socket and the lock files are in place.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Wakes the main thread from another thread.
#[derive(Clone)]
pub(super) struct Waker {
    waker: Arc<mio::Waker>,
    shutdown: Arc<AtomicBool>,
}

impl Waker {
    /// Makes [`EventLoop::wait`] return.
    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("wake the main thread: {error}");
        }
    }

    /// Makes [`EventLoop::wait`] return `false`: the daemon stops.
    pub(super) fn shut_down(&self) {
        self.shutdown.store(true, Ordering::SeqCst);
        self.wake();
    }
}

/// Polls the listener, the signals and the waker.
pub(super) struct EventLoop {
    poll: Poll,
    signals: Signals,
    listener: UnixListener,
    waker: Waker,
    retry: Option<Duration>,
    sighup: bool,
}

impl EventLoop {
    /// Installs the signal handlers. `listener` is non-blocking.
    pub(super) fn new(listener: std::os::unix::net::UnixListener) -> Result<EventLoop> {
        let poll = Poll::new().context("create the event loop")?;
        let waker = mio::Waker::new(poll.registry(), WAKER).context("create the event loop")?;
        let mut events = EventLoop {
            poll,
            signals: signals().context("watch for signals")?,
            listener: UnixListener::from_std(listener),
            waker: Waker {
                waker: Arc::new(waker),
                shutdown: Arc::default(),
            },
            retry: None,
            sighup: false,
        };
        let registry = events.poll.registry();
        registry
            .register(&mut events.listener, LISTENER, Interest::READABLE)
            .and_then(|()| registry.register(&mut events.signals, SIGNALS, Interest::READABLE))
            .context("create the event loop")?;
        Ok(events)
    }

    /// Replaces the listener by another one, which is non-blocking.
    pub(super) fn listen(&mut self, listener: std::os::unix::net::UnixListener) -> Result<()> {
        let mut listener = UnixListener::from_std(listener);
        let registry = self.poll.registry();
        registry
            .register(&mut listener, LISTENER, Interest::READABLE)
            .context("watch for clients")?;
        // Closing the old one deregisters it.
        self.listener = listener;
        Ok(())
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits for an event, at most [`CHECK_INTERVAL`] and until the next scheduled task is due;
    /// `false` if the daemon is to stop.
    pub(super) fn wait(&mut self, next_task: Option<Duration>) -> Result<bool> {
        let mut events = Events::with_capacity(16);
        let timeouts = [self.retry, next_task].into_iter().flatten();
        let timeout = timeouts.fold(CHECK_INTERVAL, Duration::min);
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => result.context("wait for requests and signals")?,
        }
        Ok(!self.stop_requested())
    }

    fn stop_requested(&mut self) -> bool {
        for signal in self.signals.pending() {
            match signal {
                SIGHUP => {
                    reopen_log();
                    self.sighup = true;
                }
                _ => {
                    let name = if signal == SIGINT {
                        "SIGINT"
                    } else {
                        "SIGTERM"
                    };
                    log::info!("stopping: {name}");
                    return true;
                }
            }
        }
        let requested = self.waker.shutdown.load(Ordering::SeqCst);
        if requested {
            log::info!("stopping: requested by a client");
        }
        requested
    }

    /// Whether SIGHUP arrived since the last call.
    pub(super) fn take_sighup(&mut self) -> bool {
        std::mem::take(&mut self.sighup)
    }

    /// The next pending connection. Must be called until it returns `None`.
    pub(super) fn accept(&mut self) -> Option<UnixStream> {
        self.retry = None;
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => return Some(socket.into()),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return None,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        log::error!("accept a client: {error}");
                        self.retry = Some(ACCEPT_RETRY_DELAY);
                        return None;
                    }
                },
            }
        }
    }
}

/// On SIGHUP: log rotation may have renamed the file.
fn reopen_log() {
    match logging::reopen() {
        Ok(true) => log::info!("SIGHUP: the log was reopened"),
        Ok(false) => {}
        Err(failure) => {
            let why = failure.message_with_hint();
            log::error!("SIGHUP: the log was not reopened, the old file stays in use: {why}")
        }
    }
    log::warn!("SIGHUP: a changed configuration takes effect after a restart");
}

/// SIGTERM and SIGINT stop the daemon; a second one ends the process at once, which loses no
/// acknowledged WAL.
fn signals() -> io::Result<Signals> {
    let terminating = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, terminating.clone())?;
        signal_hook::flag::register(signal, terminating.clone())?;
    }
    Signals::new([SIGTERM, SIGINT, SIGHUP])
}
