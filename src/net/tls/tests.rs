//! Both sides of the handshake over a socket pair, with certificates made by openssl.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Deadline, Stream, TcpOptions};
use crate::sys::Stop;

const TCP: TcpOptions = TcpOptions {
    keep_alive: false,
    nodelay: true,
};

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// A directory with two self-signed certificates for localhost, `one` and `other`, and their keys.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Files {
        let root = std::env::temp_dir().join(format!("pgmoneta-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        for name in ["one", "other"] {
            let (certificate, key) = crate::crypto::certificate_for_tests(name);
            std::fs::write(root.join(format!("{name}.crt")), certificate).unwrap();
            std::fs::write(root.join(format!("{name}.key")), key).unwrap();
        }
        Files(root)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn server(&self, name: &str, authority: Option<&str>) -> ServerTlsFiles {
        ServerTlsFiles {
            certificate: self.path(&format!("{name}.crt")),
            key: self.path(&format!("{name}.key")),
            authority: authority.map(|name| self.path(name)),
            keys: FileKeys::TLS,
        }
    }

    fn client(&self, trusted: &str, identity: Option<&str>) -> TlsOptions {
        TlsOptions {
            trust: Trust::Authorities(Some(self.path(trusted))),
            identity: identity.map(|name| {
                (
                    self.path(&format!("{name}.crt")),
                    self.path(&format!("{name}.key")),
                )
            }),
            keys: FileKeys::TLS,
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The results of the server and of the client, which sends and receives a word.
fn connect(tls: &ServerTls, options: &TlsOptions) -> (Result<()>, Result<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let (socket, _) = listener.accept().unwrap();
            let mut stream = Stream::from_tcp(socket, TCP, Stop::new()?)?;
            // The first byte of a handshake record.
            assert_eq!(stream.peek(deadline())?, Some(0x16));
            stream.accept_tls(tls, deadline())?;
            let mut word = [0; 4];
            stream.read_exact(&mut word, deadline())?;
            stream.write_all(&word, deadline())?;
            stream.finish(deadline())
        });
        let client = || {
            let socket = TcpStream::connect(address).unwrap();
            let mut stream = Stream::from_tcp(socket, TCP, Stop::new()?)?;
            stream.start_tls("localhost", options, deadline())?;
            stream.write_all(b"ping", deadline())?;
            let mut word = [0; 4];
            stream.read_exact(&mut word, deadline())?;
            assert_eq!(&word, b"ping");
            assert_eq!(stream.read(&mut word, deadline())?, 0);
            Ok(())
        };
        let client = client();
        (server.join().unwrap(), client)
    })
}

fn both(results: (Result<()>, Result<()>)) {
    results.0.unwrap();
    results.1.unwrap();
}

#[test]
fn both_sides_verify_the_other_one() {
    let files = Files::new("tls");
    let tls = ServerTls::load(&files.server("one", None)).unwrap();
    both(connect(&tls, &files.client("one.crt", None)));
    let (server, client) = connect(&tls, &files.client("other.crt", None));
    // The alert of the client, unless the end of its connection overtakes it.
    assert!(server.is_err());
    assert!(client.unwrap_err().hint().unwrap().contains("tls_ca_file"));

    let tls = ServerTls::load(&files.server("one", Some("other.crt"))).unwrap();
    both(connect(&tls, &files.client("one.crt", Some("other"))));
    for identity in [None, Some("one")] {
        let (server, client) = connect(&tls, &files.client("one.crt", identity));
        assert_eq!(server.unwrap_err().kind(), ErrorKind::Authentication);
        assert!(client.is_err());
    }
}

#[test]
fn a_failed_reload_keeps_the_old_certificate() {
    let files = Files::new("reload");
    let tls = ServerTls::load(&files.server("one", None)).unwrap();
    let mixed = ServerTlsFiles {
        key: files.path("other.key"),
        ..files.server("one", None)
    };
    let refused = |files: &ServerTlsFiles| -> Error { ServerTls::load(files).err().unwrap() };
    let failure = refused(&mixed);
    assert!(
        failure.hint().unwrap().contains("tls_key_file"),
        "{failure}"
    );
    assert!(tls.reload(&mixed).is_err());
    both(connect(&tls, &files.client("one.crt", None)));
    tls.reload(&files.server("other", None)).unwrap();
    both(connect(&tls, &files.client("other.crt", None)));
    assert!(connect(&tls, &files.client("one.crt", None)).1.is_err());

    let garbage = files.path("garbage");
    std::fs::write(&garbage, "no PEM").unwrap();
    for wrong in [garbage.as_path(), Path::new("/nonexistent")] {
        let one = files.server("one", None);
        for files in [
            ServerTlsFiles {
                certificate: wrong.to_owned(),
                ..one.clone()
            },
            ServerTlsFiles {
                key: wrong.to_owned(),
                ..one.clone()
            },
            ServerTlsFiles {
                authority: Some(wrong.to_owned()),
                ..one.clone()
            },
        ] {
            let failure = refused(&files);
            assert_eq!(failure.kind(), ErrorKind::Configuration);
            assert!(
                failure.message().contains(wrong.to_str().unwrap()),
                "{failure}"
            );
        }
    }
}
