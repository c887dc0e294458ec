use super::{TempDir, messages};
use crate::codec::Compression;
use crate::config::Loaded;

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
    "metrics_cert_file = /etc/passwd",
    "metrics_ca_file = /etc/passwd",
    "storage_engine = local, tape",
    "libev = fast",
    "retention_interval = 0",
    "retention_minimum = 0",
    "retention_minimum = none",
    "wal_retention = -1",
    "reserve_space = 5",
    "wal_retention = 7,4",
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
    let main = "console = 5001\nmanagement = 0\ncompression = server-gzip\nlibev = epoll\n\
                storage_engine = local,s3\ns3_port = 443";
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
            "console",
            "s3_port",
            "storage_engine",
            "follow",
            "hot_standby"
        ]
    );
    assert_eq!(config.compression, Compression::Gzip);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
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
fn a_socket_path_that_is_too_long_is_refused() {
    let dir = TempDir::new();
    let directory = dir.0.join("d".repeat(92));
    std::fs::create_dir(&directory).unwrap();
    let text = dir.text("", "").replace(
        &format!("unix_socket_dir = {}", dir.0.display()),
        &format!("unix_socket_dir = {}", directory.display()),
    );
    let problems = messages(dir.load("pgmoneta.conf", text));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].ends_with("the maximum is 103"), "{problems:?}");
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
