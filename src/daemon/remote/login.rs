//! The login of a client.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::port::{AddressKey, Place};
use super::admins::Admins;
use super::failures::Failures;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Deadline, ServerTls, Stream};
use crate::protocol::login::{
    MESSAGE_HEADER, StartupPacket, admits, authentication_ok, error_response, initial_response,
    message_length, sasl_continue, sasl_offer, startup_length,
};

/// What every refused client gets, whatever the reason.
const REFUSED: &str = "connection refused";

/// What a client gets that wants to log in without TLS.
const NEEDS_TLS: &str = "remote management requires TLS";

/// What logins need.
pub(super) struct Logins {
    pub admins: Admins,
    /// Where it is set, clients without TLS are refused.
    pub tls: Option<ServerTls>,
    pub failures: Failures,
}

/// A login that begins.
pub(super) struct Login<'a> {
    pub stream: &'a mut Stream,
    pub address: IpAddr,
    pub place: &'a Place,
    /// The time for each step of the client.
    pub timeout: Duration,
}

impl Logins {
    /// Lets the client log in; returns the name of the user, `None` if its connection was closed
    /// for another one. The time and the messages are the same for an unknown user, a wrong
    /// password and a wrong database.
    pub(super) fn log_in(&self, login: &mut Login<'_>) -> Result<Option<String>> {
        let (user, database) = self.startup(login)?;
        if self.tls.is_some() && !login.stream.encrypted() {
            login.refuse(NEEDS_TLS);
            return Err(Error::new(
                ErrorKind::Authentication,
                "the client does not use TLS",
            ));
        }
        let address = AddressKey::of(login.address);
        // Before the exchange, so that nobody saves it by going away without the answer.
        let delay = self.failures.delay(address, Instant::now());
        if !login.place.pause(delay) {
            return Ok(None);
        }
        let result = self.exchange(login, &user, admits(&database));
        match &result {
            Ok(()) => self.failures.succeeded(address),
            Err(failure) => {
                let kinds = [ErrorKind::Authentication, ErrorKind::Protocol];
                if kinds.contains(&failure.kind()) {
                    self.failures.failed(address, Instant::now());
                }
                login.refuse(REFUSED);
            }
        }
        result.map(|()| Some(user))
    }

    /// Reads the first message, after it has begun TLS if the client asks for it; returns the names
    /// of the user and of the database.
    fn startup(&self, login: &mut Login<'_>) -> Result<(String, String)> {
        // Each is answered once: a client may ask for both, one after the other.
        let (mut tls_asked, mut gss_asked) = (false, false);
        loop {
            match login.startup_packet()? {
                StartupPacket::Login { user, database } => return Ok((user, database)),
                StartupPacket::Encryption { tls: true } if !tls_asked => {
                    tls_asked = true;
                    let deadline = login.deadline();
                    match &self.tls {
                        Some(tls) => {
                            login.stream.write_all(b"S", deadline)?;
                            login.stream.accept_tls(tls, deadline)?;
                        }
                        None => login.stream.write_all(b"N", deadline)?,
                    }
                }
                StartupPacket::Encryption { tls: false } if !gss_asked && !tls_asked => {
                    gss_asked = true;
                    let deadline = login.deadline();
                    login.stream.write_all(b"N", deadline)?;
                }
                other => {
                    login.refuse(REFUSED);
                    let message = match other {
                        StartupPacket::Other(code) => format!("protocol {code} is not supported"),
                        _ => "it asks for encryption again".to_owned(),
                    };
                    return Err(Error::new(ErrorKind::Protocol, message));
                }
            }
        }
    }

    /// SCRAM-SHA-256.
    fn exchange(&self, login: &mut Login<'_>, user: &str, permitted: bool) -> Result<()> {
        login.send(&sasl_offer())?;
        let message = login.message()?;
        let admins = self.admins.current();
        let first = admins.begin(user, permitted, initial_response(&message)?)?;
        login.send(&sasl_continue(&first.message))?;
        let last = first.finish(&login.message()?)?;
        login.send(&authentication_ok(&last.message))
    }
}

impl Login<'_> {
    fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let deadline = self.deadline();
        self.stream.write_all(bytes, deadline)
    }

    /// Sends an error, after which the connection is closed.
    fn refuse(&mut self, text: &str) {
        // The client may be gone; the error that is reported is another one.
        let deadline = self.deadline();
        let sent = self.stream.write_all(&error_response(text), deadline);
        let _ = sent.and_then(|()| self.stream.finish(deadline));
    }

    fn startup_packet(&mut self) -> Result<StartupPacket> {
        let deadline = self.deadline();
        let mut length = [0; 4];
        self.stream.read_exact(&mut length, deadline)?;
        let mut packet = vec![0; startup_length(length)?];
        self.stream.read_exact(&mut packet, deadline)?;
        StartupPacket::read(&packet)
    }

    /// The rest of the next message, of type `p`.
    fn message(&mut self) -> Result<Vec<u8>> {
        let deadline = self.deadline();
        let mut header = [0; MESSAGE_HEADER];
        self.stream.read_exact(&mut header, deadline)?;
        let (tag, length) = message_length(header)?;
        if tag != b'p' {
            let message = format!("a message of type {:?} during the login", char::from(tag));
            return Err(Error::new(ErrorKind::Protocol, message));
        }
        let mut rest = vec![0; length];
        self.stream.read_exact(&mut rest, deadline)?;
        Ok(rest)
    }
}
