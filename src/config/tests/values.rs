use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::TempDir;
use crate::codec::{Compression, Level};
use crate::config::{AuthMethods, Checkpoint, Host, Loaded, Reserve, Retention, TlsMode};
use crate::logging::{LogKind, LogLevel, LogMode};
use crate::unit::{ByteSize, Encryption, Span};

#[test]
fn a_minimal_file_gets_the_defaults() {
    let dir = TempDir::new();
    let Loaded { config, warnings } = dir.with("", "").unwrap();
    assert!(warnings.is_empty() && config.not_implemented.is_empty());
    assert_eq!(config.socket_path(), dir.0.join(".s.pgmoneta"));
    assert_eq!(config.pidfile, dir.0.join("pgmoneta.all.pid"));
    assert_eq!(config.base_dir, dir.0.join("backup"));
    assert!(!config.base_dir.exists());
    assert_eq!(config.compression, Compression::Zstd);
    assert_eq!(config.compression_level, Level::Auto);
    assert_eq!(config.encryption, Encryption::None);
    assert!(config.server_defaults.threads() >= 1);
    assert_eq!(config.server_defaults.retention.days, Some(7));
    assert_eq!(config.retention_interval, 300);
    assert_eq!(config.reserve_space, Reserve::Percent(5));
    let defaults = &config.server_defaults;
    assert_eq!((defaults.retention_minimum, defaults.wal_retention), (1, 0));
    assert_eq!(config.verification, Span(0), "it is off");
    assert_eq!(config.verification_rate, ByteSize(50 << 20));
    assert_eq!(config.blocking_timeout, Span(30));
    assert_eq!(config.authentication_timeout, Span(5));
    assert!(config.keep_alive && config.nodelay);
    assert_eq!(config.backlog, 16);
    assert_eq!(config.log.kind, LogKind::Console);
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(config.log.mode, LogMode::Append);
    assert_eq!(config.log.line_prefix, "%Y-%m-%d %H:%M:%S");
    assert_eq!(
        (config.log.rotation_age, config.log.rotation_size),
        (None, None)
    );
    assert!(config.log.path.is_absolute());

    let server = config.server("primary").unwrap();
    assert_eq!(server.host, Host::Tcp("localhost".into()));
    assert_eq!((server.port, server.user.as_str()), (5432, "repl"));
    assert_eq!(server.application_name, "pgmoneta");
    assert_eq!(server.threads(), config.server_defaults.threads());
    assert_eq!(server.max_rate, None);
    assert_eq!(server.checkpoint, Checkpoint::Fast);
    assert_eq!(server.retention, config.server_defaults.retention);
    assert_eq!(server.wal_receiver_timeout, Span(60));
    assert_eq!(server.tls, TlsMode::Off);
    assert_eq!(server.auth, AuthMethods::default());
    assert!(!server.create_slot);
}

/// Lines of `[pgmoneta]` with values other than the defaults.
const MAIN: &str = "workers = 3\ncreate_slot = Yes\nmax_rate = 10kB\nretention = 7,-,6,1\n\
                compression = Client-BZ2\ncompression_level = 4\nencryption = AES\nbacklog = 4\n\
                log_type = FILE\nlog_level = debug3\nlog_mode = c\nlog_rotation_age = 1d\n\
                log_rotation_size = 10M\nlog_line_prefix = \"%H # %M\" # clock\n\
                log_path = pgmoneta-%Y.log ; relative\nblocking_timeout = 2m\ncheckpoint = spread\n\
                wal_receiver_timeout = 10\nretention_interval = 60\nretention_minimum = 3\n\
                wal_retention = 14\nverification = 1d\nverification_rate = 10M";
/// Lines of two servers with values other than the defaults.
const SERVER: &str = "workers = -1\nprogress = -1\nretention = -,4\n\
                  auth = md5, scram-sha-256\nmax_rate = 0\n\
                  [second]\nhost = /run/postgresql\nport = 5433\nuser = 'a;b'\nwal_slot = s_2\n\
                  workers = 2\ncreate_slot = off\nmax_rate = -1\ncheckpoint = fast\n\
                  application_name = two\nwal_receiver_timeout = 1h\nretention = 10 , X , , x\n\
                  retention_minimum = 2\nwal_retention = 0";

#[test]
fn values_of_the_main_section_are_parsed() {
    let dir = TempDir::new();
    let Loaded { config, warnings } = dir.with(MAIN, SERVER).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(
        (
            config.server_defaults.workers,
            config.server_defaults.threads()
        ),
        (3, 3)
    );
    assert_eq!(config.compression, Compression::Bzip2);
    assert_eq!(config.compression_level, Level::Fixed(4));
    assert_eq!(config.encryption, Encryption::Aes256);
    assert_eq!(config.backlog, 16);
    assert_eq!(config.blocking_timeout, Span(120));
    assert_eq!(
        (config.verification, config.verification_rate),
        (Span(86_400), ByteSize(10 << 20))
    );
    let log = &config.log;
    assert_eq!(
        (log.kind, log.level, log.mode),
        (LogKind::File, LogLevel::Trace, LogMode::Create)
    );
    assert_eq!(log.rotation_age, Some(Span(86_400)));
    assert_eq!(log.rotation_size, Some(ByteSize(10 << 20)));
    assert_eq!(log.line_prefix, "%H # %M");
    assert!(log.path.is_absolute() && log.path.ends_with("pgmoneta-%Y.log"));
}

#[test]
fn a_server_inherits_what_it_does_not_set() {
    let dir = TempDir::new();
    let config = dir.with(MAIN, SERVER).unwrap().config;
    let names: Vec<_> = config
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .collect();
    assert_eq!(names, ["primary", "second"]);
    let one = config.server("primary").unwrap();
    assert_eq!(
        (one.workers, one.max_rate, one.create_slot),
        (3, None, true)
    );
    let expected = Retention {
        days: Some(7),
        weeks: Some(4),
        months: Some(6),
        years: Some(1),
    };
    assert_eq!(one.retention, expected);
    assert_eq!(
        one.auth,
        AuthMethods {
            md5: true,
            ..AuthMethods::default()
        }
    );
    assert_eq!(
        (one.checkpoint, one.wal_receiver_timeout),
        (Checkpoint::Spread, Span(10))
    );
    let two = config.server("second").unwrap();
    assert_eq!(two.host, Host::Unix(PathBuf::from("/run/postgresql")));
    assert_eq!(
        (two.workers, two.max_rate, two.create_slot),
        (2, Some(ByteSize(10_240)), false)
    );
    assert_eq!(
        (two.user.as_str(), two.application_name.as_str()),
        ("a;b", "two")
    );
    assert_eq!(
        (two.checkpoint, two.wal_receiver_timeout),
        (Checkpoint::Fast, Span(3600))
    );
    // Trust is the default over a Unix socket only.
    assert!(two.auth.trust && !one.auth.trust);
    assert_eq!((one.retention_minimum, one.wal_retention), (3, 14));
    assert_eq!((two.retention_minimum, two.wal_retention), (2, 0));
    let days = |days| Retention {
        days: Some(days),
        weeks: None,
        ..expected
    };
    assert_eq!(two.retention, days(10));
    assert_eq!(config.retention_interval, 60);
    assert!(
        config.not_implemented.is_empty(),
        "{:?}",
        config.not_implemented
    );
}

#[test]
fn a_host_is_a_name_an_address_or_a_directory() {
    let dir = TempDir::new();
    for (text, host) in [
        ("db1.example.org", "db1.example.org"),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[fe80::1%eth0]", "fe80::1%eth0"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("my_db-1.", "my_db-1."),
    ] {
        let lines = format!("[other]\nhost = {text}\nport = 5432\nuser = u\nwal_slot = s");
        let config = dir.with("", &lines).unwrap().config;
        let other = config.server("other").unwrap();
        assert_eq!(other.host, Host::Tcp(host.to_owned()), "{text}");
    }
}

#[test]
fn tls_files_set_the_default_mode_and_their_permissions_are_checked() {
    let dir = TempDir::new();
    let file = |name: &str, mode| {
        let path = dir.write(name, "");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let (cert, key, ca) = (file("cert", 0o644), file("key", 0o600), file("ca", 0o644));
    let open = file("open", 0o644);
    let mode = |lines: &str| {
        dir.with("", lines)
            .map(|loaded| loaded.config.servers[0].tls)
    };
    let pair = format!("tls_cert_file = {cert}\ntls_key_file = {key}");
    assert_eq!(mode(&pair).unwrap(), TlsMode::On);
    assert_eq!(
        mode(&format!("tls_ca_file = {ca}")).unwrap(),
        TlsMode::Verify
    );
    assert_eq!(
        mode(&format!("tls = on\ntls_ca_file = {ca}")).unwrap(),
        TlsMode::On
    );
    assert_eq!(mode(&format!("tls = off\n{pair}")).unwrap(), TlsMode::Off);
    let problems = mode(&format!("tls_cert_file = {cert}\ntls_key_file = {open}")).unwrap_err();
    assert_eq!(problems.0[0].hint, Some(format!("chmod 0600 {open}")));
    assert!(mode(&format!("tls_cert_file = {cert}")).is_err());
    assert!(dir.with("tls = on", "").is_err());
    let main = format!("tls = on\n{pair}");
    let management = dir.with(&main, "").unwrap().config.management;
    assert!(management.tls && management.tls_files.key.is_some());
    let open = main.replace(&key, &open);
    assert!(dir.with(&open, "").is_err());
    assert!(dir.with(&open.replace("tls = on", "tls = off"), "").is_ok());
}
