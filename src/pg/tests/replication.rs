//! Replication.

use std::thread::JoinHandle;
use std::time::Duration;

use super::super::*;
use super::server::*;
use crate::error::ErrorKind;
use crate::sys::Stop;
use crate::unit::{Lsn, Timeline};

/// Replication of what the server sends after CopyBothResponse.
fn replicate(sent: Vec<u8>) -> (Replication, JoinHandle<Vec<u8>>) {
    let (login, thread) = server(move |socket| {
        accept_login(socket, "17.2");
        receive(socket);
        send(socket, &[message(b'W', b"\0\0\0"), sent].concat());
        socket.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let connection = Connection::open(&login, Mode::Replication, &Stop::new().unwrap()).unwrap();
    let replication = Replication::start(connection, "slot", Timeline::FIRST, Lsn(0)).unwrap();
    (replication, thread)
}

fn wal(start: u64, bytes: &[u8]) -> Vec<u8> {
    let header = [&b"w"[..], &start.to_be_bytes(), &[0; 16]].concat();
    message(b'd', &[&header, bytes].concat())
}

#[test]
fn wal_messages_of_all_sizes_are_received_completely() {
    let mut sent = Vec::new();
    let mut position = 0u64;
    // Some are longer than the buffer, which then grows.
    for length in [
        1,
        0,
        131_072,
        131_071,
        7,
        1 << 20,
        3,
        500_000,
        131_072,
        131_072,
        131_072,
    ] {
        let bytes: Vec<u8> = (position..position + length)
            .map(|n| (n % 251) as u8)
            .collect();
        sent.extend(wal(position, &bytes));
        position += length;
    }
    let (mut replication, thread) = replicate(sent);
    let mut received = 0;
    while received < position {
        match replication.next(Duration::from_secs(20)).unwrap() {
            Event::Wal { start, bytes, .. } => {
                assert_eq!(start, Lsn(received));
                for byte in bytes {
                    assert_eq!(u64::from(*byte), received % 251);
                    received += 1;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(replication.has_more().unwrap());
    let failure = replication.next(Duration::from_secs(20)).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Network, "{failure:?}");
    drop(replication);
    thread.join().unwrap();
}

#[test]
fn the_end_of_the_stream_is_a_network_error() {
    let ends = [
        message(b'C', b"COPY 0\0"),
        message(b'E', b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"),
        Vec::new(),
    ];
    for end in ends {
        let (mut replication, thread) = replicate(end);
        let failure = replication.next(Duration::from_secs(20)).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Network, "{failure:?}");
        replication.close();
        let sent_after = thread.join().unwrap();
        assert_eq!(
            sent_after,
            [message(b'c', b""), message(b'X', b"")].concat()
        );
    }
}

#[test]
fn malformed_replication_messages_are_rejected() {
    for sent in [
        message(b'd', b""),
        message(b'd', b"w123"),
        message(b'd', b"x"),
        message(b'T', b""),
    ] {
        let (mut replication, thread) = replicate(sent);
        let failure = replication.next(Duration::from_secs(20)).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Protocol, "{failure:?}");
        drop(replication);
        thread.join().unwrap();
    }
}

#[test]
fn a_partial_message_is_not_an_event() {
    let (login, thread) = server(|socket| {
        accept_login(socket, "17.2");
        receive(socket);
        let whole = wal(0, b"abc");
        send(
            socket,
            &[message(b'W', b"\0\0\0"), whole[..9].to_vec()].concat(),
        );
        // The client signals that it has seen the first part.
        receive(socket);
        send(socket, &whole[9..]);
    });
    let connection = Connection::open(&login, Mode::Replication, &Stop::new().unwrap()).unwrap();
    let mut replication = Replication::start(connection, "", Timeline::FIRST, Lsn(0)).unwrap();
    while !replication.has_more().unwrap() {}
    assert_eq!(
        replication.next(Duration::from_millis(20)).unwrap(),
        Event::Timeout
    );
    assert!(replication.has_more().unwrap());
    let nothing = crate::storage::no_durable_position();
    replication.send_status_update(nothing, true).unwrap();
    let event = replication.next(Duration::from_secs(20)).unwrap();
    assert!(
        matches!(event, Event::Wal { bytes: b"abc", .. }),
        "{event:?}"
    );
    assert!(!replication.has_more().unwrap());
    drop(replication);
    thread.join().unwrap();
}
