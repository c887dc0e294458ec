//! A scripted server, and the bytes that it sends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::*;
use crate::config::{AuthMethods, Host, TlsFiles, TlsMode};
use crate::crypto::Secret;
use crate::error::{Error, Result};
use crate::sys::Stop;

/// A server that runs `script` for one client, and the login for it. The thread returns what the
/// client sent after the script.
pub(super) fn server(
    script: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> (Login, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        drop(listener);
        script(&mut socket);
        let mut rest = Vec::new();
        // A connection reset by the client ends it too.
        let _ = socket.read_to_end(&mut rest);
        rest
    });
    let login = Login {
        host: Host::Tcp("127.0.0.1".to_owned()),
        port,
        user: "repl".to_owned(),
        password: Some(Arc::new(Secret::new(b"secret".to_vec()))),
        application_name: "pgmoneta".to_owned(),
        tls: TlsMode::Off,
        tls_files: TlsFiles::default(),
        auth: AuthMethods {
            trust: true,
            ..AuthMethods::default()
        },
        keep_alive: true,
        nodelay: true,
        login_timeout: Duration::from_secs(20),
        read_timeout: Duration::from_secs(20),
    };
    (login, thread)
}

pub(super) fn open(login: &Login) -> Result<Connection> {
    Connection::open(login, Mode::Sql, &Stop::new().unwrap())
}

pub(super) fn failed_login(
    script: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> (Error, Vec<u8>) {
    let (login, thread) = server(script);
    let failure = open(&login).err().expect("the log-in must fail");
    (failure, thread.join().unwrap())
}

pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    let mut bytes = vec![tag];
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    bytes
}

pub(super) fn send(socket: &mut TcpStream, bytes: &[u8]) {
    // The client may have closed the connection already, as some tests expect.
    let _ = socket.write_all(bytes);
}

pub(super) fn receive_startup(socket: &mut TcpStream) {
    let mut length = [0; 4];
    socket.read_exact(&mut length).unwrap();
    let length = u32::from_be_bytes(length) as usize;
    socket.read_exact(&mut vec![0; length - 4]).unwrap();
}

pub(super) fn receive(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 5];
    socket.read_exact(&mut header).unwrap();
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    let mut body = vec![0; length - 4];
    socket.read_exact(&mut body).unwrap();
    (header[0], body)
}

pub(super) fn request(code: u32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes(), data].concat())
}

pub(super) const READY: &[u8] = b"Z\0\0\0\x05I";

/// Accepts the client without authentication.
pub(super) fn accept_login(socket: &mut TcpStream, version: &str) {
    receive_startup(socket);
    let status = message(b'S', format!("server_version\0{version}\0").as_bytes());
    send(
        socket,
        &[&request(0, b""), status.as_slice(), READY].concat(),
    );
}

/// Sends `bytes` endlessly.
pub(super) fn flood(socket: &mut TcpStream, bytes: &[u8]) {
    let many = bytes.repeat(1000);
    while socket.write_all(&many).is_ok() {}
}

/// Runs a client with a timeout of one second.
pub(super) fn with_short_timeout<T: Send + 'static>(
    script: impl FnOnce(&mut TcpStream) + Send + 'static,
    client: impl FnOnce(Login) -> T + Send + 'static,
) -> T {
    let (mut login, _) = server(script);
    let wait = Duration::from_secs(1);
    (login.login_timeout, login.read_timeout) = (wait, wait);
    let (sender, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(client(login)));
    result
        .recv_timeout(Duration::from_secs(120))
        .expect("it must not wait longer than it may")
}
