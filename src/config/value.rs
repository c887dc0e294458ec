//! Parses values by the kind in the option table.

use std::path::PathBuf;

use super::Retention;
use super::option::{EnumValues, Setting, ValueKind};
use super::problem::invalid;
use super::suggest::closest;
use crate::codec::Level;
use crate::error::Error;
use crate::unit::{ByteSize, Span, is_name};

/// A value, parsed by the [`ValueKind`] of its option.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// [`ValueKind::Text`] or [`ValueKind::Pattern`].
    Text(String),
    /// A path, not yet made absolute.
    Path(PathBuf),
    /// `on` or `off`.
    Boolean(bool),
    /// An integer of the range of its kind.
    Integer(i64),
    /// A duration in seconds.
    Time(Span),
    /// A size in bytes, or a rate in bytes per second.
    Size(ByteSize),
    /// -1: the value of `[pgmoneta]` is used.
    Inherited,
    /// A compression level, not yet checked against the range of the method.
    Level(Level),
    /// A retention; fields that are `None` are inherited.
    Retention(Retention),
    /// The name, not an alias, of the value.
    Enum(&'static str),
    /// The first names of values.
    EnumList(Vec<&'static str>),
    /// Items without white space around them.
    List(Vec<String>),
}

/// Parses a value that is not empty.
pub(super) fn read(setting: &Setting, text: &str) -> Result<Value, Error> {
    Ok(match setting.kind {
        ValueKind::Text => Value::Text(text.to_owned()),
        ValueKind::Pattern => {
            crate::logging::check_pattern(text)?;
            Value::Text(text.to_owned())
        }
        ValueKind::Path | ValueKind::PlainPath => Value::Path(PathBuf::from(text)),
        ValueKind::InheritedBoolean if text == "-1" => Value::Inherited,
        ValueKind::Boolean | ValueKind::InheritedBoolean => Value::Boolean(boolean(text)?),
        ValueKind::Integer(min, max) => Value::Integer(integer(text, min, max)?),
        ValueKind::Time(min) => Value::Time(time(text, min)?),
        ValueKind::ServerRate if text == "-1" => Value::Inherited,
        ValueKind::Size | ValueKind::Rate | ValueKind::ServerRate => Value::Size(text.parse()?),
        ValueKind::Level => Value::Level(level(text)?),
        ValueKind::Retention => Value::Retention(retention(text)?),
        ValueKind::Enum(values) => Value::Enum(enum_value(text, values)?),
        ValueKind::EnumList(values) => {
            let items = items(text, ',');
            let read = items.iter().map(|item| enum_value(item, values));
            Value::EnumList(read.collect::<Result<_, _>>()?)
        }
        ValueKind::List(separator, max) => Value::List(list(text, separator, max)?),
    })
}

fn boolean(text: &str) -> Result<bool, Error> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(invalid(format!("{text:?} is neither on nor off"))),
    }
}

fn integer(text: &str, min: i64, max: i64) -> Result<i64, Error> {
    let number = text.parse::<i64>();
    number
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| invalid(format!("{text:?} is not an integer from {min} to {max}")))
}

fn time(text: &str, min: u64) -> Result<Span, Error> {
    let span: Span = text.parse()?;
    if span.0 < min {
        return Err(invalid(format!("{span} is less than {}", Span(min))));
    }
    Ok(span)
}

fn level(text: &str) -> Result<Level, Error> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Level::Auto);
    }
    let number = text.parse().map(Level::Fixed);
    number.map_err(|_| invalid(format!("{text:?} is neither auto nor an integer")))
}

/// Parses days, weeks, months, years; a field is unset if it is missing, empty, 0, `-`, `x` or `X`.
pub(super) fn retention(text: &str) -> Result<Retention, Error> {
    let field = |field: &str| {
        match field.trim() {
        "" | "-" | "x" | "X" | "0" => Ok(None),
        number => number.parse::<u32>().map(Some).map_err(|_| {
            invalid(format!("{number:?} is not a number of days, weeks, months or years")).with_hint(
                "retention is four numbers for days, weeks, months and years, with - for no rule: 7, 4, -, 1",
            )
        }),
    }
    };
    let fields = text.split(',').map(field).collect::<Result<Vec<_>, _>>()?;
    if fields.len() > 4 {
        return Err(invalid(format!("{text:?} has more than four fields")));
    }
    let at = |index: usize| fields.get(index).copied().flatten();
    Ok(Retention {
        days: at(0),
        weeks: at(1),
        months: at(2),
        years: at(3),
    })
}

fn enum_value(text: &str, values: EnumValues) -> Result<&'static str, Error> {
    let lower = text.to_ascii_lowercase();
    let found = values.iter().find(|names| is_name(&lower, **names));
    if let Some((name, _)) = found {
        return Ok(name);
    }
    let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    let problem = invalid(format!("{text:?} is not one of {}", names.join(", ")));
    let spellings = values
        .iter()
        .flat_map(|(name, others)| std::iter::once(name).chain(others.iter()));
    Err(match closest(&lower, spellings.copied()) {
        Some(close) => problem.with_hint(format!("did you mean {close}?")),
        None => problem,
    })
}

/// The items of a list without white space around them; empty ones are skipped.
fn items(text: &str, separator: char) -> Vec<&str> {
    let items = text.split(separator).map(str::trim);
    items.filter(|item| !item.is_empty()).collect()
}

fn list(text: &str, separator: char, max: usize) -> Result<Vec<String>, Error> {
    let items = items(text, separator);
    if items.len() > max {
        return Err(invalid(format!(
            "{} items exceed the maximum of {max}",
            items.len()
        )));
    }
    Ok(items.into_iter().map(str::to_owned).collect())
}
