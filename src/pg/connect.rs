//! The stream to a server: a socket, with TLS as the configuration says.

use std::path::Path;

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::Login;
use crate::config::{Host, TlsMode};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Deadline, FileKeys, Stream, TcpOptions, TlsOptions, Trust};
use crate::sys::Stop;

/// Connects, and starts TLS if it is to be used.
pub(super) fn connect(login: &Login, deadline: Deadline, stop: &Stop) -> Result<Stream> {
    let unreachable = |failure: Error| match failure.kind() {
        ErrorKind::Network | ErrorKind::Timeout => failure.with_hint(
            "check that the server runs and that host and port are right (listen_addresses, port \
             and unix_socket_directories on the server)",
        ),
        _ => failure,
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
        keys: FileKeys::TLS,
    };
    stream.start_tls(host, &options, deadline)?;
    Ok(stream)
}

/// SSLRequest. The answer is one byte; more bytes before the handshake do not come from the server
/// (CVE-2021-23222).
fn request_tls(stream: &mut Stream, deadline: Deadline) -> Result<()> {
    let mut message = BytesMut::new();
    frontend::ssl_request(&mut message);
    stream.write_all(&message, deadline)?;
    let mut answer = [0];
    stream.read_exact(&mut answer, deadline)?;
    match answer {
        [b'S'] if stream.readable_now()? => {
            // Either the end of the stream, which is an error here, or bytes.
            stream.read_exact(&mut answer, deadline)?;
            let message = "bytes in clear came between the request for TLS and the handshake";
            Err(Error::new(ErrorKind::Authentication, message)
                .with_hint("someone may be tampering with the connection"))
        }
        [b'S'] => Ok(()),
        // An error message in clear text is not authenticated and is not shown.
        _ => Err(
            Error::new(ErrorKind::Authentication, "the server does not offer TLS")
                .with_hint("set ssl = on on the server, or tls = off for this server"),
        ),
    }
}
