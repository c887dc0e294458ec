//! Proving who we are, and that the server knows it too: SCRAM-SHA-256 (RFC 5802, RFC 7677), with channel binding
//! over TLS; MD5, the bare password and no proof at all only where the configuration permits them.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::{backend, frontend};
use zeroize::Zeroize;

use super::Login;
use super::refusal::Report;
use super::wire::{Body, Wire, protocol};
use crate::crypto::{Secret, certificate_digest};
use crate::error::{Failure, Kind, Result};
use crate::net::Deadline;

/// The requests of an Authentication message (PostgreSQL `protocol.h`, AUTH_REQ_*).
const OK: i32 = 0;
const CLEARTEXT: i32 = 3;
const MD5: i32 = 5;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

/// Answers the server's requests until it lets us in.
pub(super) fn authenticate(wire: &mut Wire, login: &Login, deadline: Deadline) -> Result<()> {
    let (request, data) = next_request(wire, deadline)?;
    match request {
        OK if without_a_question(wire, login) => return Ok(()),
        CLEARTEXT if login.auth.password => {
            let password = password(login)?;
            send_password(wire, password.expose(), deadline)?;
        }
        MD5 if login.auth.md5 => {
            let salt = <[u8; 4]>::try_from(data.as_slice())
                .map_err(|_| protocol("the salt of an md5 request has not 4 bytes"))?;
            let mut answer = md5_hash(login.user.as_bytes(), password(login)?.expose(), salt);
            send_password(wire, answer.as_bytes(), deadline)?;
            answer.zeroize();
        }
        SASL => scram(wire, login, &data, deadline)?,
        other => return Err(unwelcome(other)),
    }
    match next_request(wire, deadline)? {
        (OK, _) => Ok(()),
        (other, _) => Err(protocol(format!(
            "the server asks for another log-in (request {other}) after the first one"
        ))),
    }
}

/// Whether the server may let us in without a question. It has shown nothing then: anybody who listens there could.
fn without_a_question(wire: &Wire, login: &Login) -> bool {
    let shown = wire.stream().encrypted() && login.tls_files.certificate.is_some();
    login.auth.trust || login.auth.cert && shown
}

/// The next request of the server and what comes with it.
fn next_request(wire: &mut Wire, deadline: Deadline) -> Result<(i32, Vec<u8>)> {
    loop {
        let head = wire.receive(deadline)?;
        let mut body = Body(wire.body(&head));
        match head.tag {
            backend::AUTHENTICATION_TAG => return Ok((body.i32()?, body.0.to_vec())),
            backend::ERROR_RESPONSE_TAG => return Err(Report::parse(body.0)?.failure()),
            backend::NOTICE_RESPONSE_TAG => {
                let notice = Report::parse(body.0)?;
                log::debug!("{}: {}", notice.severity, notice.message);
                wire.in_time(deadline)?;
            }
            tag => {
                let tag = char::from(tag);
                return Err(protocol(format!(
                    "a message of type {tag:?} during the log-in"
                )));
            }
        }
    }
}

fn password(login: &Login) -> Result<&Secret> {
    login.password.as_deref().ok_or_else(|| {
        Failure::new(
            Kind::Authentication,
            "the server asks for a password, and there is none",
        )
        .hint(
            "add the user to the users file (pgmoneta-admin -f FILE -U USER user add) and restart the daemon, which reads \
             that file at its start",
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

/// A request that is not answered: not permitted, or not known.
fn unwelcome(request: i32) -> Failure {
    let (what, hint) = match request {
        OK => (
            "lets us in without asking for the password (trust, or a certificate)",
            "this may not be the server that you think it is; use scram-sha-256 in pg_hba.conf of the server, or permit it \
             with auth = trust for this server (auth = cert where it asks for a certificate)",
        ),
        CLEARTEXT => (
            "asks for the password in clear (password)",
            "use scram-sha-256 in pg_hba.conf of the server, or permit it with auth = password for this server",
        ),
        MD5 => (
            "asks for an MD5 answer (md5)",
            "use scram-sha-256 in pg_hba.conf of the server and set the role's password anew, or permit it with \
             auth = md5 for this server",
        ),
        _ => {
            return Failure::new(
                Kind::Authentication,
                format!("the server asks for a log-in that is not supported (request {request})"),
            )
            .hint("use scram-sha-256 in pg_hba.conf of the server");
        }
    };
    let message = format!("the server {what}, which is not permitted");
    Failure::new(Kind::Authentication, message).hint(hint)
}

/// The whole SCRAM exchange; afterwards each side has shown the other that it knows the password.
fn scram(wire: &mut Wire, login: &Login, offered: &[u8], deadline: Deadline) -> Result<()> {
    let (mechanism, binding) = choose(wire, offered)?;
    let mut exchange = ScramSha256::new(password(login)?.expose(), binding);

    let mut message = BytesMut::new();
    frontend::sasl_initial_response(mechanism, exchange.message(), &mut message)?;
    wire.send(&message, deadline)?;

    let challenge = expect(wire, SASL_CONTINUE, deadline)?;
    exchange.update(&challenge).map_err(scram_failure)?;
    message.clear();
    frontend::sasl_response(exchange.message(), &mut message)?;
    wire.send(&message, deadline)?;

    let verdict = expect(wire, SASL_FINAL, deadline)?;
    exchange.finish(&verdict).map_err(scram_failure)
}

fn expect(wire: &mut Wire, wanted: i32, deadline: Deadline) -> Result<Vec<u8>> {
    match next_request(wire, deadline)? {
        (request, data) if request == wanted => Ok(data),
        (OK, _) => Err(Failure::new(
            Kind::Authentication,
            "the server did not show that it knows the password",
        )
        .hint("this may not be the server that you think it is")),
        (request, _) => Err(protocol(format!(
            "the server breaks off the SCRAM exchange with request {request}"
        ))),
    }
}

fn scram_failure(error: std::io::Error) -> Failure {
    let message = format!("the server's side of the SCRAM exchange is wrong: {error}");
    Failure::new(Kind::Authentication, message)
        .hint("this may not be the server that you think it is")
}

/// The mechanism to use. With TLS and a server that offers it, the exchange is bound to the server's certificate, so
/// that nobody in between can pass it on; the header says otherwise whether we could have (RFC 5802 section 6).
fn choose(wire: &Wire, offered: &[u8]) -> Result<(&'static str, ChannelBinding)> {
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
        _ => Err(Failure::new(
            Kind::Authentication,
            "the server offers no SCRAM-SHA-256",
        )),
    }
}
