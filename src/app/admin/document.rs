//! The document that `-F json` prints: that of the C program, with `Message`, `Hint` and `Password`
//! added.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::arguments::Action;
use crate::VERSION;
use crate::error::{Error, Result};
use crate::protocol::{duration_text, pretty};
use crate::unit::local_timestamp;

/// The document for a completed action; `users` if the action is one on users.
pub(super) fn success(
    action: Action,
    elapsed: Duration,
    users: Option<&[String]>,
    password: Option<&str>,
) -> Result<String> {
    let mut document = Map::new();
    document.insert("Header".to_owned(), header(action));
    let outcome = json!({ "Status": true, "Time": duration_text(elapsed) });
    document.insert("Outcome".to_owned(), outcome);
    if let Some(users) = users {
        let mut response = json!({ "Users": users });
        if let (Some(password), Value::Object(members)) = (password, &mut response) {
            members.insert("Password".to_owned(), password.into());
        }
        document.insert("Response".to_owned(), response);
    }
    pretty(&document)
}

/// The document for a failed action.
pub(super) fn failure(action: Action, failure: &Error) -> Result<String> {
    let mut document = Map::new();
    document.insert("Header".to_owned(), header(action));
    let mut outcome = json!({
        "Error": 1,
        "Status": false,
        "Workflow": "admin",
        "Message": failure.message(),
    });
    if let (Some(hint), Value::Object(members)) = (failure.hint(), &mut outcome) {
        members.insert("Hint".to_owned(), hint.into());
    }
    document.insert("Outcome".to_owned(), outcome);
    pretty(&document)
}

fn header(action: Action) -> Value {
    json!({
        "ClientVersion": VERSION,
        "Command": action.code(),
        "Compression": 0,
        "Encryption": 0,
        "Output": 1,
        "Timestamp": local_timestamp(),
    })
}
