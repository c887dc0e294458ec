//! The classic syntax: `[title]`, `key = value`, `#` and `;` before comments.
//!
//! As the C program reads it, but a value in quotes may contain `#` and `;`, and what the C program skips without a
//! word (text after a title, a title without `]`, an open quote) is a problem.

use std::collections::BTreeMap;

use toml::Value;

use super::document::{Dialect, Document, Section};
use super::expand::{self, Quotes};
use super::problem::{Findings, wrong};
use crate::error::Failure;

/// Reads the text of a file; never fails as a whole.
pub(super) fn read(text: &str, dialect: Dialect, findings: &mut Findings) -> Document {
    let mut document = Document::default();
    let mut titles = BTreeMap::new();
    for (index, line) in text.split('\n').enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(control) = line.chars().find(|c| c.is_control() && *c != '\t') {
            let text = format!("the line contains the control character {control:?}");
            findings.add(Some(number), "", wrong(text));
        } else if let Some(rest) = line.strip_prefix('[') {
            match title(rest) {
                Ok(title) => begin(title, number, dialect, &mut titles, &mut document, findings),
                Err(problem) => findings.add(Some(number), "", problem),
            }
        } else {
            entry(line, number, dialect, &mut document, findings);
        }
    }
    document
}

fn title(rest: &str) -> Result<&str, Failure> {
    let (title, after) = rest
        .split_once(']')
        .ok_or_else(|| wrong("the ] after the title of the section is missing"))?;
    let after = after.trim_start();
    if after.is_empty() || after.starts_with(['#', ';']) {
        Ok(title.trim())
    } else {
        Err(wrong(format!("text after the title of section [{title}]")))
    }
}

fn begin<'a>(
    title: &'a str,
    number: usize,
    dialect: Dialect,
    titles: &mut BTreeMap<&'a str, usize>,
    document: &mut Document,
    findings: &mut Findings,
) {
    if let Some(first) = titles.insert(title, number)
        && !dialect.loose
    {
        let text = format!("section [{title}] is there already, in line {first}");
        findings.add(Some(number), "", wrong(text));
    }
    document.sections.push(Section::new(title, number));
}

fn entry(
    line: &str,
    number: usize,
    dialect: Dialect,
    document: &mut Document,
    findings: &mut Findings,
) {
    let Some((key, value)) = line.split_once('=') else {
        let text = format!("{line:?} is neither a section nor key = value");
        findings.add(Some(number), "", wrong(text));
        return;
    };
    let key = key.trim().trim_matches(['"', '\'']);
    if key.is_empty() {
        findings.add(Some(number), "", wrong("there is no key before the ="));
        return;
    }
    let value = if (dialect.expands)(key) {
        expand::expand(value.trim_start(), Quotes::Removed)
    } else {
        plain(value.trim_start())
    };
    let value = match value {
        Ok(value) => value,
        Err(problem) => {
            findings.add(Some(number), key, problem);
            return;
        }
    };
    if document.sections.is_empty() {
        if !dialect.loose {
            let problem = wrong("it stands before the first section")
                .hint("settings of the daemon follow a line [pgmoneta]");
            findings.add(Some(number), key, problem);
            return;
        }
        document.sections.push(Section::new("", number));
    }
    let Some(section) = document.sections.last_mut() else {
        return;
    };
    if let Some(first) = section.lines.insert(key.to_owned(), number) {
        let text = format!("{key} is in line {first} too; this one counts");
        findings.warning(Some(number), text);
    }
    section.table.insert(key.to_owned(), Value::String(value));
}

/// The value of a key that is not a path: in quotes, or up to a comment.
fn plain(text: &str) -> Result<String, Failure> {
    let quote = text.chars().next().filter(|c| "\"'".contains(*c));
    let Some(quote) = quote else {
        let value = text.split(['#', ';']).next().unwrap_or_default();
        return Ok(value.trim_end().to_owned());
    };
    let inside = text.get(1..).unwrap_or_default();
    let (value, after) = inside
        .split_once(quote)
        .ok_or_else(|| wrong(format!("the closing {quote} is missing")))?;
    let after = after.trim_start();
    if after.is_empty() || after.starts_with(['#', ';']) {
        Ok(value.to_owned())
    } else {
        Err(wrong(format!("text after the closing {quote}")))
    }
}
