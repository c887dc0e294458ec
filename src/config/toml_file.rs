//! The TOML syntax: `[pgmoneta]`, and a table for each server, `[server.NAME]` or just `[NAME]`.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::document::{ParseOptions, Section, line_number};
use super::expand::{self, Quotes};
use super::problem::{Diagnostics, invalid};

/// Parses the text of a file; `None` if it is not TOML.
pub(super) fn read(
    text: &str,
    options: ParseOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Section>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let line = error.span().map(|span| line_at(text, span));
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            diagnostics.add(line, "", invalid(message));
        }
        return None;
    }
    let mut reader = Reader {
        text,
        options,
        sections: Vec::new(),
        diagnostics,
    };
    reader.root(root.get_ref());
    let mut sections = reader.sections;
    sections.sort_by_key(|section| section.line);
    Some(sections)
}

/// The number of the line where `span` begins.
fn line_at(text: &str, span: Range<usize>) -> usize {
    line_number(text.as_bytes().get(..span.start).unwrap_or_default())
}

struct Reader<'a> {
    text: &'a str,
    options: ParseOptions<'a>,
    sections: Vec<Section>,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn root(&mut self, root: &DeTable<'_>) {
        for (title, value) in root {
            let at = line_at(self.text, title.span());
            match value.get_ref() {
                DeValue::Table(servers) if title.get_ref() == "server" && !self.options.lenient => {
                    self.servers(servers);
                }
                DeValue::Table(table) => self.section(title.get_ref(), at, table),
                _ if self.options.lenient => {
                    let mut section = Section::new("", at);
                    self.entry(title.get_ref(), at, value.get_ref(), &mut section);
                    self.sections.push(section);
                }
                _ => {
                    let problem = invalid("it precedes the first section")
                        .with_hint("put the settings of the daemon after a line [pgmoneta]");
                    self.diagnostics.add(Some(at), title.get_ref(), problem);
                }
            }
        }
    }

    fn servers(&mut self, servers: &DeTable<'_>) {
        for (name, value) in servers {
            let at = line_at(self.text, name.span());
            if let DeValue::Table(table) = value.get_ref() {
                self.section(name.get_ref(), at, table);
            } else {
                let problem = invalid("it is not in the section of a server")
                    .with_hint("the table of a server is [server.NAME] or [NAME]");
                self.diagnostics.add(Some(at), name.get_ref(), problem);
            }
        }
    }

    fn section(&mut self, title: &str, at: usize, table: &DeTable<'_>) {
        let mut known = self.sections.iter();
        if let Some(other) = known.find(|section| section.title == title)
            && !self.options.lenient
        {
            let (first, second) = (other.line.min(at), other.line.max(at));
            let text = format!("section [{title}] is already defined in line {first}");
            self.diagnostics.add(Some(second), "", invalid(text));
        }
        let mut section = Section::new(title, at);
        for (key, value) in table {
            let at = line_at(self.text, key.span());
            self.entry(key.get_ref(), at, value.get_ref(), &mut section);
        }
        self.sections.push(section);
    }

    fn entry(&mut self, key: &str, at: usize, value: &DeValue<'_>, section: &mut Section) {
        let text = match value {
            DeValue::String(text) if self.options.is_path(key) => {
                match expand::expand(text, Quotes::Kept) {
                    Ok(text) => text,
                    Err(problem) => return self.diagnostics.add(Some(at), key, problem),
                }
            }
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => number.to_string(),
                    Err(_) => {
                        let text = format!("{} is too large", number.as_str());
                        return self.diagnostics.add(Some(at), key, invalid(text));
                    }
                }
            }
            DeValue::Array(items) => {
                let items = items.iter().map(|item| match item.get_ref() {
                    DeValue::String(text) => Some(text.as_ref()),
                    DeValue::Integer(number) => Some(number.as_str()),
                    _ => None,
                });
                match items.collect::<Option<Vec<_>>>() {
                    Some(items) => items.join(&self.options.separator(key).to_string()),
                    None => {
                        let problem = invalid("the items of a list must be strings");
                        return self.diagnostics.add(Some(at), key, problem);
                    }
                }
            }
            // In the file of the client titles are ignored.
            DeValue::Table(table) if self.options.lenient => return self.section(key, at, table),
            DeValue::Table(_) => {
                let problem = invalid("sections cannot be nested")
                    .with_hint("the table of a server is [server.NAME] or [NAME]");
                return self.diagnostics.add(Some(at), key, problem);
            }
            DeValue::Float(_) | DeValue::Datetime(_) => {
                let text = "a value is a string, an integer, true, false or a list";
                return self.diagnostics.add(Some(at), key, invalid(text));
            }
        };
        section.insert(key, text, at);
    }
}
