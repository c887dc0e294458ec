//! Quoting of names and literals in replication commands.
//!
//! Their grammar (PostgreSQL `repl_scanner.l`) has plain literals, with doubled quotes and without
//! escapes, and quoted identifiers, in which no quote can be written before version 15.

use crate::error::{Error, ErrorKind, Result};

pub(super) fn identifier(name: &str) -> Result<String> {
    if name.contains('"') {
        let message =
            format!("{name:?} has a quote in it, so it is not the name of a replication slot");
        return Err(Error::new(ErrorKind::Usage, message));
    }
    quoted(name, '"')
}

pub(super) fn literal(text: &str) -> Result<String> {
    quoted(text, '\'')
}

fn quoted(text: &str, quote: char) -> Result<String> {
    if text.chars().any(char::is_control) {
        let message = format!("{text:?} has a control character in it");
        return Err(Error::new(ErrorKind::Usage, message));
    }
    let doubled = text.replace(quote, &format!("{quote}{quote}"));
    Ok(format!("{quote}{doubled}{quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_and_control_characters_rejected() {
        assert_eq!(identifier("a'c").unwrap(), "\"a'c\"");
        assert!(identifier("a\"c").is_err());
        assert_eq!(literal("a\"b'c\\").unwrap(), "'a\"b''c\\'");
        for text in ["a\nb", "a\0b", "\u{7f}"] {
            assert!(literal(text).is_err());
        }
    }
}
