//! A section with typed values, read by the option table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Value as Raw;

use super::document;
use super::option::{Setting, Support};
use super::problem::{Diagnostics, invalid};
use super::suggest::closest;
use super::table::{OPTIONS, find};
use super::value::{self, Value};
use crate::unit::Span;

/// A section of the file with typed values; empty where the file has no `[pgmoneta]`.
pub(super) struct Section<'a> {
    /// `pgmoneta` or the name of a server.
    pub title: String,
    /// The line number of the title; `None` if the section is missing.
    pub line: Option<usize>,
    rows: &'static [Setting],
    values: BTreeMap<&'static str, Entry>,
    /// `[pgmoneta]`, for the section of a server.
    global: Option<&'a Section<'a>>,
}

/// A key of the file; without value where the value is invalid.
struct Entry {
    value: Option<Value>,
    line: Option<usize>,
}

impl<'a> Section<'a> {
    /// Reads all values of a section by the option table `rows`; `global` is `[pgmoneta]` for the
    /// section of a server, `None` for `[pgmoneta]` itself.
    pub fn read(
        section: &document::RawSection,
        rows: &'static [Setting],
        global: Option<&'a Section<'a>>,
        diagnostics: &mut Diagnostics,
    ) -> Section<'a> {
        let mut values = BTreeMap::new();
        for (key, raw) in &section.table {
            let line = section.lines.get(key).copied();
            let Some(setting) = find(rows, key, global.is_none()) else {
                unknown(rows, key, line, global.is_none(), diagnostics);
                continue;
            };
            let Some(text) = text(raw, setting) else {
                continue;
            };
            let value = match value::read(setting, &text) {
                Ok(value) => Some(value),
                Err(problem) => {
                    diagnostics.add(line, key, problem);
                    None
                }
            };
            if let Some(value) = &value {
                warn_inactive(setting, value, line, diagnostics);
            }
            values.insert(setting.key, Entry { value, line });
        }
        let read = Section {
            title: section.title.clone(),
            line: Some(section.line),
            rows,
            values,
            global,
        };
        read.required(diagnostics);
        read
    }

    /// An empty `[pgmoneta]`, for a file that has none.
    pub fn missing() -> Section<'a> {
        Section {
            title: String::from("pgmoneta"),
            line: None,
            rows: OPTIONS,
            values: BTreeMap::new(),
            global: None,
        }
    }

    fn required(&self, diagnostics: &mut Diagnostics) {
        let main = self.global.is_none();
        for setting in self.rows {
            if setting.required && setting.allowed(main) && !self.values.contains_key(setting.key) {
                let text = format!("it is missing in section [{}]", self.title);
                diagnostics.add(self.line, setting.key, invalid(text));
            }
        }
    }

    /// The line number of a key, else that of the section.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        let entry = self.values.get(key);
        entry.and_then(|entry| entry.line).or(self.line)
    }

    /// The value in this section, neither inherited nor a default.
    pub fn local(&self, key: &str) -> Option<&Value> {
        self.values.get(key).and_then(|entry| entry.value.as_ref())
    }

    /// The value in this section, else that in `[pgmoneta]`, else the default.
    fn value(&self, key: &str) -> Option<Value> {
        let main = self.global.is_none();
        let setting = find(self.rows, key, main)?;
        let global = self.global.filter(|_| setting.allowed(true));
        let configured = self
            .local(key)
            .or_else(|| global.and_then(|global| global.local(key)));
        match configured {
            Some(value) => Some(value.clone()),
            None if setting.default.is_empty() => None,
            None => value::read(setting, setting.default).ok(),
        }
    }

    /// A string; empty if it is not set.
    pub fn text(&self, key: &str) -> String {
        match self.value(key) {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        }
    }

    /// A path, if it is set; made absolute, because the daemon changes its working directory.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        match self.value(key) {
            Some(Value::Path(path)) => Some(absolute(&path)),
            _ => None,
        }
    }

    /// A boolean; `false` if it is not set.
    pub fn boolean(&self, key: &str) -> bool {
        matches!(self.value(key), Some(Value::Boolean(true)))
    }

    /// An integer that is not negative; 0 if it is not set.
    pub fn number(&self, key: &str) -> u32 {
        match self.value(key) {
            Some(Value::Integer(number)) => u32::try_from(number).unwrap_or(0),
            _ => 0,
        }
    }

    /// A duration; 0 if it is not set.
    pub fn time(&self, key: &str) -> Span {
        match self.value(key) {
            Some(Value::Time(span)) => span,
            _ => Span::default(),
        }
    }

    /// The name of the value of an enum; empty if it is not set.
    pub fn enum_value(&self, key: &str) -> &'static str {
        match self.value(key) {
            Some(Value::Enum(name)) => name,
            _ => "",
        }
    }

    /// A value of any type.
    pub fn any(&self, key: &str) -> Option<Value> {
        self.value(key)
    }
}

/// The text of a value; `None` for an empty one, which counts as not set.
fn text(raw: &Raw, setting: &Setting) -> Option<String> {
    let text = match raw {
        Raw::String(text) => text.clone(),
        Raw::Integer(number) => number.to_string(),
        Raw::Boolean(value) => value.to_string(),
        Raw::Array(items) => {
            let separator = match setting.kind {
                super::option::ValueKind::List(separator, _) => separator,
                _ => ',',
            };
            let items = items.iter().filter_map(Raw::as_str);
            items.collect::<Vec<_>>().join(&separator.to_string())
        }
        // Neither parser returns these.
        Raw::Float(_) | Raw::Datetime(_) | Raw::Table(_) => return None,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

fn unknown(
    rows: &'static [Setting],
    key: &str,
    line: Option<usize>,
    main: bool,
    diagnostics: &mut Diagnostics,
) {
    let problem = if find(rows, key, !main).is_some() {
        invalid(if main {
            "it belongs in the section of a server"
        } else {
            "it belongs in section [pgmoneta]"
        })
    } else {
        let keys = rows.iter().filter(|setting| setting.allowed(main));
        let problem = invalid("there is no such option");
        match closest(&key.to_ascii_lowercase(), keys.map(|setting| setting.key)) {
            Some(close) => problem.with_hint(format!("did you mean {close}?")),
            None => problem,
        }
    };
    diagnostics.add(line, key, problem);
}

/// Adds a warning if a value other than the default has no effect.
fn warn_inactive(
    setting: &Setting,
    value: &Value,
    line: Option<usize>,
    diagnostics: &mut Diagnostics,
) {
    let default = value::read(setting, setting.default).ok();
    let same = default.as_ref() == Some(value) || *value == Value::Inherited;
    let key = setting.key;
    match setting.support {
        Support::Active => {}
        // Even the default retention, if it is set, suggests that old backups are removed.
        Support::Planned(feature) if !same || key == "retention" => {
            diagnostics.not_implemented(line, format!("{key}: {feature} is not implemented yet"));
        }
        Support::Ignored(why) if !same => {
            diagnostics.warning(line, format!("{key} has no effect: {why}"));
        }
        _ => {}
    }
}

/// The absolute path; unchanged if the working directory is not known.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
