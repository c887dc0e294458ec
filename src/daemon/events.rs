//! What the main thread waits for: clients, signals, the end of jobs.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::net::UnixListener;
use mio::{Events, Interest, Poll, Token, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use crate::error::{Context as _, Result};
use crate::logging;

const LISTENER: Token = Token(0);
const SIGNALS: Token = Token(1);
const WAKE: Token = Token(2);

/// How long to wait before accepting again after that failed, for want of descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How long nothing may happen before it is time to look after what the daemon holds.
pub(super) const TEND: Duration = Duration::from_secs(5);

/// What wakes the main thread.
#[derive(Clone)]
pub(super) struct Wake {
    waker: Arc<Waker>,
    shutdown: Arc<AtomicBool>,
}

impl Wake {
    /// Lets the main thread look around.
    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("wake the main thread: {error}");
        }
    }

    /// Ends the daemon.
    pub(super) fn shut_down(&self) {
        self.shutdown.store(true, Ordering::SeqCst);
        self.wake();
    }
}

/// What the main thread waits with.
pub(super) struct EventLoop {
    poll: Poll,
    signals: Signals,
    listener: UnixListener,
    wake: Wake,
    retry: Option<Duration>,
    hang_up: bool,
}

impl EventLoop {
    /// Watches for signals from here on, and for clients of a listener that does not block.
    pub(super) fn new(listener: std::os::unix::net::UnixListener) -> Result<EventLoop> {
        let poll = Poll::new().context("make the event loop")?;
        let waker = Waker::new(poll.registry(), WAKE).context("make the event loop")?;
        let mut events = EventLoop {
            poll,
            signals: signals().context("watch for signals")?,
            listener: UnixListener::from_std(listener),
            wake: Wake {
                waker: Arc::new(waker),
                shutdown: Arc::default(),
            },
            retry: None,
            hang_up: false,
        };
        let registry = events.poll.registry();
        registry
            .register(&mut events.listener, LISTENER, Interest::READABLE)
            .and_then(|()| registry.register(&mut events.signals, SIGNALS, Interest::READABLE))
            .context("make the event loop")?;
        Ok(events)
    }

    /// From now on clients come by another listener, which does not block.
    pub(super) fn listen(&mut self, listener: std::os::unix::net::UnixListener) -> Result<()> {
        let mut listener = UnixListener::from_std(listener);
        let registry = self.poll.registry();
        registry
            .register(&mut listener, LISTENER, Interest::READABLE)
            .context("watch for clients")?;
        // The old one leaves the event loop as it is closed.
        self.listener = listener;
        Ok(())
    }

    /// What wakes it.
    pub(super) fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Waits until something happens; `false` if the daemon is to stop.
    pub(super) fn wait(&mut self) -> Result<bool> {
        let mut events = Events::with_capacity(16);
        let longest = self.retry.map_or(TEND, |retry| retry.min(TEND));
        match self.poll.poll(&mut events, Some(longest)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => result.context("wait for requests and signals")?,
        }
        Ok(!self.told_to_stop())
    }

    fn told_to_stop(&mut self) -> bool {
        for signal in self.signals.pending() {
            match signal {
                SIGHUP => {
                    hang_up();
                    self.hang_up = true;
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
        let requested = self.wake.shutdown.load(Ordering::SeqCst);
        if requested {
            log::info!("stopping: a client asked for it");
        }
        requested
    }

    /// Whether SIGHUP arrived since it was asked last.
    pub(super) fn take_hang_up(&mut self) -> bool {
        std::mem::take(&mut self.hang_up)
    }

    /// The next client that waits, if there is one. Must be asked until there is none.
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
                        self.retry = Some(ACCEPT_PAUSE);
                        return None;
                    }
                },
            }
        }
    }
}

/// SIGHUP: the log file may have been moved away.
fn hang_up() {
    match logging::reopen() {
        Ok(true) => log::info!("SIGHUP: the log was reopened"),
        Ok(false) => {}
        Err(failure) => {
            let why = failure.told();
            log::error!("SIGHUP: the log was not reopened, the old one goes on: {why}")
        }
    }
    log::warn!("SIGHUP: changes of the configuration need a restart yet");
}

/// SIGTERM and SIGINT stop; a second one ends the process at once, which loses nothing that was acknowledged.
fn signals() -> io::Result<Signals> {
    let again = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, again.clone())?;
        signal_hook::flag::register(signal, again.clone())?;
    }
    Signals::new([SIGTERM, SIGINT, SIGHUP])
}
