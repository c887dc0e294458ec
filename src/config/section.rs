//! A section whose values were read by the option table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Value as Raw;

use super::document;
use super::option::{Presence, Setting};
use super::problem::{Findings, wrong};
use super::suggest::closest;
use super::table::{OPTIONS, find};
use super::value::{self, Value};
use crate::unit::Span;

/// A section of the file with its values, or `[pgmoneta]` without any.
pub(super) struct Section<'a> {
    /// Its title.
    pub title: String,
    /// The line of the title.
    pub line: Option<usize>,
    rows: &'static [Setting],
    values: BTreeMap<&'static str, Found>,
    /// `[pgmoneta]`, for the section of a server.
    above: Option<&'a Section<'a>>,
}

/// What the file says; no value where it says it wrongly.
struct Found {
    value: Option<Value>,
    line: Option<usize>,
}

impl<'a> Section<'a> {
    /// Reads all values of a section by the option table `rows`; `above` is `[pgmoneta]` where it is the section of
    /// a server.
    pub fn read(
        section: &document::Section,
        rows: &'static [Setting],
        above: Option<&'a Section<'a>>,
        findings: &mut Findings,
    ) -> Section<'a> {
        let mut values = BTreeMap::new();
        for (key, raw) in &section.table {
            let line = section.lines.get(key).copied();
            let Some(setting) = find(rows, key, above.is_none()) else {
                unknown(rows, key, line, above.is_none(), findings);
                continue;
            };
            let Some(text) = text(raw, setting) else {
                continue;
            };
            let value = match value::read(setting, &text) {
                Ok(value) => Some(value),
                Err(problem) => {
                    findings.add(line, key, problem);
                    None
                }
            };
            if let Some(value) = &value {
                announce(setting, value, line, findings);
            }
            values.insert(setting.key, Found { value, line });
        }
        let read = Section {
            title: section.title.clone(),
            line: Some(section.line),
            rows,
            values,
            above,
        };
        read.required(findings);
        read
    }

    /// `[pgmoneta]` of a file that has none.
    pub fn missing() -> Section<'a> {
        Section {
            title: String::from("pgmoneta"),
            line: None,
            rows: OPTIONS,
            values: BTreeMap::new(),
            above: None,
        }
    }

    fn required(&self, findings: &mut Findings) {
        let main = self.above.is_none();
        for setting in self.rows {
            if setting.required && setting.allowed(main) && !self.values.contains_key(setting.key) {
                let text = format!("it is missing in section [{}]", self.title);
                findings.add(self.line, setting.key, wrong(text));
            }
        }
    }

    /// The line of a key, else that of the section.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        let found = self.values.get(key);
        found.and_then(|found| found.line).or(self.line)
    }

    /// What the section itself says.
    pub fn own(&self, key: &str) -> Option<&Value> {
        self.values.get(key).and_then(|found| found.value.as_ref())
    }

    /// What the section says, or `[pgmoneta]` says for it, or the option table.
    fn value(&self, key: &str) -> Option<Value> {
        let main = self.above.is_none();
        let setting = find(self.rows, key, main)?;
        let above = self.above.filter(|_| setting.allowed(true));
        let said = self
            .own(key)
            .or_else(|| above.and_then(|above| above.own(key)));
        match said {
            Some(value) => Some(value.clone()),
            None if setting.default.is_empty() => None,
            None => value::read(setting, setting.default).ok(),
        }
    }

    /// A text; empty where there is none.
    pub fn text(&self, key: &str) -> String {
        match self.value(key) {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        }
    }

    /// A path, if there is one; made absolute, because the daemon leaves its directory.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        match self.value(key) {
            Some(Value::Path(path)) => Some(absolute(&path)),
            _ => None,
        }
    }

    /// On or off.
    pub fn boolean(&self, key: &str) -> bool {
        matches!(self.value(key), Some(Value::Boolean(true)))
    }

    /// A number that is not negative, 0 where there is none.
    pub fn number(&self, key: &str) -> u32 {
        match self.value(key) {
            Some(Value::Integer(number)) => u32::try_from(number).unwrap_or(0),
            _ => 0,
        }
    }

    /// A length of time.
    pub fn time(&self, key: &str) -> Span {
        match self.value(key) {
            Some(Value::Time(span)) => span,
            _ => Span::default(),
        }
    }

    /// A word of a list, by its first name.
    pub fn word(&self, key: &str) -> &'static str {
        match self.value(key) {
            Some(Value::Word(word)) => word,
            _ => "",
        }
    }

    /// Any value.
    pub fn any(&self, key: &str) -> Option<Value> {
        self.value(key)
    }
}

/// The text of a value; `None` for an empty one, which is as good as none.
fn text(raw: &Raw, setting: &Setting) -> Option<String> {
    let text = match raw {
        Raw::String(text) => text.clone(),
        Raw::Integer(number) => number.to_string(),
        Raw::Boolean(value) => value.to_string(),
        Raw::Array(items) => {
            let separator = match setting.kind {
                super::option::Kind::List(separator, _) => separator,
                _ => ',',
            };
            let items = items.iter().filter_map(Raw::as_str);
            items.collect::<Vec<_>>().join(&separator.to_string())
        }
        // The readers make nothing else.
        Raw::Float(_) | Raw::Datetime(_) | Raw::Table(_) => return None,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

fn unknown(
    rows: &'static [Setting],
    key: &str,
    line: Option<usize>,
    main: bool,
    findings: &mut Findings,
) {
    let problem = if find(rows, key, !main).is_some() {
        wrong(if main {
            "it belongs into the section of a server"
        } else {
            "it belongs into section [pgmoneta]"
        })
    } else {
        let keys = rows.iter().filter(|setting| setting.allowed(main));
        let problem = wrong("there is no such option");
        match closest(&key.to_ascii_lowercase(), keys.map(|setting| setting.key)) {
            Some(close) => problem.hint(format!("did you mean {close}?")),
            None => problem,
        }
    };
    findings.add(line, key, problem);
}

/// Says where a value does nothing, or nothing yet.
fn announce(setting: &Setting, value: &Value, line: Option<usize>, findings: &mut Findings) {
    let default = value::read(setting, setting.default).ok();
    let same = default.as_ref() == Some(value) || *value == Value::Inherited;
    let key = setting.key;
    match setting.presence {
        Presence::Here => {}
        // Who says how long backups are kept expects that the others go.
        Presence::Later(feature) if !same || key == "retention" => {
            findings.not_yet(line, format!("{key}: {feature} is not there yet"));
        }
        Presence::NoEffect(why) if !same => {
            findings.warning(line, format!("{key} has no effect: {why}"));
        }
        _ => {}
    }
}

/// `path` from the root.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
