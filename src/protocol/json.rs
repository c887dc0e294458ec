//! The JSON of the management protocol, which differs from RFC 8259 as that of the C program does.
//!
//! Written: no white space, members in byte order, six decimals for numbers with a fraction, `null`
//! for an empty string, `{}` for an empty array. Control characters other than tab, line feed and
//! carriage return are not escaped, because the C program rejects `\u`; NUL is replaced by U+FFFD.
//! Read: also `\'`, and control characters in strings.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};

/// Parses a document, which must be an object.
pub fn parse(text: &str) -> Result<Map<String, Value>> {
    let invalid = |what: String| {
        Error::new(
            ErrorKind::Protocol,
            format!("the document is not JSON: {what}"),
        )
    };
    match serde_json::from_str(&to_strict(text)) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(invalid("it is not an object".to_owned())),
        Err(error) => Err(invalid(error.to_string())),
    }
}

/// The document converted to RFC 8259. A NUL terminates it.
fn to_strict(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_string = false;
    let mut characters = text.chars().take_while(|&c| c != '\0');
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                in_string = !in_string;
                out.push(c);
            }
            '\\' if in_string => match characters.next() {
                Some('\'') => out.push('\''),
                escaped => {
                    out.push('\\');
                    out.extend(escaped);
                }
            },
            '\u{1}'..='\u{1f}' if in_string => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

/// The document as it is sent.
pub fn compact(document: &Map<String, Value>) -> Result<String> {
    text(document, Compact)
}

/// The document for output: indented as the C client does (two spaces per level, a line feed at the
/// end), in strict JSON.
pub fn pretty(document: &Map<String, Value>) -> Result<String> {
    let mut text = text(document, Pretty(PrettyFormatter::new()))?;
    text.push('\n');
    Ok(text)
}

fn text(document: &Map<String, Value>, formatter: impl Formatter) -> Result<String> {
    let internal =
        |error: String| Error::new(ErrorKind::Internal, format!("write a document: {error}"));
    let mut bytes = Vec::new();
    Value::Object(normalize_members(document))
        .serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        .map_err(|error| internal(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| internal(error.to_string()))
}

/// Replaces empty strings by `null` and empty arrays by `{}`, at every level, as the C program
/// writes them.
fn normalize_members(document: &Map<String, Value>) -> Map<String, Value> {
    let members = document.iter();
    members
        .map(|(name, value)| (name.clone(), normalize(value)))
        .collect()
}

fn normalize(value: &Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Array(items) if items.is_empty() => Value::Object(Map::new()),
        Value::Array(items) => items.iter().map(normalize).collect(),
        Value::Object(members) => Value::Object(normalize_members(members)),
        other => other.clone(),
    }
}

/// Compact JSON with six decimals and the escapes that the C program accepts.
struct Compact;

impl Formatter for Compact {
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
            // It ends a document for both programs.
            CharEscape::AsciiControl(0) => writer.write_all("\u{fffd}".as_bytes()),
            CharEscape::AsciiControl(byte) => writer.write_all(&[byte]),
        }
    }
}

/// Indented JSON with six decimals.
struct Pretty(PrettyFormatter<'static>);

impl Formatter for Pretty {
    /// Escapes DEL and the C1 control characters too: they are valid in JSON, but control a
    /// terminal.
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
