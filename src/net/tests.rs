use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::*;
use crate::error::ErrorKind;
use crate::sys::Stop;

const TIMEOUT: Duration = Duration::from_secs(30);
const TCP: TcpOptions = TcpOptions {
    keep_alive: true,
    nodelay: true,
};

fn pair(stop: &Stop) -> (Stream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Stream::from_unix(ours, stop.clone()).unwrap(), theirs)
}

#[test]
fn tcp_connects_to_the_address_that_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut word = [0; 4];
        socket.read_exact(&mut word).unwrap();
        socket.write_all(&word).unwrap();
    });
    let stop = Stop::new().unwrap();
    // localhost may resolve to ::1 first, where no server listens.
    let deadline = Deadline::after(TIMEOUT);
    let mut stream = Stream::tcp("localhost", port, TCP, deadline, &stop).unwrap();
    stream.write_all(b"ping", deadline).unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word, deadline).unwrap();
    assert_eq!(&word, b"ping");
    assert_eq!(stream.read(&mut word, deadline).unwrap(), 0);
    server.join().unwrap();
}

#[test]
fn a_refused_connection_is_a_network_error() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let stop = Stop::new().unwrap();
    let failure = Stream::tcp("127.0.0.1", port, TCP, Deadline::after(TIMEOUT), &stop).err();
    assert_eq!(failure.unwrap().kind(), ErrorKind::Network);
    let nowhere = std::path::Path::new("/nonexistent/.s.PGSQL.5432");
    let failure = Stream::unix(nowhere, Deadline::after(TIMEOUT), &stop).err();
    assert_eq!(failure.unwrap().kind(), ErrorKind::Network);
}

/// Connects repeatedly to a server that accepts no connections, until its queue is full; returns
/// the kind of the error.
fn fill_queue(connect: impl Fn(Deadline) -> crate::error::Result<Stream>) -> ErrorKind {
    let mut waiting = Vec::new();
    for _ in 0..100 {
        match connect(Deadline::after(Duration::from_millis(100))) {
            Ok(stream) => waiting.push(stream),
            Err(failure) => return failure.kind(),
        }
    }
    panic!("the queue is never full");
}

#[test]
fn connecting_ends_at_the_deadline_and_at_a_stop() {
    let stop = Stop::new().unwrap();
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let port = listener.local_addr().unwrap().as_socket().unwrap().port();
    let kind = fill_queue(|deadline| Stream::tcp("127.0.0.1", port, TCP, deadline, &stop));
    assert_eq!(kind, ErrorKind::Timeout);

    let path = std::env::temp_dir().join(format!("pgmoneta-net-{}", std::process::id()));
    let listener =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let address = socket2::SockAddr::unix(&path).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let kind = fill_queue(|deadline| Stream::unix(&path, deadline, &stop));
    // Systems other than Linux refuse at once.
    let refuses = !cfg!(target_os = "linux") && kind == ErrorKind::Network;
    assert!(kind == ErrorKind::Timeout || refuses, "{kind:?}");
    std::fs::remove_file(&path).unwrap();

    stop.request();
    let failure = Stream::tcp("127.0.0.1", port, TCP, Deadline::after(TIMEOUT), &stop).err();
    assert_eq!(failure.unwrap().kind(), ErrorKind::Stopped);
}

#[test]
fn reads_and_writes_end_at_the_deadline() {
    let stop = Stop::new().unwrap();
    let (mut stream, _theirs) = pair(&stop);
    let soon = || Deadline::after(Duration::from_millis(20));
    let failure = stream.read(&mut [0; 10], soon()).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Timeout);
    // More than the socket buffers take.
    let failure = stream.write_all(&vec![0; 16 << 20], soon()).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Timeout);
}

#[test]
fn a_stop_ends_a_read_but_not_a_short_write() {
    let stop = Stop::new().unwrap();
    let (mut stream, mut theirs) = pair(&stop);
    let request = stop.clone();
    let begun = Instant::now();
    let other = std::thread::spawn(move || request.request());
    let failure = stream
        .read(&mut [0; 10], Deadline::after(TIMEOUT))
        .unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Stopped);
    assert!(begun.elapsed() < TIMEOUT);
    other.join().unwrap();
    theirs.write_all(b"more").unwrap();
    assert!(!stream.readable_now().unwrap());
    stream.write_all(b"bye", Deadline::after(TIMEOUT)).unwrap();
    drop(stream);
    let mut received = Vec::new();
    // Because of the unread bytes the kernel reports a reset after the message.
    let _ = theirs.read_to_end(&mut received);
    assert_eq!(received, b"bye");
}

#[test]
fn readable_now_is_true_for_bytes_and_at_the_end() {
    let stop = Stop::new().unwrap();
    let (mut stream, mut theirs) = pair(&stop);
    assert!(!stream.readable_now().unwrap());
    theirs.write_all(b"x").unwrap();
    assert!(stream.readable_now().unwrap());
    stream
        .read_exact(&mut [0; 1], Deadline::after(TIMEOUT))
        .unwrap();
    assert!(!stream.readable_now().unwrap());
    drop(theirs);
    assert!(stream.readable_now().unwrap());
    let failure = stream.read_exact(&mut [0; 1], Deadline::after(TIMEOUT));
    assert_eq!(failure.unwrap_err().kind(), ErrorKind::Network);
}

#[test]
fn a_deadline_that_is_too_far_away_never_passes() {
    assert!(!Deadline::after(Duration::MAX).passed());
    assert!(Deadline::after(Duration::ZERO).passed());
}
