//! The members of a document, in JSON and in typed form.

use serde::Serialize;
use serde::de::DeserializeOwned;
pub use serde_json::Value;

use super::command::{Command, MemberKind};
use crate::error::{Error, ErrorKind, Result};

/// The members of a JSON object.
pub type Members = serde_json::Map<String, Value>;

/// The maximum length of a string in a request, in bytes: `PATH_MAX` of Linux.
const MAX_STRING: usize = 4096;

/// The members of a typed document.
pub fn members(document: &impl Serialize) -> Result<Members> {
    match serde_json::to_value(document) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(Value::Null) => Ok(Members::new()),
        Ok(other) => Err(unwritable(&format!("it is {other}"))),
        Err(error) => Err(unwritable(&error.to_string())),
    }
}

fn unwritable(why: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("write a document: {why}"))
}

/// The typed document of its members. A member that is null or an empty string counts as missing,
/// since the C program does not distinguish them.
pub fn read<T: DeserializeOwned>(members: &Members) -> Result<T> {
    let mut members = members.clone();
    members.retain(|_, value| value.as_str() != Some(""));
    remove_nulls(&mut members);
    serde_json::from_value(Value::Object(members))
        .map_err(|error| Error::new(ErrorKind::Protocol, error.to_string()))
}

fn remove_nulls(members: &mut Members) {
    members.retain(|_, value| !value.is_null());
    for value in members.values_mut() {
        match value {
            Value::Object(members) => remove_nulls(members),
            Value::Array(items) => items
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(remove_nulls),
            _ => {}
        }
    }
}

/// Checks the types of the members that a request of `command` may have, and their lengths.
pub fn check(command: &Command, members: &Members) -> Result<()> {
    let operands = command.operands.iter().map(|row| (row.member, row.kind));
    let options = command.options.iter().map(|row| (row.member, row.kind));
    for (name, kind) in operands.chain(options) {
        match (members.get(name), kind) {
            (None | Some(Value::Null), _) | (Some(Value::Bool(_)), MemberKind::Flag) => {}
            (Some(_), MemberKind::Flag) => return Err(wrong_type(name, "true or false")),
            (Some(Value::Object(map)), MemberKind::Tablespaces) => {
                for (from, to) in map {
                    check_length(name, from)?;
                    match to {
                        Value::String(to) => check_length(name, to)?,
                        _ => return Err(wrong_type(name, "an object of strings")),
                    }
                }
            }
            (Some(_), MemberKind::Tablespaces) => {
                return Err(wrong_type(name, "an object of strings"));
            }
            (Some(Value::String(text)), _) => check_length(name, text)?,
            (Some(_), _) => return Err(wrong_type(name, "a string")),
        }
    }
    Ok(())
}

fn check_length(name: &str, text: &str) -> Result<()> {
    if text.len() > MAX_STRING {
        let long = format!("{name} is longer than {MAX_STRING} bytes");
        return Err(Error::new(ErrorKind::Protocol, long));
    }
    Ok(())
}

/// The error for a member of the wrong type.
pub(super) fn wrong_type(name: &str, expected: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("{name} is not {expected}"))
}
