//! A line of a users file: `name:base64(container)`, or nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::{CONTAINER_OVERHEAD, MasterKey, Secret};
use crate::error::{Failure, Kind, Result};
use crate::unit::Encryption;

/// The longest user name in bytes, as in the C program.
const LONGEST_NAME: usize = 127;

/// What a line says; the bytes are those of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing, or a comment.
    Blank,
    /// A user.
    Record {
        /// The name.
        name: &'a str,
        /// The base64 text of the container.
        sealed: &'a [u8],
    },
    /// Something else.
    Damaged(&'static str),
}

/// Reads a line. As in the C program a `#` or `;` begins a comment wherever it is.
pub(super) fn read(line: &[u8]) -> Line<'_> {
    let end = line
        .iter()
        .position(|byte| b"#;".contains(byte))
        .unwrap_or(line.len());
    let text = line.get(..end).unwrap_or_default().trim_ascii();
    if text.is_empty() {
        return Line::Blank;
    }
    let mut fields = text.splitn(2, |&byte| byte == b':');
    let name = fields.next().unwrap_or_default();
    let Some(sealed) = fields.next() else {
        return Line::Damaged("there is no ':' between a name and a password");
    };
    match std::str::from_utf8(name) {
        Err(_) => Line::Damaged("the name is not UTF-8"),
        Ok("") => Line::Damaged("there is no name before the ':'"),
        Ok(name) => Line::Record { name, sealed },
    }
}

/// Opens the password of a record: [`Kind::Corrupt`] if it cannot be one, [`Kind::Authentication`] if it could be,
/// but the key does not fit it.
pub(super) fn open(sealed: &[u8], key: &MasterKey) -> Result<Secret> {
    let container = STANDARD
        .decode(sealed)
        .map_err(|_| Failure::new(Kind::Corrupt, "the password is not base64"))?;
    if container.len() < CONTAINER_OVERHEAD {
        return Err(Failure::new(Kind::Corrupt, "the password is cut short"));
    }
    key.open(&container, Encryption::Aes256)
        .map_err(|failure| match failure.kind() {
            Kind::Corrupt => Failure::new(Kind::Authentication, failure.message()),
            _ => failure,
        })
}

/// Makes the line of a user, without its line feed.
pub(super) fn write(name: &str, password: &Secret, key: &MasterKey) -> Result<String> {
    let container = key.seal(password.expose(), Encryption::Aes256)?;
    Ok(format!("{name}:{}", STANDARD.encode(container)))
}

/// Refuses names that a users file cannot hold.
pub fn check_user_name(name: &str) -> Result<()> {
    let wrong = |why: &str| {
        let shown: String = name.chars().take(40).collect();
        Err(Failure::new(
            Kind::Usage,
            format!("{shown:?} cannot be a user name: {why}"),
        ))
    };
    if name.is_empty() {
        return wrong("it is empty");
    }
    if name.len() > LONGEST_NAME {
        return wrong("it is longer than 127 bytes");
    }
    if name.chars().any(|c| ":#;".contains(c) || c.is_control()) {
        return wrong("the file has no way to write ':', '#', ';' or a control character");
    }
    if name.trim() != name {
        return wrong("it has white space at an end");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_in_the_c_program() {
        let record = |name, sealed: &'static str| Line::Record {
            name,
            sealed: sealed.as_bytes(),
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
    fn names_that_break_the_file_are_refused() {
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
