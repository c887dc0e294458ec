//! The TOML syntax: `[pgmoneta]`, and a table for each server, `[server.NAME]` or just `[NAME]`.

use std::ops::Range;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::document::{Document, ParseOptions, RawSection, line_number};
use super::expand::{self, Quotes};
use super::problem::{Diagnostics, invalid};

/// Parses the text of a file; `None` if it is not TOML.
pub(super) fn read(
    text: &str,
    options: ParseOptions,
    diagnostics: &mut Diagnostics,
) -> Option<Document> {
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
        document: Document::default(),
        diagnostics,
    };
    reader.root(root.get_ref());
    let mut document = reader.document;
    document.sections.sort_by_key(|section| section.line);
    Some(document)
}

/// The number of the line where `span` begins.
fn line_at(text: &str, span: Range<usize>) -> usize {
    line_number(text.as_bytes().get(..span.start).unwrap_or_default())
}

struct Reader<'a> {
    text: &'a str,
    options: ParseOptions,
    document: Document,
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
                    let mut section = RawSection::new("", at);
                    self.entry(title.get_ref(), at, value.get_ref(), &mut section);
                    self.document.sections.push(section);
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
        let mut known = self.document.sections.iter();
        if let Some(other) = known.find(|section| section.title == title)
            && !self.options.lenient
        {
            let (first, second) = (other.line.min(at), other.line.max(at));
            let text = format!("section [{title}] is already defined in line {first}");
            self.diagnostics.add(Some(second), "", invalid(text));
        }
        let mut section = RawSection::new(title, at);
        for (key, value) in table {
            let at = line_at(self.text, key.span());
            self.entry(key.get_ref(), at, value.get_ref(), &mut section);
        }
        self.document.sections.push(section);
    }

    fn entry(&mut self, key: &str, at: usize, value: &DeValue<'_>, section: &mut RawSection) {
        let value = match value {
            DeValue::String(text) if (self.options.expand_variables)(key) => {
                match expand::expand(text, Quotes::Kept) {
                    Ok(value) => Value::String(value),
                    Err(problem) => return self.diagnostics.add(Some(at), key, problem),
                }
            }
            DeValue::String(text) => Value::String(text.clone().into_owned()),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::Integer(number),
                    Err(_) => {
                        let text = format!("{} is too large", number.as_str());
                        return self.diagnostics.add(Some(at), key, invalid(text));
                    }
                }
            }
            DeValue::Array(items) => {
                let items = items.iter().map(|item| match item.get_ref() {
                    DeValue::String(text) => Some(Value::String(text.clone().into_owned())),
                    DeValue::Integer(number) => Some(Value::String(number.as_str().to_owned())),
                    _ => None,
                });
                match items.collect::<Option<Vec<_>>>() {
                    Some(items) => Value::Array(items),
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
        section.lines.insert(key.to_owned(), at);
        section.table.insert(key.to_owned(), value);
    }
}
