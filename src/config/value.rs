//! From texts to values, by the kind that the option table says.

use std::path::PathBuf;

use super::Retention;
use super::option::{Kind, Setting, Words};
use super::problem::wrong;
use super::suggest::closest;
use crate::error::Failure;
use crate::unit::{ByteSize, Level, Span};

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A text, or a pattern.
    Text(String),
    /// A path, as it is in the file.
    Path(PathBuf),
    /// On or off.
    Boolean(bool),
    /// A number.
    Integer(i64),
    /// A length of time.
    Time(Span),
    /// A size, or a rate.
    Size(ByteSize),
    /// A value that is inherited.
    Inherited,
    /// A compression level.
    Level(Level),
    /// How long backups are kept; what is unset is inherited.
    Retention(Retention),
    /// The first name of a word.
    Word(&'static str),
    /// The first names of words.
    Words(Vec<&'static str>),
    /// Items.
    List(Vec<String>),
}

/// Reads a value that is not empty.
pub(super) fn read(setting: &Setting, text: &str) -> Result<Value, Failure> {
    Ok(match setting.kind {
        Kind::Text => Value::Text(text.to_owned()),
        Kind::Pattern => {
            crate::logging::check_pattern(text)?;
            Value::Text(text.to_owned())
        }
        Kind::Path | Kind::PlainPath => Value::Path(PathBuf::from(text)),
        Kind::InheritedBoolean if text == "-1" => Value::Inherited,
        Kind::Boolean | Kind::InheritedBoolean => Value::Boolean(boolean(text)?),
        Kind::Integer(least, most) => Value::Integer(integer(text, least, most)?),
        Kind::Time(least) => Value::Time(time(text, least)?),
        Kind::ServerRate if text == "-1" => Value::Inherited,
        Kind::Size | Kind::Rate | Kind::ServerRate => Value::Size(text.parse()?),
        Kind::Level => Value::Level(level(text)?),
        Kind::Retention => Value::Retention(retention(text)?),
        Kind::Word(words) => Value::Word(word(text, words)?),
        Kind::WordList(words) => {
            let items = items(text, ',');
            let read = items.iter().map(|item| word(item, words));
            Value::Words(read.collect::<Result<_, _>>()?)
        }
        Kind::List(separator, most) => Value::List(list(text, separator, most)?),
    })
}

fn boolean(text: &str) -> Result<bool, Failure> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(wrong(format!("{text:?} is neither on nor off"))),
    }
}

fn integer(text: &str, least: i64, most: i64) -> Result<i64, Failure> {
    let number = text.parse::<i64>();
    number
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            wrong(format!(
                "{text:?} is not a whole number from {least} to {most}"
            ))
        })
}

fn time(text: &str, least: u64) -> Result<Span, Failure> {
    let span: Span = text.parse()?;
    if span.0 < least {
        return Err(wrong(format!("{span} is less than {}", Span(least))));
    }
    Ok(span)
}

fn level(text: &str) -> Result<Level, Failure> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Level::Auto);
    }
    let number = text.parse().map(Level::Fixed);
    number.map_err(|_| wrong(format!("{text:?} is neither auto nor a whole number")))
}

/// Days, weeks, months, years; unset where a field is missing, empty, 0, `-`, `x` or `X`.
pub(super) fn retention(text: &str) -> Result<Retention, Failure> {
    let field = |field: &str| {
        match field.trim() {
        "" | "-" | "x" | "X" | "0" => Ok(None),
        number => number.parse::<u32>().map(Some).map_err(|_| {
            wrong(format!("{number:?} is not a number of days, weeks, months or years")).hint(
                "retention is four numbers for days, weeks, months and years, with - for no rule: 7, 4, -, 1",
            )
        }),
    }
    };
    let fields = text.split(',').map(field).collect::<Result<Vec<_>, _>>()?;
    if fields.len() > 4 {
        return Err(wrong(format!("{text:?} has more than four fields")));
    }
    let at = |index: usize| fields.get(index).copied().flatten();
    Ok(Retention {
        days: at(0),
        weeks: at(1),
        months: at(2),
        years: at(3),
    })
}

fn word(text: &str, words: Words) -> Result<&'static str, Failure> {
    let lower = text.to_ascii_lowercase();
    let found = words
        .iter()
        .find(|(name, others)| *name == lower || others.contains(&lower.as_str()));
    if let Some((name, _)) = found {
        return Ok(name);
    }
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let problem = wrong(format!("{text:?} is none of {}", names.join(", ")));
    let spellings = words
        .iter()
        .flat_map(|(name, others)| std::iter::once(name).chain(others.iter()));
    Err(match closest(&lower, spellings.copied()) {
        Some(close) => problem.hint(format!("did you mean {close}?")),
        None => problem,
    })
}

/// The items of a list without white space around them; empty ones do not count.
fn items(text: &str, separator: char) -> Vec<&str> {
    let items = text.split(separator).map(str::trim);
    items.filter(|item| !item.is_empty()).collect()
}

fn list(text: &str, separator: char, most: usize) -> Result<Vec<String>, Failure> {
    let items = items(text, separator);
    if items.len() > most {
        return Err(wrong(format!("{} items are more than {most}", items.len())));
    }
    Ok(items.into_iter().map(str::to_owned).collect())
}
