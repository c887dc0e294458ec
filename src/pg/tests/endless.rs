//! Servers that never end.

use std::net::TcpStream;
use std::time::Duration;

use super::super::*;
use super::server::*;
use crate::error::ErrorKind;
use crate::sys::Stop;
use crate::unit::{Lsn, Timeline};

#[test]
fn an_endless_stream_of_messages_is_a_timeout() {
    const NOTICE: &[u8] = b"SNOTICE\0VNOTICE\0C00000\0Mon and on\0\0";
    let notice = message(b'N', NOTICE);
    let setting = message(b'S', b"TimeZone\0UTC\0");
    for (accepts, bytes) in [(false, notice.clone()), (true, setting)] {
        let talk = move |socket: &mut TcpStream| {
            receive_startup(socket);
            if accepts {
                send(socket, &request(0, b""));
            }
            flood(socket, &bytes);
        };
        let failure = with_short_timeout(talk, |login| open(&login).err().unwrap());
        assert_eq!(failure.kind(), ErrorKind::Timeout, "{failure:?}");
    }
    for bytes in [
        notice.clone(),
        message(b'T', b"\0\0"),
        message(b'C', b"x\0"),
    ] {
        let talk = move |socket: &mut TcpStream| {
            accept_login(socket, "17.2");
            receive(socket);
            flood(socket, &bytes);
        };
        let failure = with_short_timeout(talk, |login| {
            open(&login).unwrap().query("SELECT 1").unwrap_err()
        });
        assert_eq!(failure.kind(), ErrorKind::Timeout, "{failure:?}");
    }
    let talk = move |socket: &mut TcpStream| {
        accept_login(socket, "17.2");
        receive(socket);
        send(socket, &message(b'W', b"\0\0\0"));
        flood(socket, &notice);
    };
    let quiet = with_short_timeout(talk, |login| {
        let stop = Stop::new().unwrap();
        let connection = Connection::open(&login, Mode::Replication, &stop).unwrap();
        let start = Lsn(0x100_0000);
        let mut replication = Replication::start(connection, "", Timeline::FIRST, start).unwrap();
        replication.next(Duration::from_secs(1)).unwrap() == Event::Timeout
    });
    assert!(quiet);
}
