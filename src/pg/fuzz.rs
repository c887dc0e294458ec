//! What a server sends: any bytes, after a login or from its first message on.

#![allow(clippy::unwrap_used)] // as in tests

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::server_error::ServerError;
use super::wire::Body;
use super::{
    BaseBackup, BaseBackupOptions, Connection, Event, Login, Mode, Replication, ServerInfo, Slot,
};
use crate::config::{AuthMethods, Checkpoint, Host, TlsFiles, TlsMode};
use crate::crypto::Secret;
use crate::error::Result;
use crate::net::{Deadline, Stream};
use crate::sys::Stop;
use crate::unit::{Lsn, Timeline};

/// More bytes may not fit into the buffer of a socket.
const MAX_INPUT: usize = 64 << 10;
/// The limit for the server's manifest.
const MAX_MANIFEST: usize = 1000;
/// Never reached: the stream ends first.
const WAIT: Duration = Duration::from_secs(60);

/// The first byte says what the client does, the others are what the server sends.
pub fn backend(input: &[u8]) {
    let Some((action, sent)) = input.split_first() else {
        return;
    };
    if sent.len() > MAX_INPUT {
        return;
    }
    if let Ok(error) = ServerError::parse(sent) {
        one_line(&error.to_error());
        for text in [error.severity, error.message, error.detail, error.hint] {
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
    let _ = Body(sent)
        .cstr()
        .map(|text| assert!(text.len() < sent.len()));
    let done = match action {
        b'L' => serve(&[sent], |mut connection| {
            connection.query("SELECT 1").map(|_| ())
        }),
        b'Q' => serve(&[&accepted("17.2"), sent], queries),
        b'R' => serve(&[&accepted("17.2"), sent], |one| {
            replication(one, sent.len())
        }),
        b'B' => serve(&[&accepted("17.2"), sent], |one| {
            base_backup(one, sent.len())
        }),
        b'O' => serve(&[&accepted("13.4"), sent], |one| {
            base_backup(one, sent.len())
        }),
        _ => Ok(()),
    };
    if let Err(failure) = done {
        one_line(&failure);
    }
}

/// A failure is logged as one line, which is not long.
fn one_line(failure: &crate::error::Error) {
    let message = failure.message_with_hint();
    assert!(!message.contains(char::is_control), "{message:?}");
    assert!(message.len() < 20_000, "{} bytes", message.len());
}

/// The end of a login without a password.
fn accepted(version: &str) -> Vec<u8> {
    let status = format!("server_version\0{version}\0");
    let length = u8::try_from(status.len() + 4).unwrap();
    let ok = b"R\0\0\0\x08\0\0\0\0".as_slice();
    [
        ok,
        &[b'S', 0, 0, 0, length],
        status.as_bytes(),
        b"Z\0\0\0\x05I",
    ]
    .concat()
}

fn login() -> Login {
    Login {
        // For a request to cancel: nothing is there.
        host: Host::Unix("/nowhere".into()),
        port: 1,
        user: "repl".to_owned(),
        password: Some(Arc::new(Secret::new(b"secret".to_vec()))),
        application_name: "pgmoneta".to_owned(),
        tls: TlsMode::Off,
        tls_files: TlsFiles::default(),
        auth: AuthMethods {
            trust: true,
            password: true,
            md5: true,
            ..AuthMethods::default()
        },
        keep_alive: true,
        nodelay: true,
        login_timeout: WAIT,
        read_timeout: WAIT,
    }
}

/// Logs in to a server that sends `parts` and ends, and runs `client`.
fn serve(parts: &[&[u8]], client: impl FnOnce(Connection) -> Result<()>) -> Result<()> {
    static STOP: OnceLock<Stop> = OnceLock::new();
    let stop = STOP.get_or_init(|| Stop::new().unwrap());
    let (socket, mut server) = UnixStream::pair()?;
    server.set_nonblocking(true)?;
    server.write_all(&parts.concat())?;
    server.shutdown(Shutdown::Write)?;
    let stream = Stream::from_unix(socket, stop.clone())?;
    let deadline = Deadline::after(WAIT);
    let names = ("postgres", "UTF8");
    let connection = Connection::log_in_over(stream, &login(), Mode::Sql, names, deadline)?;
    client(connection)
}

fn queries(mut connection: Connection) -> Result<()> {
    match ServerInfo::read(&mut connection) {
        Ok(info) => assert_eq!(info.version, connection.version()),
        Err(failure) => one_line(&failure),
    }
    connection.identify_system()?;
    connection.timeline_history(Timeline::FIRST)?;
    connection.read_replication_slot("slot")?;
    Slot::find(&mut connection, "slot")?;
    for row in connection.query("SELECT 1")? {
        assert!(row.0.iter().flatten().all(|text| text.len() <= MAX_INPUT));
    }
    Ok(())
}

fn replication(connection: Connection, sent: usize) -> Result<()> {
    let mut replication = Replication::start(connection, "slot", Timeline::FIRST, Lsn::ZERO)?;
    let mut received = 0;
    loop {
        match replication.next(WAIT)? {
            Event::Wal { bytes, .. } => received += bytes.len(),
            Event::Keepalive { .. } => {}
            Event::EndOfTimeline => break,
            Event::Timeout => unreachable!("it waits for a stream that has ended"),
        }
        assert!(received <= sent, "more WAL than was sent");
    }
    let (mut connection, _) = replication.finish()?;
    connection.identify_system().map(|_| ())
}

fn base_backup(connection: Connection, sent: usize) -> Result<()> {
    let options = BaseBackupOptions {
        label: "x".to_owned(),
        checkpoint: Checkpoint::Fast,
        max_rate: None,
    };
    let mut backup = BaseBackup::start(connection, &options)?;
    let mut received = 0;
    let mut archives = 0;
    while let Some(mut archive) = backup.next_archive()? {
        let mut bytes = Vec::new();
        archive.read_to_end(&mut bytes)?;
        received += bytes.len();
        archives += 1;
        assert!(received <= sent, "more than was sent");
    }
    assert_eq!(archives, backup.tablespaces().len(), "each archive once");
    let manifest = backup.manifest(MAX_MANIFEST)?;
    assert!(
        manifest.len() <= MAX_MANIFEST,
        "a manifest that is too long"
    );
    let (_, warnings) = backup.finish()?;
    assert!(
        warnings
            .iter()
            .all(|warning| !warning.message.contains(char::is_control))
    );
    Ok(())
}
