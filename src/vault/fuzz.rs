//! Users files and the master key file.

#![allow(clippy::unwrap_used)] // as in tests

use std::path::Path;
use std::sync::OnceLock;

use super::file::UsersFile;
use super::key;
use super::record::check_user_name;
use super::users::Vault;
use crate::crypto::MasterKey;

/// The bytes as a users file, and as the file of the master key.
pub fn users(input: &[u8]) {
    let file = UsersFile::of(Path::new("users"), input);
    let lines = input.split(|byte| *byte == b'\n').count();
    assert!(file.damaged().all(|(line, _)| (1..=lines).contains(&line)));
    if let Ok(vault) = Vault::decrypt(&file, master_key()) {
        assert!(vault.names().all(|name| vault.password(name).is_some()));
        assert!(
            file.names()
                .iter()
                .all(|name| vault.password(name).is_some())
        );
    }
    if let Some(name) = file.names().first() {
        edit(input, name);
    }
    let _ = key::parse(Path::new("master.key"), input);
}

fn master_key() -> &'static MasterKey {
    static KEY: OnceLock<MasterKey> = OnceLock::new();
    KEY.get_or_init(|| MasterKey::for_tests(1))
}

/// An edit changes the records of one user, and nothing else.
fn edit(input: &[u8], name: &str) {
    let before = UsersFile::of(Path::new("users"), input);
    let others = |file: &UsersFile| -> Vec<(String, Vec<u8>)> {
        let others = file.records().filter(|(_, other, _)| *other != name);
        others
            .map(|(_, other, text)| (other.to_owned(), text.to_vec()))
            .collect()
    };
    let damage = |file: &UsersFile| file.damaged().map(|(_, what)| what).collect::<Vec<_>>();
    let mut changed = UsersFile::of(Path::new("users"), input);
    changed
        .rewrite(name, Some(&format!("{name}:AAAA")))
        .unwrap();
    let mut removed = UsersFile::of(Path::new("users"), input);
    removed.rewrite(name, None).unwrap();
    for after in [&changed, &removed] {
        assert_eq!(others(after), others(&before));
        assert_eq!(damage(after), damage(&before));
    }
    assert!(!removed.names().contains(&name));
    // `user add` refuses other names.
    if check_user_name(name).is_ok() {
        assert_eq!(changed.names(), before.names());
        let mut own = changed.records().filter(|(_, other, _)| *other == name);
        assert!(own.all(|(_, _, encrypted)| encrypted == b"AAAA"));
    }
}
