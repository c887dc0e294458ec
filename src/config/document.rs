//! A configuration file as sections of keys and texts, the result of parsing either syntax.

use std::collections::BTreeMap;

use super::setting::Setting;
use super::value::ValueKind;

/// A section of a file; its values are not read yet.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// The text between `[` and `]`; empty for keys before the first title.
    pub title: String,
    /// The line number of the title, from 1.
    pub line: usize,
    entries: BTreeMap<String, Entry>,
}

/// The text of a key, and its line number from 1.
#[derive(Debug)]
struct Entry {
    text: String,
    line: usize,
}

impl Section {
    /// A section without keys.
    pub fn new(title: &str, line: usize) -> Section {
        Section {
            title: title.to_owned(),
            line,
            entries: BTreeMap::new(),
        }
    }

    /// Sets a key; returns the line where it was set before.
    pub fn insert(&mut self, key: &str, text: String, line: usize) -> Option<usize> {
        let old = self.entries.insert(key.to_owned(), Entry { text, line });
        old.map(|entry| entry.line)
    }

    /// All keys with text and line.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        let entries = self.entries.iter();
        entries.map(|(key, entry)| (key.as_str(), entry.text.as_str(), entry.line))
    }

    /// Whether the section has a key, even without a text.
    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The text of a key; `None` for an empty one, which counts as not set.
    pub fn text(&self, key: &str) -> Option<&str> {
        let text = self.entries.get(key).map(|entry| entry.text.as_str());
        text.filter(|text| !text.trim().is_empty())
    }

    /// The line number of a key, else that of the title.
    pub fn line_of(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.line, |entry| entry.line)
    }
}

/// How titles and values are parsed.
#[derive(Clone, Copy)]
pub(super) struct ParseOptions<'a> {
    /// Whether keys may precede the first title, and titles may repeat: true for the file of the
    /// client.
    pub lenient: bool,
    /// The keys that the file may have.
    pub rows: &'a [Setting],
}

impl ParseOptions<'_> {
    /// Whether a key is a path in which environment variables are expanded, in any section.
    pub fn is_path(self, key: &str) -> bool {
        self.kinds(key).any(|kind| kind == ValueKind::Path)
    }

    /// The character between the items of a list.
    pub fn separator(self, key: &str) -> char {
        let separator = self.kinds(key).find_map(|kind| match kind {
            ValueKind::List(separator) => Some(separator),
            _ => None,
        });
        separator.unwrap_or(',')
    }

    fn kinds(self, key: &str) -> impl Iterator<Item = ValueKind> {
        let rows = self.rows.iter().filter(move |row| row.key == key);
        rows.map(Setting::kind)
    }
}

/// The number of the line, from 1, in which the text `before` ends.
pub(super) fn line_number(before: &[u8]) -> usize {
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}
