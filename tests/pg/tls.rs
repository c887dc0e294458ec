//! TLS connections: verification of the server, and man-in-the-middle attacks.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use openssl::ssl::{Ssl, SslAcceptor, SslConnector, SslMethod, SslStream, SslVerifyMode};
use pgmoneta::config::TlsMode;
use pgmoneta::error::ErrorKind;
use pgmoneta::pg::{BaseBackup, BaseBackupOptions, Login, Mode};

use super::setup::{hint_contains, login, open, refused};
use crate::harness::{
    Certificate, Cluster, REPLICATION_PASSWORD, REPLICATION_USER, Scratch, client, user,
    write_owned,
};

/// A server that accepts TLS connections only, and the login for it with its authority.
fn encrypted(scratch: &Scratch, server: &Certificate, authority: &Certificate) -> (Cluster, Login) {
    let (certificate, key) = server.write(scratch, "server");
    let (root, _) = authority.write(scratch, "authority");
    let mut cluster = Cluster::builder(scratch)
        .conf(&format!(
            "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\nssl_ca_file = '{}'",
            certificate.display(),
            key.display(),
            root.display()
        ))
        .create();
    cluster
        .hba("local all postgres trust\nhostssl all,replication all 127.0.0.1/32 scram-sha-256\n");
    cluster.start();
    let mut login = login(&cluster);
    login.tls = TlsMode::Verify;
    login.tls_files.authority = Some(root);
    (cluster, login)
}

const WHO: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

#[test]
fn the_server_certificate_is_verified() {
    let scratch = Scratch::new("pg-tls");
    let authority = Certificate::authority("authority");
    let (cluster, login) = encrypted(&scratch, &authority.sign("server", "127.0.0.1"), &authority);
    let mut sql = open(&login, Mode::Sql).unwrap();
    assert_eq!(sql.query(WHO).unwrap()[0].text(0).unwrap(), "t");

    let mut other = login.clone();
    let (stranger, _) = Certificate::authority("authority").write(&scratch, "stranger");
    other.tls_files.authority = Some(stranger);
    let failure = refused(&other, Mode::Sql);
    assert_eq!(failure.kind(), ErrorKind::Authentication);
    assert!(hint_contains(&failure, "tls_ca_file"), "{failure:?}");
    // Without a CA file the system's authorities are used, which do not include this one.
    other.tls_files.authority = None;
    let failure = refused(&other, Mode::Sql);
    assert!(hint_contains(&failure, "tls_ca_file"), "{failure:?}");
    // Encryption without verification works.
    other.tls = TlsMode::On;
    let mut sql = open(&other, Mode::Sql).unwrap();
    assert_eq!(sql.query(WHO).unwrap()[0].text(0).unwrap(), "t");
    other.tls = TlsMode::Off;
    let failure = refused(&other, Mode::Sql);
    assert!(hint_contains(&failure, "pg_hba.conf"), "{failure:?}");

    // There is no fallback to clear text if the server offers no TLS.
    let scratch = Scratch::new("pg-notls");
    let plain = Cluster::builder(&scratch).start();
    let mut login = super::setup::login(&plain);
    login.tls = TlsMode::On;
    let failure = refused(&login, Mode::Sql);
    assert_eq!(failure.kind(), ErrorKind::Authentication);
    assert!(hint_contains(&failure, "tls = off"), "{failure:?}");
    drop(cluster);
}

#[test]
fn a_certificate_for_another_host_is_rejected() {
    let scratch = Scratch::new("pg-tlshost");
    let authority = Certificate::authority("authority");
    let (_cluster, login) = encrypted(&scratch, &authority.sign("server", "127.0.0.2"), &authority);
    let failure = refused(&login, Mode::Sql);
    assert_eq!(failure.kind(), ErrorKind::Authentication);
    assert!(
        hint_contains(&failure, "subject alternative name"),
        "{failure:?}"
    );
}

#[test]
fn the_client_certificate_is_sent_on_request() {
    let scratch = Scratch::new("pg-tlsclient");
    let authority = Certificate::authority("authority");
    let (cluster, login) = encrypted(&scratch, &authority.sign("server", "127.0.0.1"), &authority);
    cluster.hba(
        "local all postgres trust\n\
         hostssl all,replication all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n",
    );
    cluster.reload();
    cluster.wait_true(
        "SELECT count(*) = 1 FROM pg_hba_file_rules WHERE options IS NOT NULL",
        30,
    );
    let failure = refused(&login, Mode::Sql);
    assert_eq!(failure.kind(), ErrorKind::Authentication, "{failure:?}");
    let mut with = login.clone();
    let (certificate, key) = authority
        .sign("client", "127.0.0.1")
        .write(&scratch, "client");
    with.tls_files.certificate = Some(certificate);
    with.tls_files.key = Some(key.clone());
    open(&with, Mode::Sql).unwrap();
    // Authentication by certificate alone must be permitted, and needs the certificate.
    cluster
        .hba("local all postgres trust\nhostssl all,replication all 127.0.0.1/32 cert map=any\n");
    write_owned(&cluster.data().join("pg_ident.conf"), "any /^.*$ repl\n");
    cluster.reload();
    cluster.wait_true(
        "SELECT count(*) = 1 FROM pg_hba_file_rules WHERE auth_method = 'cert'",
        30,
    );
    let failure = refused(&with, Mode::Sql);
    assert!(hint_contains(&failure, "auth = cert"), "{failure:?}");
    let mut permitted = with.clone();
    permitted.auth.cert = true;
    open(&permitted, Mode::Sql).unwrap();
    // The key of another certificate, and a file without a key.
    let (_, other) = authority
        .sign("other", "127.0.0.1")
        .write(&scratch, "other");
    let broken = scratch.write("broken.key", "no key");
    for key in [other, broken, scratch.join("missing.key")] {
        with.tls_files.key = Some(key);
        assert_eq!(refused(&with, Mode::Sql).kind(), ErrorKind::Configuration);
    }
}

#[test]
fn large_transfers_over_tls_work() {
    let scratch = Scratch::new("pg-tlsdata");
    let authority = Certificate::authority("authority");
    let (cluster, login) = encrypted(&scratch, &authority.sign("server", "127.0.0.1"), &authority);
    cluster
        .execute("CREATE TABLE t AS SELECT g, repeat('x', 500) x FROM generate_series(1, 70000) g");
    let options = BaseBackupOptions {
        label: "pgmoneta_1".to_owned(),
        checkpoint: pgmoneta::config::Checkpoint::Fast,
        max_rate: None,
    };
    let connection = open(&login, Mode::Replication).unwrap();
    let mut backup = BaseBackup::start(connection, &options).unwrap();
    let size = backup.tablespaces()[0].size.unwrap();
    let mut archive = backup.next_archive().unwrap().unwrap();
    let count = std::io::copy(&mut archive, &mut std::io::sink()).unwrap();
    assert!(
        count > 30 << 20 && count.abs_diff(size) < 4 << 20,
        "{count} {size}"
    );
    assert!(backup.next_archive().unwrap().is_none());
    backup.manifest(1 << 20).unwrap();
    backup.finish().unwrap();
}

/// A man in the middle with his own certificate, who forwards all bytes.
fn in_between(server_port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = Certificate::authority("server");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = terminate(client.unwrap(), &own);
            let server = continue_to(server_port);
            pass_on(client, server);
        }
    });
    port
}

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

fn terminate(mut client: TcpStream, own: &Certificate) -> SslStream<TcpStream> {
    let mut request = [0; 8];
    client.read_exact(&mut request).unwrap();
    assert_eq!(request, SSL_REQUEST);
    client.write_all(b"S").unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_certificate(&own.certificate).unwrap();
    acceptor.set_private_key(&own.key).unwrap();
    acceptor.build().accept(client).unwrap()
}

fn continue_to(port: u16) -> SslStream<TcpStream> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    server.write_all(&SSL_REQUEST).unwrap();
    let mut answer = [0];
    server.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"S");
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let mut stream =
        SslStream::new(Ssl::new(connector.build().context()).unwrap(), server).unwrap();
    stream.connect().unwrap();
    stream
}

/// Copies both ways until one side ends.
fn pass_on(mut client: SslStream<TcpStream>, mut server: SslStream<TcpStream>) {
    let pause = Some(Duration::from_millis(10));
    client.get_ref().set_read_timeout(pause).unwrap();
    server.get_ref().set_read_timeout(pause).unwrap();
    loop {
        for (from, to) in [(true, false), (false, true)] {
            let _ = to;
            let (from, to) = if from {
                (&mut client, &mut server)
            } else {
                (&mut server, &mut client)
            };
            let mut buffer = [0; 8192];
            match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    if to.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => return,
            }
        }
    }
}

#[test]
fn channel_binding_prevents_a_relay_of_the_login() {
    let scratch = Scratch::new("pg-mitm");
    let authority = Certificate::authority("authority");
    let (cluster, mut login) =
        encrypted(&scratch, &authority.sign("server", "127.0.0.1"), &authority);
    let port = in_between(cluster.port());
    // A client without channel binding can log in, so the attack itself works.
    let unbound = |binding: &str| {
        user()
            .command(client("psql")) // libpq has channel_binding
            .env("PGPASSWORD", REPLICATION_PASSWORD)
            .env("HOME", scratch.path())
            .args(["-XAtc", "SELECT 'in'"])
            .arg(format!(
                "host=127.0.0.1 port={port} user={REPLICATION_USER} dbname=postgres \
                 sslmode=require channel_binding={binding}"
            ))
            .output()
            .unwrap()
    };
    let let_in = unbound("disable");
    assert_eq!(let_in.stdout, b"in\n", "{let_in:?}");
    assert!(!unbound("require").status.success());

    login.tls = TlsMode::On;
    open(&login, Mode::Sql).unwrap();
    login.port = port;
    let failure = refused(&login, Mode::Sql);
    assert!(hint_contains(&failure, "in between"), "{failure:?}");
    login.tls = TlsMode::Verify;
    assert_eq!(refused(&login, Mode::Sql).code(), None);
}
