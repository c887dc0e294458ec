//! TLS on the port of the metrics.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVersion};
use rustix::process::Signal;

use super::client::{Answer, connect, exchange};
use crate::harness::{Certificate, Daemon, Output, Scratch, free_port, wait_until, write_owned};

const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[derive(Clone, Copy)]
struct Client<'a> {
    authority: &'a Path,
    certificate: Option<(&'a Path, &'a Path)>,
    version: SslVersion,
}

impl Client<'_> {
    fn handshake(&self, port: u16) -> Option<SslStream<TcpStream>> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_ca_file(self.authority).unwrap();
        builder.set_max_proto_version(Some(self.version)).unwrap();
        builder.set_min_proto_version(Some(self.version)).unwrap();
        builder.set_security_level(0);
        if let Some((certificate, key)) = self.certificate {
            builder.set_certificate_chain_file(certificate).unwrap();
            let pem = openssl::ssl::SslFiletype::PEM;
            builder.set_private_key_file(key, pem).unwrap();
        }
        builder.build().connect("localhost", connect(port)).ok()
    }

    /// The answer; `None` if the server refuses the connection.
    fn get(&self, port: u16) -> Option<Answer> {
        use std::io::{Read, Write};
        let mut stream = self.handshake(port)?;
        // With TLS 1.3 the server refuses a certificate after the handshake of the client.
        stream.write_all(REQUEST).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(Answer::parse(std::str::from_utf8(&answer).ok()?))
    }
}

/// A daemon with TLS, the authority of its certificate, and files for a client.
struct Tls {
    scratch: Scratch,
    authority: Certificate,
    root: PathBuf,
    /// Certificate and key.
    server: (PathBuf, PathBuf),
    client: (PathBuf, PathBuf),
    port: u16,
    daemon: Daemon,
}

impl Tls {
    fn start() -> Tls {
        let scratch = Scratch::new("metrics-tls");
        let authority = Certificate::authority("authority");
        let (root, _) = authority.write(&scratch, "root");
        let server = authority.sign("localhost", "127.0.0.1");
        let (certificate, key) = server.write(&scratch, "server");
        let client = authority.sign("me", "::1").write(&scratch, "client");
        let port = free_port();
        let files = [
            ("metrics_cert_file", &certificate),
            ("metrics_key_file", &key),
            ("metrics_ca_file", &root),
        ];
        let mut keys = format!("metrics = {port}");
        for (name, path) in files {
            keys.push_str(&format!("\n{name} = {}", path.display()));
        }
        let daemon = Daemon::builder(&scratch).global(&keys);
        Tls {
            daemon: daemon.offline_server("primary").start(),
            scratch,
            authority,
            root,
            server: (certificate, key),
            client,
            port,
        }
    }

    fn client(&self) -> Client<'_> {
        Client {
            authority: &self.root,
            certificate: Some((&self.client.0, &self.client.1)),
            version: SslVersion::TLS1_3,
        }
    }

    /// The serial number of the certificate of the server.
    fn serial(&self) -> Vec<u8> {
        let stream = self.client().handshake(self.port).expect("a handshake");
        let certificate = stream.ssl().peer_certificate().unwrap();
        certificate.serial_number().to_bn().unwrap().to_vec()
    }
}

#[test]
fn over_tls_clients_need_a_certificate_and_a_new_one_of_the_server_is_used() {
    let mut tls = Tls::start();
    only_clients_of_the_authority_are_served(&tls);
    let before = tls.serial();
    write_owned(&tls.server.0, "none");
    tls.daemon.signal(Signal::HUP);
    tls.daemon.wait_log("the old certificate stays in use", 60);
    assert_eq!(tls.serial(), before);
    let mut command = tls.daemon.program("pgmoneta");
    let directory = tls.daemon.directory().to_str().unwrap();
    let checked = Output::of(command.args(["-D", directory, "--check-config"]));
    checked.fails(1, "server.crt");
    let new = tls.authority.sign("localhost", "127.0.0.1");
    new.write(&tls.scratch, "server");
    tls.daemon.signal(Signal::HUP);
    wait_until("the new certificate", 60, || tls.serial() != before);
    tls.daemon.stop();
    std::fs::remove_file(&tls.server.1).unwrap();
    let ended = tls.daemon.try_start();
    assert!(ended.is_some(), "it never serves without TLS");
}

fn only_clients_of_the_authority_are_served(tls: &Tls) {
    let (port, client) = (tls.port, tls.client());
    let answer = client.get(port).expect("an answer");
    assert!(answer.status == 200 && answer.body.contains("\npgmoneta_state 1\n"));
    let with_version = |version| Client { version, ..client }.get(port);
    assert!(with_version(SslVersion::TLS1_2).is_some());
    assert!(with_version(SslVersion::TLS1).is_none());
    assert!(with_version(SslVersion::TLS1_1).is_none());
    let stranger = Certificate::authority("stranger").sign("me", "::1");
    let (certificate, key) = stranger.write(&tls.scratch, "other");
    for certificate in [None, Some((certificate.as_path(), key.as_path()))] {
        let other = Client {
            certificate,
            ..client
        };
        assert!(other.get(port).is_none());
    }
    let plain = Answer::parse(&exchange(&mut connect(port), REQUEST));
    let location = format!("https://localhost:{port}/metrics");
    assert_eq!(
        (plain.status, plain.field("location")),
        (301, location.as_str())
    );
    assert!(!plain.body.contains("pgmoneta_"));
}
