use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::document::{ParseOptions, read};
use super::problem::Diagnostics;
use super::*;
use crate::codec::{Compression, Level};
use crate::logging::{LogKind, LogLevel, LogMode};
use crate::unit::{ByteSize, Encryption, Span};

/// A temporary directory for the files of a test.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pgmoneta-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        TempDir(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, name: &str, text: impl AsRef<[u8]>) -> Result<Loaded, Problems> {
        load(&self.write(name, text))
    }

    /// The main section and a server, with more lines in each.
    fn text(&self, main: &str, server: &str) -> String {
        let dir = self.0.display();
        format!(
            "[pgmoneta]\nhost = *\nbase_dir = {dir}/backup\nunix_socket_dir = {dir}\n{main}\n\
             [primary]\nhost = localhost\nport = 5432\nuser = repl\nwal_slot = repl\n{server}\n"
        )
    }

    /// A configuration with more lines in `[pgmoneta]` and in the server.
    fn with(&self, main: &str, server: &str) -> Result<Loaded, Problems> {
        self.load("pgmoneta.conf", self.text(main, server))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn load(main: &Path) -> Result<Loaded, Problems> {
    Config::load(&Files {
        main: main.to_owned(),
        users: PathBuf::from("/etc/pgmoneta/pgmoneta_users.conf"),
        admins: None,
    })
}

/// The messages of the errors, without the path of the file.
fn messages(result: Result<Loaded, Problems>) -> Vec<String> {
    let problems = result.expect_err("no problem").0;
    let short = |problem: &Problem| {
        let text = problem.to_string();
        let file = problem.file.display().to_string();
        text.strip_prefix(&file).unwrap().to_owned()
    };
    problems.iter().map(short).collect()
}

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
    assert!(config.workers >= 1);
    assert_eq!(config.retention.days, Some(7));
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
    assert_eq!(server.workers, config.workers);
    assert_eq!(server.max_rate, None);
    assert_eq!(server.checkpoint, Checkpoint::Fast);
    assert_eq!(server.retention, config.retention);
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
                wal_receiver_timeout = 10";
/// Lines of two servers with values other than the defaults.
const SERVER: &str = "workers = -1\nprogress = -1\nretention = -,4\nauth = md5, scram-sha-256\nmax_rate = 0\n\
                  [second]\nhost = /run/postgresql\nport = 5433\nuser = 'a;b'\nwal_slot = s_2\n\
                  workers = 2\ncreate_slot = off\nmax_rate = -1\ncheckpoint = fast\n\
                  application_name = two\nwal_receiver_timeout = 1h";

#[test]
fn values_of_the_main_section_are_parsed() {
    let dir = TempDir::new();
    let Loaded { config, warnings } = dir.with(MAIN, SERVER).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!((config.workers, config.configured_workers), (3, 3));
    assert_eq!(config.compression, Compression::Bzip2);
    assert_eq!(config.compression_level, Level::Fixed(4));
    assert_eq!(config.encryption, Encryption::Aes256);
    assert_eq!(config.backlog, 16);
    assert_eq!(config.blocking_timeout, Span(120));
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
    // Retention is parsed, but the removal of old backups is not implemented.
    assert_eq!(
        config.not_implemented.len(),
        2,
        "{:?}",
        config.not_implemented
    );
}

#[test]
fn a_toml_file_is_parsed() {
    let dir = TempDir::new();
    let directory = dir.0.display();
    let text = format!(
        "[pgmoneta]\nhost = '*'\nbase_dir = '{directory}/backup'\nunix_socket_dir = '{directory}'\n\
         workers = 0x3\nnodelay = false\nretention = [7, '-', 6]\nmax_rate = '1M'\n\n\
         [server.zeta]\nhost = 'localhost'\nport = 5_432\nuser = 'repl'\nwal_slot = 'zeta'\n\
         auth = ['md5', 'password']\ncreate_slot = true\n\n\
         [alpha]\nhost = 'localhost'\nport = 5432\nuser = 'repl'\nwal_slot = 'alpha'\nworkers = -1\n"
    );
    let config = dir.load("pgmoneta.toml", text).unwrap().config;
    assert_eq!(config.workers, 3);
    assert!(!config.nodelay);
    assert_eq!(
        (config.retention.weeks, config.retention.months),
        (None, Some(6))
    );
    let names: Vec<_> = config
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .collect();
    assert_eq!(names, ["zeta", "alpha"], "in the order of the file");
    let zeta = config.server("zeta").unwrap();
    assert_eq!(
        (zeta.port, zeta.create_slot, zeta.max_rate),
        (5432, true, Some(ByteSize(1 << 20)))
    );
    assert_eq!(
        zeta.auth,
        AuthMethods {
            md5: true,
            password: true,
            ..AuthMethods::default()
        }
    );
}

#[test]
fn all_errors_are_reported_with_their_lines() {
    let dir = TempDir::new();
    let text = format!(
        "[pgmoneta]\nhost = *\nunix_socket_dir = {}\ncompresion = zstd\nlog_type = flie\n\
         nodelay = perhaps\nport = 5432\n\n[primary]\nhost = localhost\nport = 70000\n\
         user =\nbase_dir = /x\nwal_slot = Repl\n",
        dir.0.display()
    );
    let problems = dir.load("pgmoneta.conf", text).err().unwrap();
    assert_eq!(
        problems
            .0
            .iter()
            .map(|problem| problem.hint.as_deref())
            .collect::<Vec<_>>()[1..3],
        [
            Some("did you mean compression?"),
            Some("did you mean file?")
        ]
    );
    let failure = problems.clone().into_error();
    assert!(failure.message().ends_with("(and 8 more)"), "{failure}");
    assert_eq!(
        messages(Err(problems)),
        [
            ":1: base_dir: it is missing in section [pgmoneta]",
            ":4: compresion: there is no such option",
            ":5: log_type: \"flie\" is not one of console, file, syslog",
            ":6: nodelay: \"perhaps\" is neither on nor off",
            ":7: port: it belongs in the section of a server",
            ":9: user: it is missing in section [primary]",
            ":11: port: \"70000\" is not an integer from 1 to 65535",
            ":13: base_dir: it belongs in section [pgmoneta]",
            ":14: wal_slot: \"Repl\" is not a valid slot name",
        ]
    );
}

/// Lines of `[pgmoneta]`, each with one error.
const BAD_MAIN: &[&str] = &[
    "workers = -1",
    "workers = 3 4",
    "max_rate = -1",
    "max_rate = 10x",
    "retention = 0",
    "retention = 7,4,3,2,1",
    "retention = 7,5,1",
    "retention = 7,4,13,1",
    "retention = seven",
    "compression = zip",
    "compression = gzip\ncompression_level = 10",
    "compression_level = high",
    "encryption = aes-512",
    "blocking_timeout = 0",
    "blocking_timeout = 1.5h",
    "log_level = warning",
    "log_path = /tmp/%",
    "log_line_prefix = %",
    "log_path = $PGMONETA_NOT_SET_EVER/x",
    "log_path = \"/tmp",
    "metrics = 65536",
    "storage_engine = local, tape",
    "libev = fast",
    "retention_interval = 0",
    "tls = verify",
    "auth = md5",
];

/// Lines of a server, each with one error.
const BAD_SERVER: &[&str] = &[
    "wal_receiver_timeout = 0",
    "tls = verify",
    "tls = maybe",
    "tls_ca_file = /nowhere/ca.pem",
    "auth = peer",
    "auth = cert",
    "auth = ident",
    "follow = primary",
    "follow = nobody",
    "workers = -2",
    "max_rate = -2",
    "create_slot = perhaps",
    "application_name = größe",
    "hot_standby = 1,2,3,4,5,6,7,8,9",
    "compression = none",
    "colour = green",
    "[primary]\nhost = h\nport = 1\nuser = u\nwal_slot = s",
    "[all]\nhost = h\nport = 1\nuser = u\nwal_slot = s",
    "[../x]\nhost = h\nport = 1\nuser = u\nwal_slot = s",
    "[other]\nhost = localhost\nport = 5432\nuser = u\nwal_slot = repl",
    "[other]\nhost = a b\nport = 5432\nuser = u\nwal_slot = s",
    "[other]\nhost = a,b\nport = 5432\nuser = u\nwal_slot = s",
    "[other]\nhost = db1:5432\nport = 5432\nuser = u\nwal_slot = s",
    "[other]\nhost = [db1]\nport = 5432\nuser = u\nwal_slot = s",
    "[other]\nhost = [::1\nport = 5432\nuser = u\nwal_slot = s",
    "[other]\nhost = postgresql://db1\nport = 5432\nuser = u\nwal_slot = s",
    "[other]\nhost = -h\nport = 5432\nuser = u\nwal_slot = s",
    "just words",
    "= value",
    "[open",
    "[other] words",
    "[pgmoneta]",
    "a\u{1}b = 1",
];

#[test]
fn each_bad_value_is_reported_once() {
    let dir = TempDir::new();
    let long = "x".repeat(200);
    for line in BAD_MAIN {
        let problems = messages(dir.with(line, ""));
        assert_eq!(problems.len(), 1, "{line}: {problems:?}");
    }
    let long_name = format!("application_name = {long}");
    let long_path = format!("[other]\nhost = /{long}\nport = 5432\nuser = u\nwal_slot = s");
    let longs = [long_name.as_str(), long_path.as_str()];
    for line in BAD_SERVER.iter().copied().chain(longs) {
        let problems = messages(dir.with("", line));
        assert_eq!(problems.len(), 1, "{line}: {problems:?}");
    }
}

#[test]
fn keys_of_missing_features_are_reported_once() {
    let dir = TempDir::new();
    let main = "metrics = 5001\nmanagement = 0\ncompression = server-gzip\nlibev = epoll\n\
                storage_engine = local,s3\nverification = 1h\ns3_port = 443";
    let server = "hot_standby = /a, /b\nfollow = second\nextra =\n\
                  [second]\nhost = h\nport = 1\nuser = u\nwal_slot = s\n";
    let Loaded { config, warnings } = dir.with(main, server).unwrap();
    let keys: Vec<_> = config
        .not_implemented
        .iter()
        .map(|text| text.split(": ").nth(1).unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "metrics",
            "s3_port",
            "storage_engine",
            "verification",
            "follow",
            "hot_standby"
        ]
    );
    assert_eq!(config.compression, Compression::Gzip);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn a_duplicate_key_is_a_warning_and_its_last_value_is_used() {
    let dir = TempDir::new();
    let Loaded { config, warnings } = dir.with("workers = 1\nworkers = 2", "").unwrap();
    assert_eq!(config.workers, 2);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].ends_with("pgmoneta.conf:6: workers is also set in line 5; this value is used")
    );
}

#[test]
fn a_rotation_without_effect_is_a_warning() {
    let dir = TempDir::new();
    let rows = [
        ("log_rotation_size = 1M", 1),
        ("log_rotation_age = 1d\nlog_path = /tmp/a.log", 1),
        ("log_rotation_age = 0", 0),
        ("log_rotation_age = 1d\nlog_path = /tmp/%F.log", 0),
        ("log_rotation_age = 1d\nlog_mode = create", 0),
    ];
    for (lines, expected) in rows {
        let warnings = dir.with(lines, "").unwrap().warnings;
        assert_eq!(warnings.len(), expected, "{lines}: {warnings:?}");
    }
}

#[test]
fn a_duplicate_section_is_reported_with_both_lines() {
    let dir = TempDir::new();
    let text = dir.text("", "[primary]\nhost = h\nport = 1\nuser = u\nwal_slot = s");
    let problems = messages(dir.load("pgmoneta.conf", text));
    assert_eq!(
        problems,
        [":11: section [primary] is already defined in line 6"]
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
fn the_file_is_utf8_and_may_be_a_symbolic_link() {
    let dir = TempDir::new();
    let text = dir.text("# größe\r", "application_name = \"x # y\"\r");
    let text = text.replace("[primary]", "[ primary ] # a server");
    dir.write("real", format!("\u{feff}{text}"));
    let link = dir.0.join("pgmoneta.conf");
    symlink("real", &link).unwrap();
    let config = load(&link).unwrap().config;
    assert_eq!(config.servers[0].application_name, "x # y");
    assert_eq!(config.servers[0].name.as_str(), "primary");

    let mut bytes = text.into_bytes();
    bytes.extend(b"\n\xff\n");
    let problems = messages(dir.load("latin", bytes));
    assert_eq!(problems, [":13: the text is not UTF-8"]);
    assert_eq!(messages(load(&dir.0)), [": it is not a file"]);
    assert_eq!(messages(load(&dir.0.join("gone"))).len(), 1);
    assert_eq!(messages(dir.load("empty", "")).len(), 2);
}

#[test]
fn errors_in_toml_have_line_numbers() {
    let dir = TempDir::new();
    let problems = messages(dir.load("a.toml", "[pgmoneta]\nhost = \n"));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with(":2: "), "{problems:?}");

    let text = "top = 1\n[pgmoneta]\nhost = '*'\nbase_dir = 1.5\n\
                unix_socket_dir = '/nowhere'\n[server]\nport = 1\n[server.a.b]\nx = 1\n";
    let problems = messages(dir.load("b.toml", text));
    let expected = [
        ":1: top: it precedes the first section",
        ":2: base_dir: it is missing in section [pgmoneta]",
        ":4: base_dir: a value is a string, an integer, true, false or a list",
        ":5: unix_socket_dir: /nowhere: No such file or directory (os error 2)",
        ":7: port: it is not in the section of a server",
    ];
    assert_eq!(problems[..5], expected);
}

#[test]
fn a_socket_path_that_is_too_long_is_refused() {
    let dir = TempDir::new();
    let directory = dir.0.join("d".repeat(95));
    std::fs::create_dir(&directory).unwrap();
    let text = dir.text("", "").replace(
        &format!("unix_socket_dir = {}", dir.0.display()),
        &format!("unix_socket_dir = {}", directory.display()),
    );
    let problems = messages(dir.load("pgmoneta.conf", text));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].ends_with("the maximum is 106"), "{problems:?}");
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
    assert_eq!(dir.with(&main, "").unwrap().config.not_implemented.len(), 3);
}

#[test]
fn a_role_that_is_not_in_the_users_file_is_reported() {
    let dir = TempDir::new();
    let config = dir.with("", "").unwrap().config;
    config.check_users(|name| name == "repl").unwrap();
    let problems = config.check_users(|_| false).unwrap_err();
    assert_eq!(
        problems.0[0].hint.as_deref(),
        Some("pgmoneta-admin -f /etc/pgmoneta/pgmoneta_users.conf -U repl user add")
    );
}

#[test]
fn every_default_is_valid_and_every_key_is_unique() {
    for setting in OPTIONS.iter().chain(CLIENT_OPTIONS) {
        if !setting.default.is_empty() {
            super::value::read(setting, setting.default).unwrap();
        }
        assert!(setting.help.ends_with('.'), "{}", setting.key);
    }
    let mut keys: Vec<_> = OPTIONS
        .iter()
        .map(|s| (s.key, s.allowed(true), s.allowed(false)))
        .collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn the_client_reads_its_own_file_and_that_of_the_daemon() {
    let dir = TempDir::new();
    let path = dir.write(
        "pgmoneta_cli.conf",
        "host = backup\n[any]\nport = 5002\ncompression = BZIP2\nencryption = aes256\nOutput = json\n\
         unix_socket_dir = '/tmp'\nlog_level = debug\n[any]\nport = 5003\n",
    );
    let config = ClientConfig::load(&path).unwrap();
    assert_eq!(config.host.as_deref(), Some("backup"));
    assert_eq!(config.port, Some(5003));
    assert_eq!(config.unix_socket_dir, Some(PathBuf::from("/tmp")));
    assert_eq!(config.compression, Some(Compression::Bzip2));
    assert_eq!(config.encryption, Some(Encryption::Aes256));
    assert_eq!(config.output, OutputFormat::Json);
    assert_eq!(config.log.level, LogLevel::Debug);

    let text = dir.text(
        "log_type = file\ncompression = zstd\nencryption = aes\nmetrics = 1",
        "",
    );
    let daemons = ClientConfig::load(&dir.write("pgmoneta.conf", text)).unwrap();
    assert_eq!(daemons.unix_socket_dir, Some(dir.0.clone()));
    assert_eq!((daemons.host, daemons.port), (None, None));
    assert_eq!((daemons.compression, daemons.encryption), (None, None));
    assert_eq!(daemons.log.kind, LogKind::Console);

    let toml = dir.write("a.toml", "output = 'raw'\n[x]\nport = 1\n");
    let config = ClientConfig::load(&toml).unwrap();
    assert_eq!((config.output, config.port), (OutputFormat::Raw, Some(1)));

    let text = format!(
        "[pgmoneta]\nbase_dir = '/x'\nunix_socket_dir = '{}'\n[server.a]\nport = 1\nhost = 'h'\n",
        dir.0.display()
    );
    let config = ClientConfig::load(&dir.write("daemon.toml", text)).unwrap();
    assert_eq!(config.unix_socket_dir, Some(dir.0.clone()));
    assert_eq!((config.host, config.port), (None, None));

    let bad = dir.write("bad", "hosts = a\nport = x\n");
    let problems = ClientConfig::load(&bad).unwrap_err();
    assert_eq!(problems.0.len(), 2);
}

/// Lines that resemble configuration, and arbitrary text.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\[\\]a-z=#;\"'$\\\\ \t]{0,12}",
        "(base_dir|log_path|port|retention|host) ?= ?[ -~]{0,10}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(lines in prop::collection::vec(line(), 0..8)) {
        let dir = TempDir::new();
        let text = lines.join("\n");
        for name in ["a.conf", "a.toml"] {
            let path = dir.write(name, &text);
            let _ = load(&path);
            let _ = ClientConfig::load(&path);
        }
    }

    #[test]
    fn a_quoted_value_is_read_unchanged(value in "[ -!#-~äß]{1,40}") {
        let dir = TempDir::new();
        let path = dir.write("a.conf", format!("[s]\nhost = \"{value}\" # note\n"));
        let mut diagnostics = Diagnostics::new(&path);
        let options = ParseOptions { lenient: false, expand_variables: |_| false };
        let document = read(&path, options, &mut diagnostics).unwrap();
        prop_assert!(diagnostics.is_ok());
        prop_assert_eq!(document.sections[0].table["host"].as_str(), Some(value.as_str()));
    }
}
