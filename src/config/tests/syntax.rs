use std::os::unix::fs::symlink;
use std::path::PathBuf;

use proptest::prelude::*;

use super::{TempDir, load, messages};
use crate::codec::Compression;
use crate::config::document::ParseOptions;
use crate::config::load::read;
use crate::config::problem::Diagnostics;
use crate::config::{AuthMethods, ClientConfig, Loaded, OutputFormat};
use crate::logging::{LogKind, LogLevel};
use crate::unit::{ByteSize, Encryption};

#[test]
fn a_toml_file_is_parsed() {
    let dir = TempDir::new();
    let directory = dir.0.display();
    let text = format!(
        "[pgmoneta]\nhost = '*'\nbase_dir = '{directory}/backup'\nunix_socket_dir = '{directory}'\n\
         workers = 0x3\nnodelay = false\nretention = [7, '-', 6]\nmax_rate = '1M'\n\n\
         [server.zeta]\nhost = 'localhost'\nport = 5_432\nuser = 'repl'\nwal_slot = 'zeta'\n\
         auth = ['md5', 'password']\ncreate_slot = true\n\n\
         [alpha]\nhost = 'localhost'\nport = 5432\nuser = 'repl'\nwal_slot = 'alpha'\n\
         workers = -1\n"
    );
    let config = dir.load("pgmoneta.toml", text).unwrap().config;
    assert_eq!(config.server_defaults.workers, 3);
    assert!(!config.nodelay);
    assert_eq!(
        (
            config.server_defaults.retention.weeks,
            config.server_defaults.retention.months
        ),
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
fn a_duplicate_key_is_a_warning_and_its_last_value_is_used() {
    let dir = TempDir::new();
    let Loaded { config, warnings } = dir.with("workers = 1\nworkers = 2", "").unwrap();
    assert_eq!(config.server_defaults.workers, 2);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].ends_with("pgmoneta.conf:6: workers is also set in line 5; this value is used")
    );
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
fn the_client_reads_its_own_file_and_that_of_the_daemon() {
    let dir = TempDir::new();
    let path = dir.write(
        "pgmoneta_cli.conf",
        "host = backup\n[any]\nport = 5002\ncompression = BZIP2\nencryption = aes256\n\
         Output = json\nunix_socket_dir = '/tmp'\nlog_level = debug\n[any]\nport = 5003\n",
    );
    let config = ClientConfig::load(&path).unwrap();
    assert_eq!(config.host, "backup");
    assert_eq!(config.port, 5003);
    assert_eq!(config.unix_socket_dir, Some(PathBuf::from("/tmp")));
    assert_eq!(config.compression, Compression::Bzip2);
    assert_eq!(config.encryption, Encryption::Aes256);
    assert_eq!(config.output, OutputFormat::Json);
    assert_eq!(config.log.level, LogLevel::Debug);

    let text = dir.text(
        "log_type = file\ncompression = zstd\nencryption = aes\nmetrics = 1",
        "",
    );
    let daemons = ClientConfig::load(&dir.write("pgmoneta.conf", text)).unwrap();
    assert_eq!(daemons.unix_socket_dir, Some(dir.0.clone()));
    assert_eq!((daemons.host.as_str(), daemons.port), ("", 0));
    assert_eq!(
        (daemons.compression, daemons.encryption),
        (Compression::None, Encryption::None)
    );
    assert_eq!(daemons.log.kind, LogKind::Console);

    let toml = dir.write("a.toml", "output = 'raw'\n[x]\nport = 1\n");
    let config = ClientConfig::load(&toml).unwrap();
    assert_eq!((config.output, config.port), (OutputFormat::Raw, 1));

    let text = format!(
        "[pgmoneta]\nbase_dir = '/x'\nunix_socket_dir = '{}'\n[server.a]\nport = 1\nhost = 'h'\n",
        dir.0.display()
    );
    let config = ClientConfig::load(&dir.write("daemon.toml", text)).unwrap();
    assert_eq!(config.unix_socket_dir, Some(dir.0.clone()));
    assert_eq!((config.host.as_str(), config.port), ("", 0));

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
        let options = ParseOptions { lenient: false, rows: &[] };
        let sections = read(&path, options, &mut diagnostics).unwrap();
        prop_assert!(diagnostics.is_ok());
        let entry = sections[0].entries().next();
        prop_assert_eq!(entry, Some(("host", value.as_str(), 2)));
    }
}
