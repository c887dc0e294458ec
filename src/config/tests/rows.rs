use super::TempDir;
use crate::config::{
    CLIENT_OPTIONS, ClientConfig, Config, Field, OPTIONS, Scope, Server, Setting, Target,
};

#[test]
fn every_default_is_valid_and_every_key_is_unique() {
    let (mut config, mut server) = (Config::default(), Server::default());
    let mut client = ClientConfig::default();
    for setting in OPTIONS.iter().chain(CLIENT_OPTIONS) {
        if !setting.default.is_empty() {
            let mut target = match setting.field {
                Field::Client(_) => Target::Client(&mut client),
                _ if setting.scope() == Scope::Server => Target::Server(&mut server),
                _ => Target::Daemon(&mut config),
            };
            setting.set(&mut target, setting.default).unwrap();
        }
        assert!(setting.help.ends_with('.'), "{}", setting.key);
    }
    for rows in [OPTIONS, CLIENT_OPTIONS] {
        for (index, row) in rows.iter().enumerate() {
            let others = &rows[index + 1..];
            let same = |other: &&Setting| {
                let both = row.scope() == Scope::Both || other.scope() == Scope::Both;
                other.key == row.key && (both || other.scope() == row.scope())
            };
            assert!(others.iter().find(same).is_none(), "{}", row.key);
        }
    }
}

/// A value of each row that is not its default.
fn other_value(row: &Setting) -> Option<String> {
    let texts = [
        "off", "on", "7", "7,1", "/x", "word", "append", "create", "file", "error",
    ];
    let more = [
        "gzip",
        "md5",
        "aes-128-gcm",
        "spread",
        "verify",
        "raw",
        "never",
        "epoll",
        "ssh",
        "7%",
    ];
    let mut values = texts.into_iter().chain(more).filter_map(|text| {
        let (mut config, mut server) = (Config::default(), Server::default());
        let mut client = ClientConfig::default();
        let mut target = match row.field {
            Field::Client(_) => Target::Client(&mut client),
            _ if row.scope() == Scope::Server => Target::Server(&mut server),
            _ => Target::Daemon(&mut config),
        };
        let before = row.get(&mut target).unwrap();
        row.set(&mut target, text).ok()?;
        let after = row.get(&mut target).unwrap();
        if row.secret {
            assert_eq!(after, "********", "{}", row.key);
            return Some(text.to_owned());
        }
        // What is printed is read to the same value.
        row.set(&mut target, &after).unwrap();
        assert_eq!(row.get(&mut target).unwrap(), after, "{}", row.key);
        (before != after).then_some(after)
    });
    values.next()
}

#[test]
fn the_text_of_every_value_is_read_to_the_same_value() {
    let directories = ["unix_socket_dir", "base_dir"];
    for row in OPTIONS.iter().chain(CLIENT_OPTIONS) {
        let other = other_value(row);
        assert!(
            other.is_some() || directories.contains(&row.key),
            "{}",
            row.key
        );
    }
}

#[test]
fn all_values_are_listed_and_secrets_are_hidden() {
    let dir = TempDir::new();
    let main =
        "max_rate = 1M\nazure_shared_key = topsecret\nworkers = 3\nretention = 7,-,6\nlibev = poll";
    let server = "workers = -1\nauth = md5,peer\ns3_secret_access_key = topsecret";
    let server = server.replace(",peer", "");
    let config = dir.with(main, &server).unwrap().config;
    assert!(
        !format!("{config:?}").contains("topsecret"),
        "it is not kept"
    );
    let values = config.values(OPTIONS).unwrap();
    let value = |title: &str, key: &str| {
        let mut values = values.iter();
        let found = values.find(|value| value.0 == title && value.1 == key);
        found.map(|value| value.2.as_str())
    };
    for (title, key, text) in [
        ("pgmoneta", "host", "*"),
        ("pgmoneta", "max_rate", "1048576"),
        ("pgmoneta", "azure_shared_key", "********"),
        ("pgmoneta", "s3_secret_access_key", ""),
        ("pgmoneta", "workers", "3"),
        ("pgmoneta", "retention", "7,-,6,-"),
        ("pgmoneta", "blocking_timeout", "30s"),
        ("pgmoneta", "libev", "poll"),
        ("pgmoneta", "metrics", "0"),
        ("primary", "host", "localhost"),
        ("primary", "workers", "3"),
        ("primary", "max_rate", "1048576"),
        ("primary", "auth", "scram-sha-256,md5"),
        ("primary", "s3_secret_access_key", "********"),
    ] {
        assert_eq!(value(title, key), Some(text), "[{title}] {key}");
    }
    assert_eq!(value("pgmoneta", "wal_slot"), None);
    assert_eq!(value("primary", "compression"), None);
}
