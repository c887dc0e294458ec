//! A connection that is logged in.

use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::{backend, frontend};

use super::auth::authenticate;
use super::cancel::Cancel;
use super::connect::connect;
use super::server_error::{ServerError, printable};
use super::warning::Warnings;
use super::wire::{Body, MessageHeader, Wire, protocol_error};
use super::{Login, Mode};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Deadline, Stream};
use crate::sys::Stop;
use crate::unit::PgVersion;

/// A connection that is logged in. Every wait has a deadline and ends when `stop` is requested.
pub struct Connection {
    pub(super) wire: Wire,
    pub(super) read_timeout: Duration,
    /// The warnings of the running command, if it collects them.
    pub(super) warnings: Option<Warnings>,
    /// Whether the server waits for a command. After an error in the middle of an answer it does
    /// not: the rest of that answer would be taken for the next one.
    pub(super) idle: bool,
    version: PgVersion,
    cancel: Cancel,
    /// Whether to cancel the running command when the connection is dropped before its end.
    cancel_when_dropped: bool,
}

/// The client_encoding for which the server neither converts nor checks what it sends
/// (`pg_server_to_any`, PostgreSQL mbutils.c).
const NO_CONVERSION: &str = "SQL_ASCII";

/// The databases that every cluster has unless they were dropped. All queries are about the
/// cluster, so either will do.
const DATABASES: [&str; 2] = ["postgres", "template1"];

/// Whether a database does not exist (invalid_catalog_name) or the role may not connect to it
/// (insufficient_privilege).
fn is_database_unavailable(failure: &Error) -> bool {
    matches!(failure.code(), Some("3D000" | "42501"))
}

impl Connection {
    /// Connects and logs in. [`ErrorKind::Authentication`] if one side rejects the other; the hint
    /// says what to change.
    pub fn open(login: &Login, mode: Mode, stop: &Stop) -> Result<Connection> {
        let deadline = Deadline::after(login.login_timeout);
        let log_in =
            |database, encoding| Self::log_in(login, mode, (database, encoding), (deadline, stop));
        let [first, others @ ..] = DATABASES;
        let mut result = match mode {
            // Paths are bytes, and a path that is not of this encoding would be an error.
            Mode::Replication => log_in(first, NO_CONVERSION),
            Mode::Sql => log_in(first, "UTF8"),
        };
        for database in others {
            match &result {
                Err(failure) if mode == Mode::Sql && is_database_unavailable(failure) => {
                    // The error for the first database says more than those for the others.
                    result = log_in(database, "UTF8").or(result);
                }
                _ => break,
            }
        }
        // feature_not_supported: nothing converts the encoding of the database to UTF-8
        // (MULE_INTERNAL).
        if result
            .as_ref()
            .is_err_and(|failure| failure.code() == Some("0A000"))
        {
            result = log_in(first, NO_CONVERSION);
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
        let stream = connect(login, deadline, stop)?;
        Self::log_in_over(stream, login, mode, (database, encoding), deadline)
    }

    /// As [`Connection::open`], over a stream that is connected, to one database.
    pub(super) fn log_in_over(
        stream: Stream,
        login: &Login,
        mode: Mode,
        (database, encoding): (&str, &str),
        deadline: Deadline,
    ) -> Result<Connection> {
        let mut wire = Wire::new(stream);
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
        let (version, process, key) = finish_startup(&mut wire, deadline)?;
        wire.allow_long_messages();
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

    /// The version that the server sent at the login (`server_version`).
    pub fn version(&self) -> PgVersion {
        self.version
    }

    /// From here on the running command is cancelled if the connection is dropped before its end.
    pub(super) fn cancel_when_dropped(&mut self) {
        self.cancel_when_dropped = true;
    }

    /// The limit for an answer that needs no work of the server.
    pub(super) fn default_deadline(&self) -> Deadline {
        Deadline::after(self.read_timeout)
    }

    /// Sends a command of the simple query protocol.
    pub(super) fn command(&mut self, text: &str) -> Result<()> {
        if !self.idle {
            let message = "the connection cannot be used after an earlier error";
            return Err(Error::new(ErrorKind::Internal, message));
        }
        self.idle = false;
        let mut message = BytesMut::new();
        frontend::query(text, &mut message)?;
        let deadline = self.default_deadline();
        self.wire.send(&message, deadline)
    }

    /// The next message of the answer, without notices and other asynchronous messages. An
    /// ErrorResponse is returned as a message, because it does not end every answer.
    pub(super) fn receive(&mut self, deadline: Deadline) -> Result<MessageHeader> {
        loop {
            let header = self.wire.receive(deadline).inspect_err(|failure| {
                // On a lost connection there is nothing to cancel.
                self.cancel_when_dropped &= failure.kind() != ErrorKind::Network;
            })?;
            if !self.handle_async_message(&header)? {
                return Ok(header);
            }
            self.wire.check_deadline(deadline)?;
        }
    }

    /// Handles a message that the server may send at any time. Returns whether it was one.
    pub(super) fn handle_async_message(&mut self, header: &MessageHeader) -> Result<bool> {
        match header.tag {
            backend::NOTICE_RESPONSE_TAG => {
                let notice = ServerError::parse(self.wire.body(header))?;
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

    /// The error for a message that is not expected here: the server's own error, or a protocol
    /// violation.
    pub(super) fn unexpected(&self, header: &MessageHeader) -> Error {
        if header.tag != backend::ERROR_RESPONSE_TAG {
            let tag = char::from(header.tag);
            return protocol_error(format!(
                "the server sent an unexpected message of type {tag:?}"
            ));
        }
        match ServerError::parse(self.wire.body(header)) {
            Ok(error) => error.to_error(),
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
        // Without it the server logs an unexpected end of the connection.
        let _ = self.wire.send(&message, Deadline::after(Duration::ZERO));
    }
}

/// Reads what follows a log-in, up to the first ReadyForQuery: the server's version, and the
/// process and key for a cancel request.
fn finish_startup(wire: &mut Wire, deadline: Deadline) -> Result<(PgVersion, i32, i32)> {
    let mut version = None;
    let (mut process, mut key) = (0, 0);
    loop {
        let header = wire.receive(deadline)?;
        let mut body = Body(wire.body(&header));
        match header.tag {
            backend::PARAMETER_STATUS_TAG => {
                let (name, value) = (body.cstr()?, body.cstr()?);
                body.end()?;
                if name == b"server_version" {
                    version = Some(printable(value));
                }
            }
            backend::READY_FOR_QUERY_TAG => break,
            backend::ERROR_RESPONSE_TAG => return Err(ServerError::parse(body.0)?.to_error()),
            backend::BACKEND_KEY_DATA_TAG => (process, key) = (body.i32()?, body.i32()?),
            backend::NOTICE_RESPONSE_TAG => {}
            tag => {
                let tag = char::from(tag);
                return Err(protocol_error(format!(
                    "a message of type {tag:?} after the login"
                )));
            }
        }
        wire.check_deadline(deadline)?;
    }
    let text = version.ok_or_else(|| protocol_error("the server did not send its version"))?;
    let version = PgVersion::parse(&text).ok_or_else(|| {
        protocol_error(format!(
            "the server's version is {text:?}, which is no version"
        ))
    })?;
    Ok((version, process, key))
}
