//! The lines of a users file: `name:base64(container)`, blank lines and comments.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::{CONTAINER_OVERHEAD, MasterKey, Secret};
use crate::error::{Error, ErrorKind, Result};
use crate::unit::{Encryption, first};

/// The maximum length of a user name in bytes, as in the C program.
const MAX_USER_NAME: usize = 127;

/// A parsed line, which borrows its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Empty, white space, or a comment.
    Blank,
    /// A user with password.
    Record {
        /// The name of the user.
        name: &'a str,
        /// The base64 text of the container with the password.
        encrypted: &'a [u8],
    },
    /// A line that cannot be parsed, with the reason.
    Damaged(&'static str),
}

/// Parses a line. As in the C program a `#` or `;` begins a comment at any position.
pub(super) fn read(line: &[u8]) -> Line<'_> {
    let end = line
        .iter()
        .position(|byte| b"#;".contains(byte))
        .unwrap_or(line.len());
    let text = first(line, end).trim_ascii();
    if text.is_empty() {
        return Line::Blank;
    }
    let mut fields = text.splitn(2, |&byte| byte == b':');
    let name = fields.next().unwrap_or_default();
    let Some(encrypted) = fields.next() else {
        return Line::Damaged("there is no ':' between a name and a password");
    };
    match std::str::from_utf8(name) {
        Err(_) => Line::Damaged("the name is not UTF-8"),
        Ok("") => Line::Damaged("there is no name before the ':'"),
        Ok(name) => Line::Record { name, encrypted },
    }
}

/// Decrypts the password of a record. Fails with [`ErrorKind::Corrupt`] if the record is malformed,
/// with [`ErrorKind::Authentication`] if the key does not decrypt it.
pub(super) fn open(encrypted: &[u8], key: &MasterKey) -> Result<Secret> {
    let container = STANDARD
        .decode(encrypted)
        .map_err(|_| Error::new(ErrorKind::Corrupt, "the password is not base64"))?;
    if container.len() < CONTAINER_OVERHEAD {
        return Err(Error::new(ErrorKind::Corrupt, "the password is truncated"));
    }
    key.open(&container, Encryption::Aes256)
        .map_err(|failure| match failure.kind() {
            ErrorKind::Corrupt => Error::new(ErrorKind::Authentication, failure.message()),
            _ => failure,
        })
}

/// The line of a user, without line feed.
pub(super) fn write(name: &str, password: &Secret, key: &MasterKey) -> Result<String> {
    let container = key.seal(password.expose(), Encryption::Aes256)?;
    Ok(format!("{name}:{}", STANDARD.encode(container)))
}

/// Fails for names that cannot be written to a users file.
pub fn check_user_name(name: &str) -> Result<()> {
    let invalid = |why: &str| {
        let quoted: String = name.chars().take(40).collect();
        Err(Error::new(
            ErrorKind::Usage,
            format!("{quoted:?} cannot be a user name: {why}"),
        ))
    };
    if name.is_empty() {
        return invalid("it is empty");
    }
    if name.len() > MAX_USER_NAME {
        return invalid("it is longer than 127 bytes");
    }
    if name.chars().any(|c| ":#;".contains(c) || c.is_control()) {
        return invalid("':', '#', ';' and control characters are not allowed");
    }
    if name.trim() != name {
        return invalid("it begins or ends with white space");
    }
    Ok(())
}

/// The error for a record that cannot be decrypted: if no record can be decrypted the key is
/// another one, else the record is damaged.
pub(super) fn decrypt_error(
    path: &Path,
    line: usize,
    name: &str,
    failure: &Error,
    none_decrypted: bool,
) -> Error {
    let path = path.display();
    if none_decrypted && failure.kind() == ErrorKind::Authentication {
        Error::new(
            ErrorKind::Authentication,
            format!("{path}: no password in it can be decrypted with this master key"),
        )
        .with_hint(format!(
            "use the master.key that the file was made with, or move the file away and set the \
             passwords again: pgmoneta-admin -f {path} -U NAME user add"
        ))
    } else {
        Error::new(
            ErrorKind::Corrupt,
            format!("{path}:{line}: the record of user {name} is damaged: {failure}"),
        )
        .with_hint(format!(
            "set the password again: pgmoneta-admin -f {path} -U {name} user edit"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed_as_in_the_c_program() {
        let record = |name, encrypted: &'static str| Line::Record {
            name,
            encrypted: encrypted.as_bytes(),
        };
        let rows: [(&[u8], Line<'_>); 8] = [
            (b"", Line::Blank),
            (b" \t\r", Line::Blank),
            (b"# repl:AAAA", Line::Blank),
            (b"; x", Line::Blank),
            (b"repl:AAAA", record("repl", "AAAA")),
            (b"  repl:AAAA= # note\r", record("repl", "AAAA=")),
            (b"a b:AA:AA", record("a b", "AA:AA")),
            ("größe:AAAA".as_bytes(), record("größe", "AAAA")),
        ];
        for (line, expected) in rows {
            assert_eq!(read(line), expected, "{line:?}");
        }
        for line in [b"repl".as_slice(), b":AAAA", b"\xff:AAAA", b"repl#:AAAA"] {
            assert!(matches!(read(line), Line::Damaged(_)), "{line:?}");
        }
    }

    #[test]
    fn names_that_the_file_cannot_contain_are_refused() {
        for name in ["repl", "a b", "größe", &"x".repeat(127)] {
            check_user_name(name).unwrap();
        }
        for name in [
            "",
            "a:b",
            "a#b",
            "a;b",
            " a",
            "a ",
            "a\nb",
            &"x".repeat(128),
        ] {
            assert!(check_user_name(name).is_err(), "{name:?}");
        }
    }
}
