//! A configuration file as sections of keys and values, the result of parsing either syntax.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Table;

use super::problem::{Diagnostics, invalid};
use super::{ini, toml_file};
use crate::error::{Context, Result};
use crate::unit::without_bom;

/// The maximum size of a configuration file, in bytes.
const MAX_FILE_SIZE: u64 = 4 << 20;

/// A parsed file, not yet checked against the option table.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// The sections, in the order of the file.
    pub sections: Vec<RawSection>,
}

/// A section of a file, before its values are read by the option table.
#[derive(Debug)]
pub(super) struct RawSection {
    /// The text between `[` and `]`; empty for keys before the first title.
    pub title: String,
    /// The line number of the title, from 1.
    pub line: usize,
    /// Keys and values; all values are strings in the INI syntax, which has no types.
    pub table: Table,
    /// The line number of each key, from 1.
    pub lines: BTreeMap<String, usize>,
}

impl RawSection {
    /// A section without keys.
    pub fn new(title: &str, line: usize) -> RawSection {
        RawSection {
            title: title.to_owned(),
            line,
            table: Table::new(),
            lines: BTreeMap::new(),
        }
    }
}

/// How titles and paths are parsed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParseOptions {
    /// Whether keys may precede the first title, and titles may repeat: true for the file of the
    /// client.
    pub lenient: bool,
    /// Whether the value of a key is a path in which environment variables are expanded.
    pub expand_variables: fn(&str) -> bool,
}

/// Parses `file`: TOML if its name ends in `.toml`, else INI. `None` if it cannot be read at all.
pub(super) fn read(
    file: &Path,
    options: ParseOptions,
    diagnostics: &mut Diagnostics,
) -> Option<Document> {
    let text = match bytes(file) {
        Ok(text) => text,
        Err(failure) => {
            diagnostics.add(None, "", failure);
            return None;
        }
    };
    let text = without_bom(&text);
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            diagnostics.add(
                Some(line_number(before)),
                "",
                invalid("the text is not UTF-8"),
            );
            return None;
        }
    };
    if file
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        toml_file::read(text, options, diagnostics)
    } else {
        Some(ini::read(text, options, diagnostics))
    }
}

fn bytes(file: &Path) -> Result<Vec<u8>> {
    let metadata = file.metadata().context("read")?;
    if !metadata.is_file() {
        return Err(invalid("it is not a file"));
    }
    if metadata.len() > MAX_FILE_SIZE {
        return Err(invalid(format!(
            "it has {} bytes; the maximum is {MAX_FILE_SIZE}",
            metadata.len()
        )));
    }
    std::fs::read(file).context("read")
}

/// The number of the line, from 1, in which the text `before` ends.
pub(super) fn line_number(before: &[u8]) -> usize {
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}
