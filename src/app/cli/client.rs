//! Sends one request to the daemon and reads its response.

use std::time::Duration;

use super::credentials::Credentials;
use super::endpoint::{Address, Endpoint};
use super::plugin::is_plugin;
use super::remote;
use crate::crypto::MasterKey;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Deadline, Stream};
use crate::protocol::{Command, Envelope, Frame, FrameLimits, Output, Request, Response, Run};
use crate::sys::Stop;
use crate::unit::Encryption;
use crate::vault;

/// Until when a connection must be accepted and the request sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Until when the response to a command that responds at once must arrive.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(120);

/// The same for `check`: Nagios waits for a plugin for a minute.
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(25);

/// Sends requests to one daemon.
pub(super) struct Client {
    endpoint: Endpoint,
    output: Output,
    key: Option<MasterKey>,
    /// Of remote management.
    credentials: Option<Credentials>,
}

/// Why there is no response.
pub(super) enum ClientError {
    /// Nothing listens on the management socket, or on the port of remote management.
    NoDaemon(Error),
    /// The wait was interrupted by a signal.
    Interrupted,
    /// The request could not be sent, or no valid response arrived.
    Failed(Error),
}

impl From<Error> for ClientError {
    fn from(error: Error) -> Self {
        if error.kind() == ErrorKind::Stopped {
            ClientError::Interrupted
        } else {
            ClientError::Failed(error)
        }
    }
}

impl Client {
    /// Reads the master key if messages are encrypted. Remote management requires the credentials.
    pub(super) fn new(
        endpoint: Endpoint,
        output: Output,
        credentials: Option<Credentials>,
    ) -> Result<Client> {
        let encrypted = endpoint.codec.encryption != Encryption::None;
        let key = encrypted.then(|| vault::load_master_key(&vault::master_key_path()?));
        Ok(Client {
            endpoint,
            output,
            key: key.transpose()?,
            credentials,
        })
    }

    /// Sends a request, and waits for the response or for `stop`.
    pub(super) fn send(
        &self,
        request: &Request,
        stop: &Stop,
    ) -> std::result::Result<Response, ClientError> {
        let codec = self.endpoint.codec;
        let envelope = Envelope::new(request.command(), request.members()?, codec, self.output);
        let frame = Frame::encode(&envelope.text()?, codec, self.key.as_ref())?.bytes()?;
        let connect = Deadline::after(CONNECT_TIMEOUT);
        let mut stream = self.connect(connect, stop)?;
        // A daemon that refuses the connection may respond and close before it has read everything,
        // so the response is read even if the write failed.
        let sent = stream.write_all(&frame, connect);
        let deadline = match request.command().run {
            _ if is_plugin(request.command()) => Deadline::after(PLUGIN_TIMEOUT),
            Run::Monitoring | Run::Instant => Deadline::after(RESPONSE_TIMEOUT),
            Run::Unbounded | Run::Operation => Deadline::after(Duration::MAX),
        };
        let received = Frame::read(
            &mut |buffer| stream.read(buffer, deadline),
            FrameLimits::RESPONSE,
        );
        match (received, sent) {
            (Ok(frame), _) => Ok(Response::read(
                &frame.decode(self.key.as_ref(), FrameLimits::RESPONSE)?,
            )?),
            (Err(_), Err(error)) => Err(error.into()),
            (Err(error), Ok(())) => Err(lost_response(request.command(), error).into()),
        }
    }
}

impl Client {
    /// Connects, and logs in to remote management.
    fn connect(&self, deadline: Deadline, stop: &Stop) -> std::result::Result<Stream, ClientError> {
        let (opened, hint) = match &self.endpoint.address {
            Address::Socket(path) => (Stream::unix(path, deadline, stop), SOCKET_HINT),
            Address::Remote { host, port, .. } => {
                (remote::connect(host, *port, deadline, stop), REMOTE_HINT)
            }
        };
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::Stopped => {
                return Err(ClientError::Interrupted);
            }
            Err(error) => return Err(ClientError::NoDaemon(no_daemon(error, hint))),
        };
        if let Address::Remote { host, tls, .. } = &self.endpoint.address {
            let credentials = self.credentials.as_ref().ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    "there is no user for remote management",
                )
            })?;
            if let Some(tls) = tls {
                remote::start_tls(&mut stream, host, tls, deadline)?;
            }
            remote::log_in(&mut stream, credentials, deadline)?;
        }
        Ok(stream)
    }
}

/// The request was sent, and the connection ended before the response.
fn lost_response(command: &Command, error: Error) -> Error {
    let error = error.context("wait for the response");
    match command.lost_response {
        "" => error,
        hint => error.with_hint(hint),
    }
}

/// What to look at where nothing listens.
const SOCKET_HINT: &str = "is pgmoneta running, with the same unix_socket_dir?";
const REMOTE_HINT: &str = "is pgmoneta running there, with this port as management and an address \
                           of that host as host (* for all), and does a firewall let it through?";

fn no_daemon(error: Error, hint: &str) -> Error {
    let hint = if error.message().contains("ermission denied") {
        "run pgmoneta-cli as the user that runs the daemon"
    } else {
        hint
    };
    error.context("no daemon").with_hint(hint)
}
