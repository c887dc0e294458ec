//! A connection that is logged in.

use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::{backend, frontend};

use super::auth::authenticate;
use super::cancel::Cancel;
use super::refusal::{Report, printable};
use super::warning::Warnings;
use super::wire::{Body, Head, Wire, protocol};
use super::{Login, Mode};
use crate::config::{Host, TlsMode};
use crate::error::{Failure, Kind, Result};
use crate::net::{Deadline, Stream, TcpOptions, TlsOptions, Trust};
use crate::sys::Stop;
use crate::unit::PgVersion;

/// A connection that is logged in. Every wait has a deadline and ends when `stop` is requested.
pub struct Connection {
    pub(super) wire: Wire,
    pub(super) read_timeout: Duration,
    /// What the server warned of while a command ran that collects it.
    pub(super) warnings: Option<Warnings>,
    /// Whether the server waits for a command. After a failure in the middle of an answer it does not, and what
    /// comes next would be taken for the answer to something else.
    pub(super) idle: bool,
    version: PgVersion,
    cancel: Cancel,
    /// Whether the running command is to be cancelled if nobody waits for its end.
    cancel_when_dropped: bool,
}

/// The encoding of a client for which the server neither converts nor checks what it sends (`pg_server_to_any`,
/// PostgreSQL mbutils.c).
const AS_IT_IS: &str = "SQL_ASCII";

/// The databases that every cluster has unless somebody removed them. What is asked is about the cluster, so that any
/// of them will do.
const DATABASES: [&str; 2] = ["postgres", "template1"];

/// Whether a database is not there (invalid_catalog_name) or not open to the role (insufficient_privilege).
fn is_closed(failure: &Failure) -> bool {
    matches!(failure.code(), Some("3D000" | "42501"))
}

impl Connection {
    /// Connects and logs in. An [`Kind::Authentication`] failure says that one side does not let the other in; its
    /// hint says what to change.
    pub fn open(login: &Login, mode: Mode, stop: &Stop) -> Result<Connection> {
        let deadline = Deadline::after(login.login_timeout);
        let log_in =
            |database, encoding| Self::log_in(login, mode, (database, encoding), (deadline, stop));
        let [first, others @ ..] = DATABASES;
        let mut result = match mode {
            // Paths are bytes, and a path that is not of this encoding would be an error.
            Mode::Replication => log_in(first, AS_IT_IS),
            Mode::Sql => log_in(first, "UTF8"),
        };
        for database in others {
            match &result {
                Err(failure) if mode == Mode::Sql && is_closed(failure) => {
                    // Why not the first one says more than why not the others.
                    result = log_in(database, "UTF8").or(result);
                }
                _ => break,
            }
        }
        // feature_not_supported: nothing converts the encoding of the database to UTF-8 (MULE_INTERNAL).
        if result
            .as_ref()
            .is_err_and(|failure| failure.code() == Some("0A000"))
        {
            result = log_in(first, AS_IT_IS);
        }
        result.map_err(|failure| {
            let (host, port, user) = (&login.host, login.port, &login.user);
            failure.context(format!("log in to PostgreSQL on {host}:{port} as {user:?}"))
        })
    }

    fn log_in(
        login: &Login,
        mode: Mode,
        (database, encoding): (&str, &str),
        (deadline, stop): (Deadline, &Stop),
    ) -> Result<Connection> {
        let mut wire = Wire::new(connect(login, deadline, stop)?);
        let mut parameters = vec![
            ("user", login.user.as_str()),
            ("database", database),
            ("application_name", login.application_name.as_str()),
            ("client_encoding", encoding),
        ];
        if mode == Mode::Replication {
            parameters.push(("replication", "true"));
        }
        let mut message = BytesMut::new();
        frontend::startup_message(parameters, &mut message)?;
        wire.send(&message, deadline)?;
        authenticate(&mut wire, login, deadline)?;
        let (version, process, key) = greeting(&mut wire, deadline)?;
        wire.logged_in();
        Ok(Connection {
            wire,
            read_timeout: login.read_timeout,
            warnings: None,
            idle: true,
            version,
            cancel: Cancel::new(login, process, key),
            cancel_when_dropped: false,
        })
    }

    /// The server's version.
    pub fn version(&self) -> PgVersion {
        self.version
    }

    /// From here on the running command is cancelled if the connection is dropped before its end.
    pub(super) fn cancel_when_dropped(&mut self) {
        self.cancel_when_dropped = true;
    }

    /// The deadline for an answer that is due at once.
    pub(super) fn soon(&self) -> Deadline {
        Deadline::after(self.read_timeout)
    }

    /// Sends a command of the simple query protocol.
    pub(super) fn command(&mut self, text: &str) -> Result<()> {
        if !self.idle {
            let message = "the connection is out of step since an earlier failure";
            return Err(Failure::new(Kind::Internal, message));
        }
        self.idle = false;
        let mut message = BytesMut::new();
        frontend::query(text, &mut message)?;
        let deadline = self.soon();
        self.wire.send(&message, deadline)
    }

    /// The next message that belongs to the answer: notices and the like are taken out. An error of the server comes
    /// as a message, for it does not end every answer.
    pub(super) fn receive(&mut self, deadline: Deadline) -> Result<Head> {
        loop {
            let head = self.wire.receive(deadline).inspect_err(|failure| {
                // Where the connection is gone there is nothing to cancel.
                self.cancel_when_dropped &= failure.kind() != Kind::Network;
            })?;
            if !self.aside(&head)? {
                return Ok(head);
            }
            self.wire.in_time(deadline)?;
        }
    }

    /// Deals with a message that may come at any time. Tells whether it was one.
    pub(super) fn aside(&mut self, head: &Head) -> Result<bool> {
        match head.tag {
            backend::NOTICE_RESPONSE_TAG => {
                let notice = Report::parse(self.wire.body(head))?;
                match &mut self.warnings {
                    Some(list) if notice.severity == "WARNING" => list.add(notice),
                    _ => log::debug!("PostgreSQL: {}: {}", notice.severity, notice.message),
                }
                Ok(true)
            }
            backend::PARAMETER_STATUS_TAG | backend::NOTIFICATION_RESPONSE_TAG => Ok(true),
            backend::READY_FOR_QUERY_TAG => {
                self.idle = true;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// The failure for a message that does not belong where it came: the server's own error, or a broken protocol.
    pub(super) fn unexpected(&self, head: &Head) -> Failure {
        if head.tag != backend::ERROR_RESPONSE_TAG {
            let tag = char::from(head.tag);
            return protocol(format!(
                "the server sent a message of type {tag:?} where none may be"
            ));
        }
        match Report::parse(self.wire.body(head)) {
            Ok(report) => report.failure(),
            Err(failure) => failure,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.cancel_when_dropped
            && !self.idle
            && let Err(failure) = self.cancel.request()
        {
            log::debug!("cancel the running command: {failure}");
        }
        let mut message = BytesMut::new();
        frontend::terminate(&mut message);
        // A courtesy: the server notices the closed socket too, but logs it.
        let _ = self.wire.send(&message, Deadline::after(Duration::ZERO));
    }
}

pub(super) fn connect(login: &Login, deadline: Deadline, stop: &Stop) -> Result<Stream> {
    let unreachable = |failure: Failure| {
        match failure.kind() {
        Kind::Network | Kind::Timeout => failure.hint(
            "check that the server runs and that host and port are right (listen_addresses, port and \
             unix_socket_directories on the server)",
        ),
        _ => failure,
    }
    };
    let host = match &login.host {
        Host::Unix(directory) => {
            // No encryption here: the socket never leaves the machine.
            let path = directory.join(format!(".s.PGSQL.{}", login.port));
            return Stream::unix(Path::new(&path), deadline, stop).map_err(unreachable);
        }
        Host::Tcp(host) => host,
    };
    let options = TcpOptions {
        keep_alive: login.keep_alive,
        nodelay: login.nodelay,
    };
    let mut stream = Stream::tcp(host, login.port, options, deadline, stop).map_err(unreachable)?;
    let trust = match login.tls {
        TlsMode::Off => return Ok(stream),
        TlsMode::On => Trust::Anyone,
        TlsMode::Verify => Trust::Authorities(login.tls_files.authority.clone()),
    };
    request_tls(&mut stream, deadline)?;
    let files = &login.tls_files;
    let options = TlsOptions {
        trust,
        identity: files.certificate.clone().zip(files.key.clone()),
    };
    stream.start_tls(host, &options, deadline)?;
    Ok(stream)
}

/// SSLRequest. The answer is one byte; what else comes before the handshake is not from the server.
fn request_tls(stream: &mut Stream, deadline: Deadline) -> Result<()> {
    let mut message = BytesMut::new();
    frontend::ssl_request(&mut message);
    stream.write_all(&message, deadline)?;
    let mut answer = [0];
    stream.read_exact(&mut answer, deadline)?;
    match answer {
        [b'S'] if stream.readable_now()? => {
            // Either the end of the stream, which is a failure here, or bytes.
            stream.read_exact(&mut answer, deadline)?;
            let message = "bytes in clear came between the request for TLS and the handshake";
            Err(Failure::new(Kind::Authentication, message)
                .hint("someone may be tampering with the connection"))
        }
        [b'S'] => Ok(()),
        // An error text that comes in clear could be anyone's and is not shown.
        _ => Err(
            Failure::new(Kind::Authentication, "the server does not offer TLS")
                .hint("set ssl = on on the server, or tls = off for this server"),
        ),
    }
}

/// Reads what follows a log-in, up to the first ReadyForQuery: the server's version, and the process and key for a
/// cancel request.
fn greeting(wire: &mut Wire, deadline: Deadline) -> Result<(PgVersion, i32, i32)> {
    let mut version = None;
    let (mut process, mut key) = (0, 0);
    loop {
        let head = wire.receive(deadline)?;
        let mut body = Body(wire.body(&head));
        match head.tag {
            backend::PARAMETER_STATUS_TAG => {
                let (name, value) = (body.cstr()?, body.cstr()?);
                body.end()?;
                if name == b"server_version" {
                    version = Some(printable(value));
                }
            }
            backend::READY_FOR_QUERY_TAG => break,
            backend::ERROR_RESPONSE_TAG => return Err(Report::parse(body.0)?.failure()),
            backend::BACKEND_KEY_DATA_TAG => (process, key) = (body.i32()?, body.i32()?),
            backend::NOTICE_RESPONSE_TAG => {}
            tag => {
                let tag = char::from(tag);
                return Err(protocol(format!(
                    "a message of type {tag:?} after the log-in"
                )));
            }
        }
        wire.in_time(deadline)?;
    }
    let text = version.ok_or_else(|| protocol("the server does not tell its version"))?;
    let version = PgVersion::parse(&text).ok_or_else(|| {
        protocol(format!(
            "the server's version is {text:?}, which is no version"
        ))
    })?;
    Ok((version, process, key))
}
