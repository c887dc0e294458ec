//! A proxy between a receiver and its server that drops a part of the WAL.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pgmoneta::unit::Lsn;

use crate::harness::{Cluster, Scratch};

/// A directory with the socket of the proxy. Its threads end with the process.
pub struct Relay {
    directory: PathBuf,
    drops: Arc<AtomicBool>,
}

impl Relay {
    pub fn new(scratch: &Scratch, cluster: &Cluster, segment: u64) -> Relay {
        let directory = scratch.join("relay");
        fs::create_dir_all(&directory).unwrap();
        let name = format!(".s.PGSQL.{}", cluster.port());
        let listener = UnixListener::bind(directory.join(&name)).unwrap();
        let server = cluster.sockets().join(name);
        let drops = Arc::new(AtomicBool::new(false));
        let switch = drops.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is down closes the connection.
                if let Ok(server) = UnixStream::connect(&server) {
                    relay(client, server, switch.clone(), segment);
                }
            }
        });
        Relay { directory, drops }
    }

    pub fn sockets(&self) -> &Path {
        &self.directory
    }

    /// Whether each stream drops WAL before its second segment boundary.
    pub fn drop_wal(&self, drop: bool) {
        self.drops.store(drop, Ordering::SeqCst);
    }
}

fn relay(client: UnixStream, server: UnixStream, drops: Arc<AtomicBool>, segment: u64) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let _ = relay_messages(&server, &client, &drops, segment);
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// Forwards the server's messages.
fn relay_messages(
    mut server: &UnixStream,
    mut client: &UnixStream,
    drops: &AtomicBool,
    segment: u64,
) -> io::Result<()> {
    let mut until = None;
    loop {
        let mut head = [0; 5];
        server.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; length as usize - 4];
        server.read_exact(&mut body)?;
        if head[0] == b'd' && body[0] == b'w' && drops.load(Ordering::SeqCst) {
            let start = u64::from_be_bytes(body[1..9].try_into().unwrap());
            let until = *until.get_or_insert((start / segment + 2) * segment);
            let dropped = until.saturating_sub(start).min(body.len() as u64 - 25);
            body.drain(25..25 + dropped as usize);
            if body.len() == 25 {
                continue;
            }
            body[1..9].copy_from_slice(&Lsn(start + dropped).0.to_be_bytes());
        }
        let length = u32::try_from(body.len() + 4).unwrap();
        client.write_all(&head[..1])?;
        client.write_all(&length.to_be_bytes())?;
        client.write_all(&body)?;
    }
}
