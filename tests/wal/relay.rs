//! Stands between a receiver and its server, and loses a part of the WAL.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pgmoneta::unit::Lsn;

use crate::harness::{Cluster, Scratch};

/// A directory of sockets that lead to a cluster. Its threads end with the process.
pub struct Relay {
    directory: PathBuf,
    loses: Arc<AtomicBool>,
}

impl Relay {
    pub fn new(scratch: &Scratch, cluster: &Cluster, segment: u64) -> Relay {
        let directory = scratch.join("relay");
        fs::create_dir_all(&directory).unwrap();
        let name = format!(".s.PGSQL.{}", cluster.port());
        let listener = UnixListener::bind(directory.join(&name)).unwrap();
        let server = cluster.sockets().join(name);
        let loses = Arc::new(AtomicBool::new(false));
        let switch = loses.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is down closes the connection.
                if let Ok(server) = UnixStream::connect(&server) {
                    pass(client, server, switch.clone(), segment);
                }
            }
        });
        Relay { directory, loses }
    }

    pub fn sockets(&self) -> &Path {
        &self.directory
    }

    /// Whether each stream loses what comes before the second segment boundary on its way.
    pub fn lose(&self, lose: bool) {
        self.loses.store(lose, Ordering::SeqCst);
    }
}

fn pass(client: UnixStream, server: UnixStream, loses: Arc<AtomicBool>, segment: u64) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let _ = answers(&server, &client, &loses, segment);
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// Passes the server's messages on.
fn answers(
    mut server: &UnixStream,
    mut client: &UnixStream,
    loses: &AtomicBool,
    segment: u64,
) -> io::Result<()> {
    let mut until = None;
    loop {
        let mut head = [0; 5];
        server.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; length as usize - 4];
        server.read_exact(&mut body)?;
        if head[0] == b'd' && body[0] == b'w' && loses.load(Ordering::SeqCst) {
            let start = u64::from_be_bytes(body[1..9].try_into().unwrap());
            let until = *until.get_or_insert((start / segment + 2) * segment);
            let lost = until.saturating_sub(start).min(body.len() as u64 - 25);
            body.drain(25..25 + lost as usize);
            if body.len() == 25 {
                continue;
            }
            body[1..9].copy_from_slice(&Lsn(start + lost).0.to_be_bytes());
        }
        let length = u32::try_from(body.len() + 4).unwrap();
        client.write_all(&head[..1])?;
        client.write_all(&length.to_be_bytes())?;
        client.write_all(&body)?;
    }
}
