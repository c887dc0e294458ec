use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::places::Places;
use super::*;
use crate::error::Result;
use crate::net::{Deadline, Stream, TcpOptions, listen};
use crate::sys::Stop;

const TIMEOUT: Duration = Duration::from_secs(60);

/// The two ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Takes a place for an address; returns the client's end too.
fn take(places: &Arc<Places>, address: &str) -> (TcpStream, Place) {
    let (client, socket) = pair();
    let address: IpAddr = address.parse().unwrap();
    let place = places.take(address, socket, &|| {}).unwrap();
    (client, place)
}

fn is_closed(client: &mut TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    matches!(client.read(&mut [0]), Ok(0))
}

#[test]
fn the_oldest_of_the_address_with_most_connections_is_closed() {
    let places = Places::new(5);
    let lone = take(&places, "192.0.2.1");
    let mut flood: Vec<_> = (1..=4)
        // One network, of which a host may use every address.
        .map(|n| take(&places, &format!("2001:db8::{n}")))
        .collect();
    assert!(flood[0].1.serve(), "it is never closed");
    assert!(places.evict());
    assert!(!places.evict(), "one that was closed is about to end");
    assert!(is_closed(&mut flood[1].0));
    assert!(!flood[1].1.serve() && !flood[1].1.pause(TIMEOUT));
    let ended = flood.remove(1);
    drop(ended);
    let another = take(&places, "192.0.2.2");
    assert!(places.evict());
    assert!(is_closed(&mut flood[1].0), "the next one of the flood");
    drop(flood.remove(1));
    // All addresses have one now.
    assert!(flood[1].1.wait());
    assert!(places.evict());
    let (mut client, place) = lone;
    assert!(is_closed(&mut client), "the oldest of all");
    drop((place, another));
}

#[test]
fn a_new_connection_waits_where_all_are_served() {
    let places = Places::new(1);
    let (_client, place) = take(&places, "192.0.2.1");
    assert!(place.serve());
    let next = {
        let places = places.clone();
        std::thread::spawn(move || take(&places, "192.0.2.2"))
    };
    assert!(!places.evict() && place.serve());
    drop(place);
    let (_client, _place) = next.join().unwrap();
    let (_, socket) = pair();
    let late = {
        let places = places.clone();
        std::thread::spawn(move || {
            let address = IpAddr::from([192, 0, 2, 3]);
            places.take(address, socket, &|| {}).is_none()
        })
    };
    places.close();
    assert!(late.join().unwrap(), "the port closes");
}

/// Answers one byte with itself, and serves `q` until the client closes.
struct Echo;

impl PortService for Echo {
    fn serve(&self, mut stream: Stream, address: IpAddr, place: &Place) -> Result<()> {
        assert!(address.is_loopback());
        let deadline = Deadline::after(TIMEOUT);
        let mut byte = [0];
        stream.read_exact(&mut byte, deadline)?;
        assert!(byte != [b'!'], "the service panics");
        place.serve();
        stream.write_all(&byte, deadline)?;
        if byte == [b'q'] {
            stream.read(&mut byte, deadline)?;
        }
        Ok(())
    }
}

fn ask(port: u16, byte: u8) -> (TcpStream, Option<u8>) {
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    client.write_all(&[byte]).unwrap();
    let mut answer = [0];
    let answer = client.read_exact(&mut answer).ok().map(|()| answer[0]);
    (client, answer)
}

#[test]
fn idle_connections_keep_no_client_out_and_all_end_with_the_port() {
    let stop = Stop::new().unwrap();
    let listeners = listen("127.0.0.1", 0, 128).unwrap();
    let number = listeners[0].local_addr().unwrap().port();
    let options = PortOptions {
        name: "echo",
        max_connections: 4,
        tcp: TcpOptions {
            keep_alive: true,
            nodelay: true,
        },
        stop: stop.clone(),
    };
    let mut port = Port::start(listeners, options, Arc::new(Echo)).unwrap();
    let (mut served, answer) = ask(number, b'q');
    assert_eq!(answer, Some(b'q'));
    let idle: Vec<_> = (0..50)
        .map(|_| TcpStream::connect(("127.0.0.1", number)).unwrap())
        .collect();
    for _ in 0..10 {
        assert_eq!(ask(number, b'x').1, Some(b'x'));
    }
    assert_eq!(ask(number, b'!').1, None);
    assert_eq!(ask(number, b'y').1, Some(b'y'), "after a panic");
    assert!(!is_closed(&mut served), "it was served all the time");
    port.close();
    assert!(TcpStream::connect(("127.0.0.1", number)).is_err());
    assert!(!is_closed(&mut served));
    stop.request();
    port.join();
    assert!(is_closed(&mut served));
    drop(idle);
}
