//! How the value of each type of field is read from text and printed.

use std::path::{Path, PathBuf};

use super::model::{AuthMethod, AuthMethods, Host, Retention};
use super::problem::{closest, invalid};
use super::reserve::Reserve;
use crate::codec::Level;
use crate::error::{Error, Result};
use crate::unit::{ByteSize, Keyword, Names, Span, is_name};

/// What the values of a key look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// A path in which `$NAME` stands for an environment variable.
    Path,
    /// `on`, `true`, `yes`, `1`, `off`, `false`, `no` or `0`.
    Boolean,
    /// An integer.
    Integer,
    /// A duration.
    Time,
    /// A number of bytes.
    Size,
    /// A number of bytes, or a percentage of the file system.
    SizeOrPercentage,
    /// A compression level or `auto`.
    Level,
    /// Days, weeks, months and years, separated by commas.
    Retention,
    /// One of these words.
    Enum(Vec<&'static str>),
    /// Any of these words, separated by commas.
    EnumList(Vec<&'static str>),
    /// Items separated by this character.
    List(char),
}

/// The lowest and the highest number that a key accepts; for a duration, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The lowest number.
    pub min: i64,
    /// The highest number; the type of the field may have a lower one.
    pub max: i64,
}

/// A field that holds the value of a key.
pub trait Value {
    /// What its values look like.
    fn kind(&self) -> ValueKind;

    /// Reads a text that is not empty. The value is unchanged on failure.
    fn set(&mut self, text: &str, limits: Limits) -> Result<()>;

    /// The text for the current value.
    fn get(&self) -> String;
}

impl Value for String {
    fn kind(&self) -> ValueKind {
        ValueKind::Text
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        text.clone_into(self);
        Ok(())
    }

    fn get(&self) -> String {
        self.clone()
    }
}

impl Value for PathBuf {
    fn kind(&self) -> ValueKind {
        ValueKind::Path
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        *self = absolute(Path::new(text));
        Ok(())
    }

    fn get(&self) -> String {
        self.display().to_string()
    }
}

impl Value for bool {
    fn kind(&self) -> ValueKind {
        ValueKind::Boolean
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        *self = match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => true,
            "off" | "false" | "no" | "0" => false,
            _ => return Err(invalid(format!("{text:?} is neither on nor off"))),
        };
        Ok(())
    }

    fn get(&self) -> String {
        String::from(if *self { "on" } else { "off" })
    }
}

impl Value for u16 {
    fn kind(&self) -> ValueKind {
        ValueKind::Integer
    }

    fn set(&mut self, text: &str, limits: Limits) -> Result<()> {
        *self = integer(text, limits, u16::MAX.into())?;
        Ok(())
    }

    fn get(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    fn kind(&self) -> ValueKind {
        ValueKind::Integer
    }

    fn set(&mut self, text: &str, limits: Limits) -> Result<()> {
        *self = integer(text, limits, u32::MAX.into())?;
        Ok(())
    }

    fn get(&self) -> String {
        self.to_string()
    }
}

fn integer<T: TryFrom<i64>>(text: &str, limits: Limits, max: i64) -> Result<T> {
    let (min, max) = (limits.min, limits.max.min(max));
    let number = text.parse::<i64>().ok();
    let number = number.filter(|number| (min..=max).contains(number));
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| invalid(format!("{text:?} is not an integer from {min} to {max}")))
}

impl Value for Span {
    fn kind(&self) -> ValueKind {
        ValueKind::Time
    }

    fn set(&mut self, text: &str, limits: Limits) -> Result<()> {
        let (span, min): (Span, _) = (text.parse()?, u64::try_from(limits.min).unwrap_or(0));
        if span.0 < min {
            return Err(invalid(format!("{span} is less than {}", Span(min))));
        }
        *self = span;
        Ok(())
    }

    fn get(&self) -> String {
        self.to_string()
    }
}

impl Value for ByteSize {
    fn kind(&self) -> ValueKind {
        ValueKind::Size
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        *self = text.parse()?;
        Ok(())
    }

    fn get(&self) -> String {
        self.0.to_string()
    }
}

impl Value for Reserve {
    fn kind(&self) -> ValueKind {
        ValueKind::SizeOrPercentage
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        *self = text.parse()?;
        Ok(())
    }

    fn get(&self) -> String {
        self.to_string()
    }
}

/// A value that may be absent. The file has the default of its type for none: 0, or nothing.
impl<T: Value + Default + PartialEq> Value for Option<T> {
    fn kind(&self) -> ValueKind {
        T::default().kind()
    }

    fn set(&mut self, text: &str, limits: Limits) -> Result<()> {
        let mut value = T::default();
        value.set(text, limits)?;
        *self = Some(value).filter(|value| *value != T::default());
        Ok(())
    }

    fn get(&self) -> String {
        match self {
            Some(value) => value.get(),
            None => T::default().get(),
        }
    }
}

impl Value for Level {
    fn kind(&self) -> ValueKind {
        ValueKind::Level
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        *self = if text.eq_ignore_ascii_case("auto") {
            Level::Auto
        } else {
            let number = text.parse().map(Level::Fixed);
            number.map_err(|_| invalid(format!("{text:?} is neither auto nor an integer")))?
        };
        Ok(())
    }

    fn get(&self) -> String {
        self.to_string()
    }
}

impl Value for Host {
    fn kind(&self) -> ValueKind {
        ValueKind::Text
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        *self = text.parse()?;
        Ok(())
    }

    fn get(&self) -> String {
        self.to_string()
    }
}

/// A field is unset if it is missing, empty, 0, `-`, `x` or `X`.
impl Value for Retention {
    fn kind(&self) -> ValueKind {
        ValueKind::Retention
    }

    /// Fields that the text does not set are unchanged: a server inherits each one.
    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        let fields = text.split(',').map(retention_field);
        let fields = fields.collect::<Result<Vec<_>>>()?;
        if fields.len() > 4 {
            return Err(invalid(format!("{text:?} has more than four fields")));
        }
        let at = |index: usize| fields.get(index).copied().flatten();
        *self = Retention {
            days: at(0).or(self.days),
            weeks: at(1).or(self.weeks),
            months: at(2).or(self.months),
            years: at(3).or(self.years),
        };
        Ok(())
    }

    fn get(&self) -> String {
        let fields = [self.days, self.weeks, self.months, self.years];
        let text =
            |field: Option<u32>| field.map_or(String::from("-"), |number| number.to_string());
        fields.map(text).join(",")
    }
}

fn retention_field(field: &str) -> Result<Option<u32>> {
    match field.trim() {
        "" | "-" | "x" | "X" | "0" => Ok(None),
        number => number.parse::<u32>().map(Some).map_err(|_| {
            let text = format!("{number:?} is not a number of days, weeks, months or years");
            invalid(text).with_hint(
                "retention is four numbers for days, weeks, months and years, with - for no rule: \
                 7, 4, -, 1",
            )
        }),
    }
}

impl<T: Keyword> Value for T {
    fn kind(&self) -> ValueKind {
        ValueKind::Enum(words(&names::<T>()))
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        *self = keyword(text)?;
        Ok(())
    }

    fn get(&self) -> String {
        String::from(self.names().0)
    }
}

impl Value for AuthMethods {
    fn kind(&self) -> ValueKind {
        ValueKind::EnumList(words(&names::<AuthMethod>()))
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        let read = items(text, ',').into_iter().map(keyword);
        *self = AuthMethods::of(&read.collect::<Result<Vec<_>>>()?);
        Ok(())
    }

    fn get(&self) -> String {
        let allowed = AuthMethod::ALL
            .iter()
            .filter(|method| self.allows(**method));
        allowed.map(Value::get).collect::<Vec<_>>().join(",")
    }
}

fn names<T: Keyword>() -> Vec<Names> {
    T::ALL.iter().map(|value| value.names()).collect()
}

fn keyword<T: Keyword>(text: &str) -> Result<T> {
    T::from_name(&text.to_ascii_lowercase()).ok_or_else(|| unknown(text, &names::<T>()))
}

/// The first name of each value.
pub(super) fn words(all: &[Names]) -> Vec<&'static str> {
    all.iter().map(|names| names.0).collect()
}

/// The value of which `text` is a name.
pub(super) fn find(text: &str, all: &[Names]) -> Result<Names> {
    let lower = text.to_ascii_lowercase();
    let found = all.iter().find(|names| is_name(&lower, **names));
    found.copied().ok_or_else(|| unknown(text, all))
}

/// The error for a text that is none of the names.
fn unknown(text: &str, all: &[Names]) -> Error {
    let problem = invalid(format!("{text:?} is not one of {}", words(all).join(", ")));
    let spellings = all
        .iter()
        .flat_map(|(name, aliases)| std::iter::once(name).chain(*aliases));
    match closest(&text.to_ascii_lowercase(), spellings.copied()) {
        Some(close) => problem.with_hint(format!("did you mean {close}?")),
        None => problem,
    }
}

/// The items of a list without white space around them; empty ones are skipped.
pub(super) fn items(text: &str, separator: char) -> Vec<&str> {
    let items = text.split(separator).map(str::trim);
    items.filter(|item| !item.is_empty()).collect()
}

/// The absolute path, because the daemon changes its working directory; unchanged if the working
/// directory is not known.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
