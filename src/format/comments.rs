//! The comments of a backup, as they are stored in `COMMENTS` of `backup.info`.
//!
//! The C program writes pairs `key|text`, joined by commas, and has no escape: it cannot store a
//! comma, `|`, `=` or a line break. Those, other control characters and U+241B are stored here as
//! U+241B and two hexadecimal digits for each byte of their UTF-8. For the C program that is text
//! like any other. A text in which U+241B stands otherwise than it is written here is not an escape
//! and stays as it is.

use std::fmt::Write;

use crate::error::{Error, ErrorKind, Result};

/// Begins an escape: SYMBOL FOR ESCAPE.
const ESCAPE: char = '\u{241b}';

/// The comments of a backup. Those that are not changed keep their stored form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comments(Vec<String>);

impl Comments {
    /// Parses the value of `COMMENTS`. The C program can leave empty pairs, which are skipped, and
    /// pairs without `|`, which are keys without a text.
    pub fn parse(stored: &str) -> Comments {
        let pairs = stored.split(',').filter(|pair| !pair.is_empty());
        Comments(pairs.map(str::to_owned).collect())
    }

    /// The value of `COMMENTS`. Each pair has a `|`: without it the C program crashes.
    pub fn stored(&self) -> String {
        let pairs = self.0.iter().map(|pair| match pair.contains('|') {
            true => pair.clone(),
            false => format!("{pair}|"),
        });
        pairs.collect::<Vec<_>>().join(",")
    }

    /// The keys and texts, in the order of their addition.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let pairs = self.0.iter().map(|pair| {
            let (key, text) = split(pair);
            (decode(key), decode(text))
        });
        pairs.collect()
    }

    /// Adds a comment; a key that exists is an error.
    pub fn add(&mut self, key: &str, text: &str) -> Result<()> {
        check(key)?;
        check(text)?;
        if self.0.iter().any(|pair| has_key(pair, key)) {
            return Err(usage(format!("there is a comment {key:?} already"))
                .with_hint("change it with: annotate SERVER BACKUP update KEY COMMENT"));
        }
        self.0.push(encode_pair(key, text));
        Ok(())
    }

    /// Changes a comment; a key that does not exist is an error.
    pub fn update(&mut self, key: &str, text: &str) -> Result<()> {
        check(text)?;
        let mut first = true;
        self.change(key, |pair| {
            *pair = encode_pair(key, text);
            std::mem::replace(&mut first, false)
        })
    }

    /// Removes a comment; a key that does not exist is an error.
    pub fn remove(&mut self, key: &str) -> Result<()> {
        self.change(key, |_| false)
    }

    /// Calls `change` for each pair with the key; those for which it returns false are removed.
    fn change(&mut self, key: &str, mut change: impl FnMut(&mut String) -> bool) -> Result<()> {
        check(key)?;
        if !self.0.iter().any(|pair| has_key(pair, key)) {
            let known: Vec<String> = self.pairs().into_iter().map(|(key, _)| key).collect();
            let hint = match known.as_slice() {
                [] => "the backup has no comments".to_owned(),
                keys => format!("the backup has {}", keys.join(", ")),
            };
            return Err(usage(format!("there is no comment {key:?}")).with_hint(hint));
        }
        self.0
            .retain_mut(|pair| !has_key(pair, key) || change(pair));
        Ok(())
    }
}

fn has_key(pair: &str, key: &str) -> bool {
    decode(split(pair).0) == key
}

fn split(pair: &str) -> (&str, &str) {
    pair.split_once('|').unwrap_or((pair, ""))
}

fn encode_pair(key: &str, text: &str) -> String {
    format!("{}|{}", encode(key), encode(text))
}

/// Fails for what cannot be a key or a text.
fn check(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(usage("the key or the comment is empty".to_owned()));
    }
    // In a document of the management protocol it is the end.
    if text.contains('\0') {
        return Err(usage("a key or a comment has a NUL character".to_owned()));
    }
    Ok(())
}

fn usage(message: String) -> Error {
    Error::new(ErrorKind::Usage, message)
}

fn encode(text: &str) -> String {
    let mut stored = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ',' | '|' | '=' | ESCAPE) || c.is_control() {
            let mut utf8 = [0; 4];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(stored, "{ESCAPE}{byte:02x}");
            }
        } else {
            stored.push(c);
        }
    }
    stored
}

fn decode(stored: &str) -> String {
    let decoded = unescape(stored).filter(|text| encode(text) == stored);
    decoded.unwrap_or_else(|| stored.to_owned())
}

/// Replaces the escapes; `None` if one is malformed.
fn unescape(stored: &str) -> Option<String> {
    let mut parts = stored.split(ESCAPE);
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(stored: &str) -> Vec<(String, String)> {
        Comments::parse(stored).pairs()
    }

    fn pair(key: &str, text: &str) -> (String, String) {
        (key.to_owned(), text.to_owned())
    }

    #[test]
    fn what_the_c_program_can_store_is_stored_as_it_does() {
        let mut comments = Comments::parse("");
        comments.add("mykey", "my value").unwrap();
        comments
            .add("größe", "100% \\x2c %2C \"'`$ \u{1f40b}")
            .unwrap();
        let stored = "mykey|my value,größe|100% \\x2c %2C \"'`$ \u{1f40b}";
        assert_eq!(comments.stored(), stored);
        assert_eq!(Comments::parse(stored), comments);
        comments.update("mykey", "other").unwrap();
        comments.remove("größe").unwrap();
        assert_eq!(comments.stored(), "mykey|other");
        comments.remove("mykey").unwrap();
        assert_eq!(comments.stored(), "");
    }

    #[test]
    fn any_text_comes_back_unchanged_and_without_separators_in_it() {
        for text in [
            ",",
            "|",
            "=",
            "a,b|c=d",
            "line\nline\r\n",
            "\u{241b}",
            "\u{241b}2c",
            "\u{241b}e2",
            "\\n",
            "\t\u{1b}[1m\u{85}\u{7f}",
            " ",
            "\u{241b}\u{241b}9b",
            "=\u{241b}",
        ] {
            let mut comments = Comments::parse("before|1");
            comments.add(text, text).unwrap();
            comments.add("after", "2").unwrap();
            let stored = comments.stored();
            let expected = [pair("before", "1"), pair(text, text), pair("after", "2")];
            assert_eq!(pairs(&stored), expected, "{stored}");
            assert_eq!(stored.matches(',').count(), 2, "{stored}");
            assert!(!stored.contains(['=', '\n']), "{stored}");
            assert!(comments.add(text, "x").is_err());
            comments.remove(text).unwrap();
            assert_eq!(comments.stored(), "before|1,after|2");
        }
    }

    #[test]
    fn what_the_c_program_wrote_stays_what_it_is() {
        // Escapes that this program does not write so are text.
        for text in [
            "\u{241b}",
            "a\u{241b}41b",
            "\u{241b}2C",
            "\u{241b}zz",
            "\u{241b}c3",
        ] {
            assert_eq!(pairs(&format!("k|{text}")), [pair("k", text)]);
        }
        let stored = ",,a|1|2,/etc/x,a|,b|x=y,";
        let expected = [
            pair("a", "1|2"),
            pair("/etc/x", ""),
            pair("a", ""),
            pair("b", "x=y"),
        ];
        assert_eq!(pairs(stored), expected);
        let mut comments = Comments::parse(stored);
        comments.add("c", "3").unwrap();
        assert_eq!(comments.stored(), "a|1|2,/etc/x|,a|,b|x=y,c|3");
        comments.update("a", "4").unwrap();
        assert_eq!(
            comments.stored(),
            "a|4,/etc/x|,b|x=y,c|3",
            "the other one of a key goes"
        );
    }

    #[test]
    fn keys_that_exist_or_are_missing_are_errors() {
        let mut comments = Comments::parse("k|v");
        for failure in [
            comments.add("k", "w"),
            comments.update("other", "w"),
            comments.remove("other"),
            comments.add("", "w"),
            comments.add("new", ""),
            comments.add("n\0ul", "w"),
            comments.update("k", "\0"),
        ] {
            assert_eq!(failure.unwrap_err().kind(), ErrorKind::Usage);
        }
        assert_eq!(comments.stored(), "k|v");
    }

    proptest! {
        #[test]
        fn every_list_of_texts_comes_back(texts in prop::collection::vec("[^\\x00]{1,8}", 0..5)) {
            let mut comments = Comments::parse("");
            let mut expected = Vec::new();
            for text in texts {
                if comments.add(&text, &text).is_ok() {
                    expected.push(pair(&text, &text));
                }
            }
            prop_assert_eq!(pairs(&comments.stored()), expected);
        }
    }
}
