use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::*;
use crate::error::Kind;
use crate::sys::Stop;

const SOON: Duration = Duration::from_secs(30);
const TCP: TcpOptions = TcpOptions {
    keep_alive: true,
    nodelay: true,
};

fn pair(stop: &Stop) -> (Stream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Stream::from_unix(ours, stop.clone()).unwrap(), theirs)
}

#[test]
fn tcp_finds_the_address_that_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut word = [0; 4];
        socket.read_exact(&mut word).unwrap();
        socket.write_all(&word).unwrap();
    });
    let stop = Stop::new().unwrap();
    // localhost may be ::1 first, where nobody listens.
    let deadline = Deadline::after(SOON);
    let mut stream = Stream::tcp("localhost", port, TCP, deadline, &stop).unwrap();
    stream.write_all(b"ping", deadline).unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word, deadline).unwrap();
    assert_eq!(&word, b"ping");
    assert_eq!(stream.read(&mut word, deadline).unwrap(), 0);
    server.join().unwrap();
}

#[test]
fn a_refused_connection_is_a_network_failure() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let stop = Stop::new().unwrap();
    let failure = Stream::tcp("127.0.0.1", port, TCP, Deadline::after(SOON), &stop).err();
    assert_eq!(failure.unwrap().kind(), Kind::Network);
    let nowhere = std::path::Path::new("/nonexistent/.s.PGSQL.5432");
    let failure = Stream::unix(nowhere, Deadline::after(SOON), &stop).err();
    assert_eq!(failure.unwrap().kind(), Kind::Network);
}

/// Connects again and again to a server that accepts nothing, until its queue is full; what happens then.
fn fill_queue(connect: impl Fn(Deadline) -> crate::error::Result<Stream>) -> Kind {
    let mut waiting = Vec::new();
    for _ in 0..100 {
        match connect(Deadline::after(Duration::from_millis(100))) {
            Ok(stream) => waiting.push(stream),
            Err(failure) => return failure.kind(),
        }
    }
    panic!("a queue without end");
}

#[test]
fn connecting_has_a_deadline_and_hears_a_stop() {
    let stop = Stop::new().unwrap();
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let port = listener.local_addr().unwrap().as_socket().unwrap().port();
    let kind = fill_queue(|deadline| Stream::tcp("127.0.0.1", port, TCP, deadline, &stop));
    assert_eq!(kind, Kind::Timeout);

    let path = std::env::temp_dir().join(format!("pgmoneta-net-{}", std::process::id()));
    let listener =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let address = socket2::SockAddr::unix(&path).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let kind = fill_queue(|deadline| Stream::unix(&path, deadline, &stop));
    // Other systems refuse at once.
    let refuses = !cfg!(target_os = "linux") && kind == Kind::Network;
    assert!(kind == Kind::Timeout || refuses, "{kind:?}");
    std::fs::remove_file(&path).unwrap();

    stop.request();
    let failure = Stream::tcp("127.0.0.1", port, TCP, Deadline::after(SOON), &stop).err();
    assert_eq!(failure.unwrap().kind(), Kind::Stopped);
}

#[test]
fn reads_and_writes_have_a_deadline() {
    let stop = Stop::new().unwrap();
    let (mut stream, _theirs) = pair(&stop);
    let soon = || Deadline::after(Duration::from_millis(20));
    let failure = stream.read(&mut [0; 10], soon()).unwrap_err();
    assert_eq!(failure.kind(), Kind::Timeout);
    // More than a socket takes when nobody reads.
    let failure = stream.write_all(&vec![0; 16 << 20], soon()).unwrap_err();
    assert_eq!(failure.kind(), Kind::Timeout);
}

#[test]
fn a_stop_ends_a_read_but_lets_a_last_message_out() {
    let stop = Stop::new().unwrap();
    let (mut stream, mut theirs) = pair(&stop);
    let request = stop.clone();
    let begun = Instant::now();
    let other = std::thread::spawn(move || request.request());
    let failure = stream
        .read(&mut [0; 10], Deadline::after(SOON))
        .unwrap_err();
    assert_eq!(failure.kind(), Kind::Stopped);
    assert!(begun.elapsed() < SOON);
    other.join().unwrap();
    theirs.write_all(b"more").unwrap();
    assert!(!stream.readable_now().unwrap());
    stream.write_all(b"bye", Deadline::after(SOON)).unwrap();
    drop(stream);
    let mut heard = Vec::new();
    // The unread bytes make the kernel report a reset after what we said.
    let _ = theirs.read_to_end(&mut heard);
    assert_eq!(heard, b"bye");
}

#[test]
fn readable_now_sees_bytes_and_the_end() {
    let stop = Stop::new().unwrap();
    let (mut stream, mut theirs) = pair(&stop);
    assert!(!stream.readable_now().unwrap());
    theirs.write_all(b"x").unwrap();
    assert!(stream.readable_now().unwrap());
    stream
        .read_exact(&mut [0; 1], Deadline::after(SOON))
        .unwrap();
    assert!(!stream.readable_now().unwrap());
    drop(theirs);
    assert!(stream.readable_now().unwrap());
    let failure = stream.read_exact(&mut [0; 1], Deadline::after(SOON));
    assert_eq!(failure.unwrap_err().kind(), Kind::Network);
}

#[test]
fn a_deadline_that_is_too_far_away_never_passes() {
    assert!(!Deadline::after(Duration::MAX).passed());
    assert!(Deadline::after(Duration::ZERO).passed());
}
