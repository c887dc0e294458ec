//! The document that `-F json` prints: that of the C program, and our `Message`, `Hint` and `Password`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::arguments::Verb;
use crate::error::{Failure, Result};
use crate::protocol::{VERSION, duration_text, pretty};
use crate::unit::timestamp;

/// The text of the document for an operation that was done; `users` for those that have to do with users.
pub(super) fn success(
    verb: Verb,
    elapsed: Duration,
    users: Option<&[String]>,
    password: Option<&str>,
) -> Result<String> {
    let mut document = Map::new();
    document.insert("Header".to_owned(), header(verb));
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

/// The text of the document for one that failed.
pub(super) fn failure(verb: Verb, failure: &Failure) -> Result<String> {
    let mut document = Map::new();
    document.insert("Header".to_owned(), header(verb));
    let mut outcome = json!({
        "Error": 1,
        "Status": false,
        "Workflow": "admin",
        "Message": failure.message(),
    });
    if let (Some(hint), Value::Object(members)) = (failure.advice(), &mut outcome) {
        members.insert("Hint".to_owned(), hint.into());
    }
    document.insert("Outcome".to_owned(), outcome);
    pretty(&document)
}

fn header(verb: Verb) -> Value {
    json!({
        "ClientVersion": VERSION,
        "Command": verb.code(),
        "Compression": 0,
        "Encryption": 0,
        "Output": 1,
        "Timestamp": timestamp(),
    })
}
