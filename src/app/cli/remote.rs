//! The connection to the port of remote management: TLS, and the login with SCRAM-SHA-256.

use super::credentials::Credentials;
use crate::crypto::scram::ClientFirst;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Deadline, Stream, TcpOptions, TlsOptions};
use crate::protocol::login::{
    LoginRequest, MESSAGE_HEADER, message_length, sasl_initial_response, sasl_response,
    ssl_request, startup,
};
use crate::sys::Stop;

/// A request may wait for hours, and the connection must not be dropped meanwhile.
const TCP: TcpOptions = TcpOptions {
    keep_alive: true,
    nodelay: true,
};

/// Connects to one of the addresses of the host.
pub(super) fn connect(host: &str, port: u16, deadline: Deadline, stop: &Stop) -> Result<Stream> {
    Stream::tcp(host, port, TCP, deadline, stop)
}

/// Asks for TLS and starts it. It is an error if the daemon has none: nothing is sent in clear.
pub(super) fn start_tls(
    stream: &mut Stream,
    host: &str,
    options: &TlsOptions,
    deadline: Deadline,
) -> Result<()> {
    stream.write_all(&ssl_request(), deadline)?;
    let mut answer = [0];
    stream.read_exact(&mut answer, deadline)?;
    let refused = |message: &str, hint: &str| {
        Err(Error::new(ErrorKind::Authentication, message).with_hint(hint))
    };
    match answer {
        [b'S'] if stream.readable_now()? => refused(
            "bytes in clear came between the request for TLS and the handshake",
            "someone may be tampering with the connection",
        ),
        [b'S'] => stream.start_tls(host, options, deadline),
        [b'N'] => refused(
            "the daemon does not offer TLS",
            "set tls = on in the configuration of the daemon; without TLS, leave out --tls and \
             remove root.crt and pgmoneta.key from ~/.pgmoneta",
        ),
        _ => refused(
            "the answer to the request for TLS is neither yes nor no",
            "is this the port of remote management of pgmoneta?",
        ),
    }
}

/// Logs in: afterwards client and daemon have both proven that they know the password.
pub(super) fn log_in(
    stream: &mut Stream,
    credentials: &Credentials,
    deadline: Deadline,
) -> Result<()> {
    let action = format!("log in to {} as {}", stream.peer(), credentials.user);
    exchange(stream, credentials, deadline).map_err(|failure| explain(failure).context(action))
}

fn exchange(stream: &mut Stream, credentials: &Credentials, deadline: Deadline) -> Result<()> {
    stream.write_all(&startup(&credentials.user)?, deadline)?;
    expect(stream, deadline, |request| {
        (*request == LoginRequest::Sasl).then_some(())
    })?;
    let first = ClientFirst::new()?;
    stream.write_all(&sasl_initial_response(&first.message), deadline)?;
    let server_first = expect(stream, deadline, |request| match request {
        LoginRequest::Continue(message) => Some(message.clone()),
        _ => None,
    })?;
    let last = first.answer(&credentials.password, &server_first)?;
    stream.write_all(&sasl_response(&last.message), deadline)?;
    let server_last = expect(stream, deadline, |request| match request {
        LoginRequest::Final(message) => Some(message.clone()),
        _ => None,
    })?;
    last.verify(&server_last)?;
    expect(stream, deadline, |request| {
        (*request == LoginRequest::Done).then_some(())
    })
}

/// Reads the next request of the daemon, which must be the one that `take` takes.
fn expect<T>(
    stream: &mut Stream,
    deadline: Deadline,
    take: impl Fn(&LoginRequest) -> Option<T>,
) -> Result<T> {
    let mut header = [0; MESSAGE_HEADER];
    stream.read_exact(&mut header, deadline)?;
    let (tag, length) = message_length(header)?;
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest, deadline)?;
    let request = LoginRequest::read(tag, &rest)?;
    take(&request).ok_or_else(|| {
        let message = "the daemon did not prove that it knows the password";
        Error::new(ErrorKind::Authentication, message)
            .with_hint("this may not be the daemon that you want to log in to")
    })
}

/// Adds a hint to the error of a login.
fn explain(failure: Error) -> Error {
    let message = failure.message();
    if message.contains("requires TLS") {
        return failure.with_hint("use --tls");
    }
    // A server verifies the certificate of the client after the handshake of TLS 1.3.
    if message.contains("fatal alert") {
        return failure.with_hint(
            "the daemon rejected the certificate of this client: check pgmoneta.crt and \
             pgmoneta.key in ~/.pgmoneta",
        );
    }
    match failure.kind() {
        ErrorKind::Authentication => failure.with_hint(
            "check the user name and the password: `pgmoneta-admin -f FILE user ls` lists the \
             users of the admins file on the host of the daemon",
        ),
        _ => failure,
    }
}
