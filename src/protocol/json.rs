//! The JSON of the management wire, which differs from RFC 8259 in a few habits of the C program.
//!
//! Written: no white space, members in byte order, six decimals for numbers with a fraction, `null` for an empty
//! text, `{}` for an empty array. Control characters other than tab, line feed and carriage return stand for
//! themselves, because the C program's reader refuses `\u`. Read: also `\'`, and control characters in texts.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};
use serde_json::{Map, Value};

use crate::error::{Failure, Kind, Result};

/// Reads a document, which is an object.
pub fn parse(text: &str) -> Result<Map<String, Value>> {
    let wrong =
        |what: String| Failure::new(Kind::Protocol, format!("the document is not JSON: {what}"));
    match serde_json::from_str(&strict(text)) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(wrong("it is not an object".to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// The document as RFC 8259 wants it. A NUL ends it.
fn strict(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    let mut characters = text.chars().take_while(|&c| c != '\0');
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                inside = !inside;
                out.push(c);
            }
            '\\' if inside => match characters.next() {
                Some('\'') => out.push('\''),
                escaped => {
                    out.push('\\');
                    out.extend(escaped);
                }
            },
            '\u{1}'..='\u{1f}' if inside => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

/// The text of a document as it goes over the wire.
pub fn compact(document: &Map<String, Value>) -> Result<String> {
    text(document, Wire)
}

/// The text of a document for people and programs: as the C client prints it (two spaces a level, a line feed at the
/// end), in strict JSON.
pub fn pretty(document: &Map<String, Value>) -> Result<String> {
    let mut text = text(document, Pretty(PrettyFormatter::new()))?;
    text.push('\n');
    Ok(text)
}

fn text(document: &Map<String, Value>, formatter: impl Formatter) -> Result<String> {
    let internal =
        |error: String| Failure::new(Kind::Internal, format!("write a document: {error}"));
    let mut bytes = Vec::new();
    Value::Object(habits(document))
        .serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        .map_err(|error| internal(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| internal(error.to_string()))
}

/// `null` for empty texts and `{}` for empty arrays, at every level.
fn habits(document: &Map<String, Value>) -> Map<String, Value> {
    let members = document.iter();
    members
        .map(|(name, value)| (name.clone(), habit(value)))
        .collect()
}

fn habit(value: &Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Array(items) if items.is_empty() => Value::Object(Map::new()),
        Value::Array(items) => items.iter().map(habit).collect(),
        Value::Object(members) => Value::Object(habits(members)),
        other => other.clone(),
    }
}

/// The wire's own ways of writing.
struct Wire;

impl Formatter for Wire {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value:.6}")
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::Backspace => writer.write_all(b"\x08"),
            CharEscape::FormFeed => writer.write_all(b"\x0c"),
            CharEscape::AsciiControl(byte) => writer.write_all(&[byte]),
        }
    }
}

/// Two spaces a level, and six decimals.
struct Pretty(PrettyFormatter<'static>);

impl Formatter for Pretty {
    /// DEL and the C1 controls, which may stand in JSON as they are, do something to terminals.
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for part in fragment.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            writer.write_all(plain.as_bytes())?;
            if let Some(c) = part.get(plain.len()..).and_then(|rest| rest.chars().next()) {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
        }
        Ok(())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value:.6}")
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}
