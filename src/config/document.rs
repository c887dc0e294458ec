//! A configuration file as sections of keys and values: what both syntaxes come to.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Table;

use super::problem::{Findings, wrong};
use super::{classic, tables};
use crate::error::{Context, Result};
use crate::unit::without_mark;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// A file, not yet checked against the option table.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// The sections, in the order of the file.
    pub sections: Vec<Section>,
}

/// A section of a file.
#[derive(Debug)]
pub(super) struct Section {
    /// Its title.
    pub title: String,
    /// The line of the title.
    pub line: usize,
    /// Keys and values; texts where the classic syntax has no types.
    pub table: Table,
    /// The line of each key.
    pub lines: BTreeMap<String, usize>,
}

impl Section {
    /// A section without keys.
    pub fn new(title: &str, line: usize) -> Section {
        Section {
            title: title.to_owned(),
            line,
            table: Table::new(),
            lines: BTreeMap::new(),
        }
    }
}

/// How the reader deals with titles and paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    /// Whether keys may stand before the first title, and titles may repeat: the file of the client.
    pub loose: bool,
    /// Whether the value of a key is a path in which environment variables are replaced.
    pub expands: fn(&str) -> bool,
}

/// Reads `file`: TOML if its name ends in `.toml`, else the classic syntax. `None` if it cannot be read at all.
pub(super) fn read(file: &Path, dialect: Dialect, findings: &mut Findings) -> Option<Document> {
    let text = match bytes(file) {
        Ok(text) => text,
        Err(failure) => {
            findings.add(None, "", failure);
            return None;
        }
    };
    let text = without_mark(&text);
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let front = text.get(..error.valid_up_to()).unwrap_or_default();
            findings.add(Some(line_of(front)), "", wrong("the text is not UTF-8"));
            return None;
        }
    };
    if file
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        tables::read(text, dialect, findings)
    } else {
        Some(classic::read(text, dialect, findings))
    }
}

fn bytes(file: &Path) -> Result<Vec<u8>> {
    let metadata = file.metadata().context("read")?;
    if !metadata.is_file() {
        return Err(wrong("it is not a file"));
    }
    if metadata.len() > LONGEST {
        return Err(wrong(format!("{} bytes are too many", metadata.len())));
    }
    std::fs::read(file).context("read")
}

/// The number of the line that follows `front`.
pub(super) fn line_of(front: &[u8]) -> usize {
    front.iter().filter(|&&byte| byte == b'\n').count() + 1
}
