//! The INI syntax of `pgmoneta.conf`: `[title]`, `key = value`, `#` and `;` before comments.
//!
//! Differences to the C program: a value in quotes may contain `#` and `;`, and what the C program
//! skips silently (text after a title, a title without `]`, an open quote) is an error.

use std::collections::BTreeMap;

use super::document::{ParseOptions, Section};
use super::expand::{self, Quotes};
use super::problem::{Diagnostics, invalid};
use crate::error::Error;

/// Parses the text of a file; lines with errors are skipped and reported in `diagnostics`.
pub(super) fn read(
    text: &str,
    options: ParseOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut titles = BTreeMap::new();
    for (index, line) in text.split('\n').enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(control) = line.chars().find(|c| c.is_control() && *c != '\t') {
            let text = format!("the line contains the control character {control:?}");
            diagnostics.add(Some(number), "", invalid(text));
        } else if let Some(rest) = line.strip_prefix('[') {
            match title(rest) {
                Ok(title) => start_section(
                    title,
                    number,
                    options,
                    &mut titles,
                    &mut sections,
                    diagnostics,
                ),
                Err(problem) => diagnostics.add(Some(number), "", problem),
            }
        } else {
            entry(line, number, options, &mut sections, diagnostics);
        }
    }
    sections
}

fn title(rest: &str) -> Result<&str, Error> {
    let (title, after) = rest
        .split_once(']')
        .ok_or_else(|| invalid("the ] after the title of the section is missing"))?;
    let after = after.trim_start();
    if after.is_empty() || after.starts_with(['#', ';']) {
        Ok(title.trim())
    } else {
        Err(invalid(format!(
            "text after the title of section [{title}]"
        )))
    }
}

fn start_section<'a>(
    title: &'a str,
    number: usize,
    options: ParseOptions<'_>,
    titles: &mut BTreeMap<&'a str, usize>,
    sections: &mut Vec<Section>,
    diagnostics: &mut Diagnostics,
) {
    if let Some(first) = titles.insert(title, number)
        && !options.lenient
    {
        let text = format!("section [{title}] is already defined in line {first}");
        diagnostics.add(Some(number), "", invalid(text));
    }
    sections.push(Section::new(title, number));
}

fn entry(
    line: &str,
    number: usize,
    options: ParseOptions<'_>,
    sections: &mut Vec<Section>,
    diagnostics: &mut Diagnostics,
) {
    let Some((key, value)) = line.split_once('=') else {
        let text = format!("{line:?} is neither a section nor key = value");
        diagnostics.add(Some(number), "", invalid(text));
        return;
    };
    let key = key.trim().trim_matches(['"', '\'']);
    if key.is_empty() {
        diagnostics.add(Some(number), "", invalid("there is no key before the ="));
        return;
    }
    let value = if options.is_path(key) {
        expand::expand(value.trim_start(), Quotes::Removed)
    } else {
        unquote(value.trim_start())
    };
    let value = match value {
        Ok(value) => value,
        Err(problem) => {
            diagnostics.add(Some(number), key, problem);
            return;
        }
    };
    if sections.is_empty() {
        if !options.lenient {
            let problem = invalid("it precedes the first section")
                .with_hint("put the settings of the daemon after a line [pgmoneta]");
            diagnostics.add(Some(number), key, problem);
            return;
        }
        sections.push(Section::new("", number));
    }
    let Some(section) = sections.last_mut() else {
        return;
    };
    if let Some(first) = section.insert(key, value, number) {
        let text = format!("{key} is also set in line {first}; this value is used");
        diagnostics.warning(Some(number), text);
    }
}

/// The value of a key that is not a path: the text in quotes, or up to a comment.
fn unquote(text: &str) -> Result<String, Error> {
    let quote = text.chars().next().filter(|c| "\"'".contains(*c));
    let Some(quote) = quote else {
        let value = text.split(['#', ';']).next().unwrap_or_default();
        return Ok(value.trim_end().to_owned());
    };
    let inside = text.get(1..).unwrap_or_default();
    let (value, after) = inside
        .split_once(quote)
        .ok_or_else(|| invalid(format!("the closing {quote} is missing")))?;
    let after = after.trim_start();
    if after.is_empty() || after.starts_with(['#', ';']) {
        Ok(value.to_owned())
    } else {
        Err(invalid(format!("text after the closing {quote}")))
    }
}
