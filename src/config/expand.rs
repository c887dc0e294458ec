//! Expansion of environment variables, `$NAME`, in paths.

use super::problem::invalid;
use crate::error::Error;

/// How quotes are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// The INI syntax: quotes are removed, `#` and `;` between them are literal, and so is `$`
    /// between single quotes.
    Removed,
    /// TOML has removed its own quotes: any others are literal.
    Kept,
}

/// Replaces `$NAME` (letters, digits and `_`) by environment variables; the character after `\` is
/// literal.
pub(super) fn expand(text: &str, quotes: Quotes) -> Result<String, Error> {
    let mut value = String::with_capacity(text.len());
    // The length of the value without unquoted white space at its end.
    let mut trimmed_length = 0;
    let mut open = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' if quotes == Quotes::Removed && open.is_none_or(|quote| quote == c) => {
                open = if open.is_none() { Some(c) } else { None };
                trimmed_length = value.len();
            }
            '#' | ';' if quotes == Quotes::Removed && open.is_none() => break,
            '\\' => {
                let next = chars.next();
                value.push(next.ok_or_else(|| invalid("nothing follows the \\ at the end"))?);
                trimmed_length = value.len();
            }
            '$' if open != Some('\'') => {
                let mut name = String::new();
                while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                value.push_str(&variable(&name)?);
                trimmed_length = value.len();
            }
            c => {
                value.push(c);
                if open.is_some() || !c.is_whitespace() {
                    trimmed_length = value.len();
                }
            }
        }
    }
    if let Some(quote) = open {
        return Err(invalid(format!("the closing {quote} is missing")));
    }
    value.truncate(trimmed_length);
    Ok(value)
}

fn variable(name: &str) -> Result<String, Error> {
    if name.is_empty() {
        return Err(invalid("no variable name follows the $")
            .with_hint("a $ that is part of a path is written \\$"));
    }
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => {
            invalid(format!("the environment variable {name} is not set"))
        }
        std::env::VarError::NotUnicode(_) => {
            invalid(format!("the environment variable {name} is not UTF-8"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_escapes_and_variables_are_those_of_the_c_program() {
        let home = std::env::var("HOME").unwrap();
        let rows = [
            ("/a/b", "/a/b"),
            ("/a b  # note", "/a b"),
            ("\"/a # b\" ; note", "/a # b"),
            ("/a/\"b c\"/d", "/a/b c/d"),
            ("'/a\"b'", "/a\"b"),
            ("\"a \"  ", "a "),
            ("/a\\#b\\ ", "/a#b "),
            ("'$HOME'", "$HOME"),
            ("\\$HOME", "$HOME"),
            ("", ""),
            ("\"\"", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(expand(text, Quotes::Removed).unwrap(), expected, "{text}");
        }
        for text in ["$HOME/x", "\"$HOME\"/x"] {
            assert_eq!(expand(text, Quotes::Removed).unwrap(), format!("{home}/x"));
        }
        assert_eq!(
            expand("/a'$HOME#", Quotes::Kept).unwrap(),
            format!("/a'{home}#")
        );
        for text in ["\"a", "a\\", "$", "${HOME}", "$PGMONETA_NOT_SET_EVER/x"] {
            assert!(expand(text, Quotes::Removed).is_err(), "{text}");
        }
    }
}
