//! SCRAM messages of both sides.

#![allow(clippy::unwrap_used)] // as in tests

use std::sync::OnceLock;

use super::client::ClientFirst;
use super::server::ScramUsers;
use crate::crypto::Secret;

const SERVER_NONCE: &str = "server";

/// The first and the final message of a client, separated by a zero byte; and each as one of a
/// server.
pub fn scram(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == 0);
    let (first, last) = input.split_at(end.unwrap_or(input.len()));
    let last = last.strip_prefix(b"\0").unwrap_or_default();
    server(first, last);
    client(first, last);
}

fn password() -> Secret {
    Secret::new(b"secret".to_vec())
}

fn users() -> &'static ScramUsers {
    static USERS: OnceLock<ScramUsers> = OnceLock::new();
    USERS.get_or_init(|| {
        let password = password();
        let users = [("admin", &password)].into_iter();
        ScramUsers::derive(Secret::new(vec![7; 32]), users).unwrap()
    })
}

/// Only who knows the password gets in.
fn server(first: &[u8], last: &[u8]) {
    let Ok(begun) = users().begin_with("admin", true, first, SERVER_NONCE) else {
        return;
    };
    let nobody = users().begin_with("nobody", true, first, SERVER_NONCE);
    let nobody = nobody.unwrap();
    assert_eq!(nobody.message.len(), begun.message.len());
    assert!(nobody.finish(last).is_err(), "an unknown user");
    let forbidden = users().begin_with("admin", false, first, SERVER_NONCE);
    assert!(forbidden.unwrap().finish(last).is_err(), "not permitted");
    let expected = answer(first, &begun.message);
    if let Some(expected) = &expected {
        assert!(begun.finish(expected.as_bytes()).is_ok(), "the right proof");
    }
    if begun.finish(last).is_ok() && first.starts_with(b"n,,") {
        assert_eq!(expected.unwrap().as_bytes(), last, "another proof");
    }
}

/// The final message of a client that has sent this first one and knows the password.
fn answer(first: &[u8], server: &str) -> Option<String> {
    let (name, nonce) = std::str::from_utf8(first)
        .ok()?
        .strip_prefix("n,,n=")?
        .split_once(",r=")?;
    let client = ClientFirst::with_nonce(name, nonce.to_owned());
    Some(client.answer(&password(), server.as_bytes()).ok()?.message)
}

fn client(first: &[u8], last: &[u8]) {
    let client = ClientFirst::with_nonce("admin", "client".to_owned());
    if let Ok(answered) = client.answer(&password(), first) {
        // It would take the key of the password.
        assert!(
            answered.verify(last).is_err(),
            "a server without the password"
        );
    }
}
