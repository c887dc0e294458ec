//! Queries, and what may come between the messages of an answer.

use std::thread::JoinHandle;

use super::super::*;
use super::server::*;
use crate::error::{ErrorKind, Result};

/// A query that the server answers with `answer`.
fn run_query(answer: Vec<u8>) -> (Result<Vec<Row>>, Connection, JoinHandle<Vec<u8>>) {
    let (login, thread) = server(move |socket| {
        accept_login(socket, "17.2");
        assert_eq!(receive(socket), (b'Q', b"SELECT 1\0".to_vec()));
        send(socket, &answer);
    });
    let mut connection = open(&login).unwrap();
    let rows = connection.query("SELECT 1");
    (rows, connection, thread)
}

#[test]
fn malformed_answers_are_errors_and_make_the_connection_unusable() {
    let wrong: [Vec<u8>; 6] = [
        message(b'D', b"\0\x01\0\0\0\x09x"),
        message(b'W', b"\0\0\0"),
        message(b'H', b"\0\0\0"),
        message(b'?', b""),
        message(b'N', b"Sno end"),
        [message(b'D', b"\0\x01\0\0\0\x01\xff"), READY.to_vec()].concat(),
    ];
    for answer in wrong {
        let complete = answer.ends_with(READY);
        let (rows, mut connection, thread) = run_query(answer);
        assert_eq!(rows.unwrap_err().kind(), ErrorKind::Protocol);
        if !complete {
            let failure = connection.query("SELECT 1").unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Internal, "{failure:?}");
        }
        drop(connection);
        // Only Terminate was sent.
        assert_eq!(thread.join().unwrap(), message(b'X', b""));
    }
}

#[test]
fn an_endless_answer_is_an_error() {
    let row = message(
        b'D',
        &[&b"\0\x01\0\x10\0\0"[..], &vec![b'x'; 1 << 20]].concat(),
    );
    let (rows, connection, thread) = run_query(row.repeat(80));
    let failure = rows.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Protocol);
    assert!(failure.message().contains("too long"), "{failure:?}");
    drop(connection);
    thread.join().unwrap();
}

#[test]
fn asynchronous_messages_are_accepted_within_an_answer() {
    let answer = [
        message(b'N', b"SWARNING\0VWARNING\0C01000\0Mcareful\0\0"),
        message(b'S', b"TimeZone\0UTC\0"),
        message(b'T', b"\0\0"),
        message(b'D', b"\0\x01\0\0\0\x011"),
        message(b'A', b"\0\0\0\0a\0b\0"),
        message(b'C', b"SELECT 1\0"),
        READY.to_vec(),
    ];
    let (rows, connection, thread) = run_query(answer.concat());
    assert_eq!(rows.unwrap(), [Row(vec![Some("1".to_owned())])]);
    drop(connection);
    thread.join().unwrap();
}
