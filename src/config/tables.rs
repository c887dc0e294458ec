//! TOML: `[pgmoneta]`, and a table for each server, `[server.NAME]` or just `[NAME]`.

use std::ops::Range;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::document::{Dialect, Document, Section, line_of};
use super::expand::{self, Quotes};
use super::problem::{Findings, wrong};

/// Reads the text of a file; `None` if it is not TOML.
pub(super) fn read(text: &str, dialect: Dialect, findings: &mut Findings) -> Option<Document> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let line = error.span().map(|span| line(text, span));
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            findings.add(line, "", wrong(message));
        }
        return None;
    }
    let mut reader = Reader {
        text,
        dialect,
        document: Document::default(),
        findings,
    };
    reader.root(root.get_ref());
    let mut document = reader.document;
    document.sections.sort_by_key(|section| section.line);
    Some(document)
}

/// The number of the line where `span` begins.
fn line(text: &str, span: Range<usize>) -> usize {
    line_of(text.as_bytes().get(..span.start).unwrap_or_default())
}

struct Reader<'a> {
    text: &'a str,
    dialect: Dialect,
    document: Document,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn root(&mut self, root: &DeTable<'_>) {
        for (title, value) in root {
            let at = line(self.text, title.span());
            match value.get_ref() {
                DeValue::Table(servers) if title.get_ref() == "server" && !self.dialect.loose => {
                    self.servers(servers);
                }
                DeValue::Table(table) => self.section(title.get_ref(), at, table),
                _ if self.dialect.loose => {
                    let mut section = Section::new("", at);
                    self.entry(title.get_ref(), at, value.get_ref(), &mut section);
                    self.document.sections.push(section);
                }
                _ => {
                    let problem = wrong("it stands before the first section")
                        .hint("settings of the daemon follow a line [pgmoneta]");
                    self.findings.add(Some(at), title.get_ref(), problem);
                }
            }
        }
    }

    fn servers(&mut self, servers: &DeTable<'_>) {
        for (name, value) in servers {
            let at = line(self.text, name.span());
            if let DeValue::Table(table) = value.get_ref() {
                self.section(name.get_ref(), at, table);
            } else {
                let problem = wrong("it belongs to no server")
                    .hint("the table of a server is [server.NAME] or [NAME]");
                self.findings.add(Some(at), name.get_ref(), problem);
            }
        }
    }

    fn section(&mut self, title: &str, at: usize, table: &DeTable<'_>) {
        let mut known = self.document.sections.iter();
        if let Some(other) = known.find(|section| section.title == title)
            && !self.dialect.loose
        {
            let (first, second) = (other.line.min(at), other.line.max(at));
            let text = format!("section [{title}] is there already, in line {first}");
            self.findings.add(Some(second), "", wrong(text));
        }
        let mut section = Section::new(title, at);
        for (key, value) in table {
            let at = line(self.text, key.span());
            self.entry(key.get_ref(), at, value.get_ref(), &mut section);
        }
        self.document.sections.push(section);
    }

    fn entry(&mut self, key: &str, at: usize, value: &DeValue<'_>, section: &mut Section) {
        let value = match value {
            DeValue::String(text) if (self.dialect.expands)(key) => {
                match expand::expand(text, Quotes::Kept) {
                    Ok(value) => Value::String(value),
                    Err(problem) => return self.findings.add(Some(at), key, problem),
                }
            }
            DeValue::String(text) => Value::String(text.clone().into_owned()),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::Integer(number),
                    Err(_) => {
                        let text = format!("{} is too large", number.as_str());
                        return self.findings.add(Some(at), key, wrong(text));
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
                        let problem = wrong("the items of a list must be texts");
                        return self.findings.add(Some(at), key, problem);
                    }
                }
            }
            // Titles mean nothing there.
            DeValue::Table(table) if self.dialect.loose => return self.section(key, at, table),
            DeValue::Table(_) => {
                let problem = wrong("a section inside of a section")
                    .hint("the table of a server is [server.NAME] or [NAME]");
                return self.findings.add(Some(at), key, problem);
            }
            DeValue::Float(_) | DeValue::Datetime(_) => {
                let text = "a value is a text, a whole number, true, false or a list";
                return self.findings.add(Some(at), key, wrong(text));
            }
        };
        section.lines.insert(key.to_owned(), at);
        section.table.insert(key.to_owned(), value);
    }
}
