//! `$NAME` in paths.

use super::problem::wrong;
use crate::error::Failure;

/// What quotes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// The classic syntax: they are removed, protect `#` and `;`, and between `'` a `$` is nothing special.
    Removed,
    /// TOML has its own: characters like others.
    Kept,
}

/// Replaces `$NAME` (letters, digits and `_`) by environment variables; `\` takes the next character as it is.
pub(super) fn expand(text: &str, quotes: Quotes) -> Result<String, Failure> {
    let mut value = String::with_capacity(text.len());
    // How much of the value an unquoted blank at the end must not cut off.
    let mut kept = 0;
    let mut open = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' if quotes == Quotes::Removed && open.is_none_or(|quote| quote == c) => {
                open = if open.is_none() { Some(c) } else { None };
                kept = value.len();
            }
            '#' | ';' if quotes == Quotes::Removed && open.is_none() => break,
            '\\' => {
                let next = chars.next();
                value.push(next.ok_or_else(|| wrong("nothing follows the \\ at the end"))?);
                kept = value.len();
            }
            '$' if open != Some('\'') => {
                let mut name = String::new();
                while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                value.push_str(&variable(&name)?);
                kept = value.len();
            }
            c => {
                value.push(c);
                if open.is_some() || !c.is_whitespace() {
                    kept = value.len();
                }
            }
        }
    }
    if let Some(quote) = open {
        return Err(wrong(format!("the closing {quote} is missing")));
    }
    value.truncate(kept);
    Ok(value)
}

fn variable(name: &str) -> Result<String, Failure> {
    if name.is_empty() {
        return Err(wrong("no name of a variable follows the $")
            .hint("a $ that is part of a path is written \\$"));
    }
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => {
            wrong(format!("the environment variable {name} is not set"))
        }
        std::env::VarError::NotUnicode(_) => {
            wrong(format!("the environment variable {name} is not UTF-8"))
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
