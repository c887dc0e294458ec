//! A daemon with remote management, and a client of it that sends raw messages.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use pgmoneta::crypto::Secret;
use pgmoneta::crypto::scram::ClientFirst;
use pgmoneta::protocol::login::{sasl_initial_response, sasl_response, startup};

use crate::harness::{Daemon, Output, Scratch, free_port, test_timeout};

/// The user of remote management, with a password that is not ASCII.
pub const ADMIN: &str = "moneta";
pub const PASSWORD: &str = "größe 'x'";

/// A daemon and the port of its remote management.
pub struct Remote {
    pub daemon: Daemon,
    pub port: u16,
}

impl Remote {
    /// Not started yet; `lines` are added to its configuration.
    pub fn create(scratch: &Scratch, lines: &str) -> Remote {
        let port = free_port();
        let lines = format!("management = {port}\n{lines}");
        let builder = Daemon::builder(scratch).offline_server("primary");
        let daemon = builder.global(&lines).create();
        let remote = Remote { daemon, port };
        remote.add(ADMIN, PASSWORD);
        remote
    }

    /// Adds a user to the admins file.
    pub fn add(&self, name: &str, password: &str) {
        let file = self.daemon.directory().join("pgmoneta_admins.conf");
        let file = file.to_str().unwrap();
        let arguments = ["-f", file, "-U", name, "-P", password, "user", "add"];
        self.daemon.admin(&arguments).ok();
    }

    /// As [`Remote::create`], and started.
    pub fn start(scratch: &Scratch, lines: &str) -> Remote {
        let mut remote = Remote::create(scratch, lines);
        remote.daemon.start();
        remote
    }

    /// A connection that has sent nothing.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(test_timeout(60))).unwrap();
        stream
    }

    /// A connection that has logged in.
    pub fn log_in(&self) -> TcpStream {
        let mut stream = self.connect();
        let client = ClientFirst::new().unwrap();
        stream.write_all(&startup(ADMIN).unwrap()).unwrap();
        assert_eq!(message(&mut stream).1[..4], 10_u32.to_be_bytes());
        let initial = sasl_initial_response(&client.message);
        stream.write_all(&initial).unwrap();
        let first = message(&mut stream).1;
        let password = Secret::new(PASSWORD.as_bytes().to_vec());
        let last = client.answer(&password, &first[4..]).unwrap();
        stream.write_all(&sasl_response(&last.message)).unwrap();
        last.verify(&message(&mut stream).1[4..]).unwrap();
        assert_eq!(message(&mut stream), (b'R', vec![0; 4]));
        stream
    }

    /// `pgmoneta-cli` with host and port, without a user.
    pub fn cli_command(&self, host: &str, arguments: &[&str]) -> Command {
        let port = self.port.to_string();
        let mut command = self.daemon.cli_command(&["-h", host, "-p", &port]);
        command.args(arguments);
        command
    }

    /// Runs `pgmoneta-cli` as the user of remote management.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = self.cli_command("127.0.0.1", arguments);
        Output::of(
            command
                .args(["-U", ADMIN])
                .env("PGMONETA_PASSWORD", PASSWORD),
        )
    }
}

/// The next message of the login: its type, and what follows its length.
pub fn message(stream: &mut impl Read) -> (u8, Vec<u8>) {
    let mut header = [0; 5];
    stream.read_exact(&mut header).unwrap();
    let [tag, length @ ..] = header;
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut rest).unwrap();
    (tag, rest)
}

/// What the daemon sends until it closes the connection.
pub fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A client that has sent too much may get a reset after that.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

/// The answer to a login that is refused.
pub fn refusal() -> Vec<u8> {
    b"E\0\0\0\x2dSFATAL\0VFATAL\0C53300\0Mconnection refused\0\0".to_vec()
}
