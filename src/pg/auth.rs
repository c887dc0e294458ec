//! Authentication: SCRAM-SHA-256 (RFC 5802, RFC 7677), with channel binding over TLS; MD5,
//! clear-text password and trust only where the configuration permits them.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::{backend, frontend};
use zeroize::Zeroize;

use super::Login;
use super::server_error::{ServerError, printable};
use super::wire::{Body, Wire, protocol_error};
use crate::crypto::{Secret, certificate_digest};
use crate::error::{Error, ErrorKind, Result};
use crate::net::Deadline;

/// The requests of an Authentication message (PostgreSQL `protocol.h`, AUTH_REQ_*).
const OK: i32 = 0;
const CLEARTEXT: i32 = 3;
const MD5: i32 = 5;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

/// Answers the server's authentication requests up to AuthenticationOk.
pub(super) fn authenticate(wire: &mut Wire, login: &Login, deadline: Deadline) -> Result<()> {
    let (request, data) = next_request(wire, deadline)?;
    match request {
        OK if accepts_no_auth(wire, login) => return Ok(()),
        CLEARTEXT if login.auth.password => {
            let password = password(login)?;
            send_password(wire, password.expose(), deadline)?;
        }
        MD5 if login.auth.md5 => {
            let salt = <[u8; 4]>::try_from(data.as_slice())
                .map_err(|_| protocol_error("the salt of an md5 request has not 4 bytes"))?;
            let mut answer = md5_hash(login.user.as_bytes(), password(login)?.expose(), salt);
            send_password(wire, answer.as_bytes(), deadline)?;
            answer.zeroize();
        }
        SASL => scram(wire, login, &data, deadline)?,
        other => return Err(unsupported_auth(other)),
    }
    match next_request(wire, deadline)? {
        (OK, _) => Ok(()),
        (other, _) => Err(protocol_error(format!(
            "the server asks for another authentication (request {other}) after the first one"
        ))),
    }
}

/// Whether AuthenticationOk is accepted as the first answer. The server has not proven its identity
/// then: any process that listens on the port could be it.
fn accepts_no_auth(wire: &Wire, login: &Login) -> bool {
    let certificate_presented = wire.stream().encrypted() && login.tls_files.certificate.is_some();
    login.auth.trust || login.auth.peer || login.auth.cert && certificate_presented
}

/// The next authentication request: its code and its data.
fn next_request(wire: &mut Wire, deadline: Deadline) -> Result<(i32, Vec<u8>)> {
    loop {
        let header = wire.receive(deadline)?;
        let mut body = Body(wire.body(&header));
        match header.tag {
            backend::AUTHENTICATION_TAG => return Ok((body.i32()?, body.0.to_vec())),
            backend::ERROR_RESPONSE_TAG => return Err(ServerError::parse(body.0)?.to_error()),
            backend::NOTICE_RESPONSE_TAG => {
                let notice = ServerError::parse(body.0)?;
                log::debug!("{}: {}", notice.severity, notice.message);
                wire.check_deadline(deadline)?;
            }
            tag => {
                let tag = char::from(tag);
                return Err(protocol_error(format!(
                    "a message of type {tag:?} during the login"
                )));
            }
        }
    }
}

fn password(login: &Login) -> Result<&Secret> {
    login.password.as_deref().ok_or_else(|| {
        Error::new(
            ErrorKind::Authentication,
            "the server asks for a password, and the users file has none",
        )
        .with_hint(
            "add the user to the users file (pgmoneta-admin -f FILE -U USER user add) and restart \
             the daemon, which reads that file at its start",
        )
    })
}

fn send_password(wire: &mut Wire, password: &[u8], deadline: Deadline) -> Result<()> {
    let mut message = BytesMut::new();
    frontend::password_message(password, &mut message)?;
    let sent = wire.send(&message, deadline);
    message.as_mut().zeroize();
    sent
}

/// The error for a request that the configuration does not permit, or that is not supported.
fn unsupported_auth(request: i32) -> Error {
    let (what, hint) = match request {
        OK => (
            "accepts the connection without asking for a password (trust, or a certificate)",
            "this may not be the server of the configuration; use scram-sha-256 in pg_hba.conf of \
             the server, or permit it with auth = trust for this server (auth = cert where it \
             asks for a certificate)",
        ),
        CLEARTEXT => (
            "asks for the clear-text password (password)",
            "use scram-sha-256 in pg_hba.conf of the server, or permit it with auth = password \
             for this server",
        ),
        MD5 => (
            "asks for an MD5 hash (md5)",
            "use scram-sha-256 in pg_hba.conf of the server and set the role's password again, or \
             permit it with auth = md5 for this server",
        ),
        _ => {
            return Error::new(
                ErrorKind::Authentication,
                format!(
                    "the server asks for an authentication method that is not supported \
                     (request {request})"
                ),
            )
            .with_hint("use scram-sha-256 in pg_hba.conf of the server");
        }
    };
    let message = format!("the server {what}, which is not permitted");
    Error::new(ErrorKind::Authentication, message).with_hint(hint)
}

/// The whole SCRAM exchange: afterwards client and server have both proven that they know the
/// password.
fn scram(wire: &mut Wire, login: &Login, offered: &[u8], deadline: Deadline) -> Result<()> {
    let (mechanism, binding) = choose_mechanism(wire, offered)?;
    let mut exchange = ScramSha256::new(password(login)?.expose(), binding);

    let mut message = BytesMut::new();
    frontend::sasl_initial_response(mechanism, exchange.message(), &mut message)?;
    wire.send(&message, deadline)?;

    let server_first = expect_request(wire, SASL_CONTINUE, deadline)?;
    exchange.update(&server_first).map_err(scram_error)?;
    message.clear();
    frontend::sasl_response(exchange.message(), &mut message)?;
    wire.send(&message, deadline)?;

    let server_final = expect_request(wire, SASL_FINAL, deadline)?;
    exchange.finish(&server_final).map_err(scram_error)
}

fn expect_request(wire: &mut Wire, wanted: i32, deadline: Deadline) -> Result<Vec<u8>> {
    match next_request(wire, deadline)? {
        (request, data) if request == wanted => Ok(data),
        (OK, _) => Err(Error::new(
            ErrorKind::Authentication,
            "the server did not prove that it knows the password",
        )
        .with_hint("this may not be the server of the configuration")),
        (request, _) => Err(protocol_error(format!(
            "the server ends the SCRAM exchange early with request {request}"
        ))),
    }
}

fn scram_error(error: std::io::Error) -> Error {
    // Parts of the server's message may be in it.
    let error = printable(error.to_string().as_bytes());
    let message = format!("the server's side of the SCRAM exchange is invalid: {error}");
    Error::new(ErrorKind::Authentication, message)
        .with_hint("this may not be the server of the configuration")
}

/// The mechanism to use. With TLS and a server that offers it, the exchange is bound to the
/// server's certificate, which defeats a relay in between; otherwise the GS2 header says whether
/// the client supports binding (RFC 5802, section 6).
fn choose_mechanism(wire: &Wire, offered: &[u8]) -> Result<(&'static str, ChannelBinding)> {
    let mut names = Vec::new();
    let mut body = Body(offered);
    loop {
        match body.cstr()? {
            [] => break,
            name => names.push(name),
        }
    }
    body.end()?;
    let digest = match wire.stream().peer_certificate() {
        Some(certificate) => certificate_digest(certificate)?,
        None => None,
    };
    let offers = |name: &str| names.contains(&name.as_bytes());
    match digest {
        Some(digest) if offers(SCRAM_SHA_256_PLUS) => {
            let binding = ChannelBinding::tls_server_end_point(digest);
            Ok((SCRAM_SHA_256_PLUS, binding))
        }
        Some(_) if offers(SCRAM_SHA_256) => Ok((SCRAM_SHA_256, ChannelBinding::unrequested())),
        None if offers(SCRAM_SHA_256) => Ok((SCRAM_SHA_256, ChannelBinding::unsupported())),
        _ => Err(Error::new(
            ErrorKind::Authentication,
            "the server offers no SCRAM-SHA-256",
        )),
    }
}
