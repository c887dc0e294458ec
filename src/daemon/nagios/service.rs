//! Serving the port.

use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::daemon::command;
use crate::daemon::port::{Place, Port, PortOptions, PortService};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::job::context::{DaemonContext, ServerContext};
use crate::net::{Deadline, Stream, listen};
use crate::protocol::{CheckReply, CheckRequest, unknown_state};

/// How long a client may take to read an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait until the client closes: if it has sent something that was not read, it would
/// get a reset instead of the end of the answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How many bytes of the client are read for that.
const MAX_DISCARDED: usize = 64 << 10;

/// How long an answer is given again: it is made from the disk too, and any number may ask.
const ANSWER_MAX_AGE: Duration = Duration::from_secs(2);

/// The listeners of the service, before the daemon detaches.
pub struct NagiosListener(Vec<TcpListener>);

impl NagiosListener {
    /// Listens; `None` if the service is off.
    pub fn open(config: &Config) -> Result<Option<NagiosListener>> {
        if config.nagios == 0 {
            return Ok(None);
        }
        let listeners = listen(&config.host, config.nagios, config.backlog);
        let listeners = listeners.context("start the Nagios service")?;
        Ok(Some(NagiosListener(listeners)))
    }
}

/// The running service.
pub struct NagiosPort(Port);

struct Service {
    daemon: DaemonContext,
    servers: Arc<[ServerContext]>,
    /// The last answer, and when it was begun.
    answer: Mutex<Option<(Instant, Arc<str>)>>,
}

impl NagiosPort {
    /// Starts to serve.
    pub fn start(
        listener: NagiosListener,
        daemon: &DaemonContext,
        servers: &Arc<[ServerContext]>,
    ) -> Result<NagiosPort> {
        let config = &daemon.config;
        let options = PortOptions::new("nagios", daemon);
        let service = Arc::new(Service {
            daemon: daemon.clone(),
            servers: servers.clone(),
            answer: Mutex::default(),
        });
        let port = Port::start(listener.0, options, service)?;
        log::info!("nagios: on {}, port {}", config.host, config.nagios);
        Ok(NagiosPort(port))
    }

    /// Accepts no new connections.
    pub fn close(&mut self) {
        self.0.close();
    }

    /// Waits until the connections have ended, after a stop was requested.
    pub fn join(self) {
        self.0.join();
    }
}

impl PortService for Service {
    /// The place of a connection is given to another one at any time: to a client that reads it, an
    /// answer is sent at once.
    fn serve(&self, mut stream: Stream, _: IpAddr, _: &Place) -> Result<()> {
        let answer = self.answer();
        let deadline = Deadline::after(WRITE_TIMEOUT);
        stream.write_all(answer.as_bytes(), deadline)?;
        stream.finish(deadline)?;
        match discard(&mut stream) {
            // The client has the answer.
            Err(error) if error.kind() != ErrorKind::Stopped => Ok(()),
            ended => ended,
        }
    }
}

impl Service {
    /// No lock is held while it is made.
    fn answer(&self) -> Arc<str> {
        let lock = || self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().clone();
        if let Some((begun, text)) = known
            && begun.elapsed() <= ANSWER_MAX_AGE
        {
            return text;
        }
        let begun = Instant::now();
        let output = self.check().map(|reply| reply.plugin_output());
        let text: Arc<str> = output.unwrap_or_else(|error| unknown(&error)).into();
        *lock() = Some((begun, text.clone()));
        text
    }

    fn check(&self) -> Result<CheckReply> {
        let servers: Vec<_> = self.servers.iter().map(ServerContext::current).collect();
        command::check(&self.daemon.current(), &servers, &CheckRequest::default())
    }
}

fn unknown(error: &Error) -> String {
    unknown_state(&error.message_with_hint())
}

/// Reads until the client closes.
fn discard(stream: &mut Stream) -> Result<()> {
    let deadline = Deadline::after(CLOSE_TIMEOUT);
    let mut buffer = [0; 1024];
    let mut count = 0_usize;
    while count < MAX_DISCARDED {
        match stream.read(&mut buffer, deadline)? {
            0 => break,
            read => count = count.saturating_add(read),
        }
    }
    Ok(())
}
