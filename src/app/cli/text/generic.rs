//! The output of commands that this version of the daemon does not implement: all members of the
//! response, in order.

use serde_json::Value;

use crate::app::report::clean;
use crate::protocol::Members;

/// Spaces per level of nesting.
const INDENT: usize = 2;

/// Each member on a line; the members of an object are indented below its name.
pub(super) fn members(fields: &Members) -> String {
    let mut out = String::new();
    write_members(&mut out, fields, 0);
    out
}

/// A single value, with a line feed at the end.
pub(in crate::app::cli) fn value(value: &Value) -> String {
    match value {
        Value::Object(fields) => members(fields),
        Value::Array(items) => items.iter().map(self::value).collect(),
        Value::String(text) => format!("{}\n", clean(text)),
        other => format!("{other}\n"),
    }
}

fn write_members(out: &mut String, fields: &Members, depth: usize) {
    for (name, value) in fields {
        let name = clean(name);
        let indent = " ".repeat(depth * INDENT);
        match value {
            // A number of the C program with its text, such as a compression method.
            Value::Object(inner) if inner.contains_key("string_value") => {
                let text = inner.get("string_value").unwrap_or(&Value::Null);
                write_value(out, &format!("{indent}{name}:"), text);
            }
            Value::Object(inner) if !inner.is_empty() => {
                out.push_str(&format!("{indent}{name}:\n"));
                write_members(out, inner, depth + 1);
            }
            Value::Array(items) => {
                out.push_str(&format!("{indent}{name}:\n"));
                items
                    .iter()
                    .for_each(|item| write_item(out, item, depth + 1));
            }
            other => write_value(out, &format!("{indent}{name}:"), other),
        }
    }
}

fn write_item(out: &mut String, item: &Value, depth: usize) {
    match item {
        Value::Object(inner) => {
            write_members(out, inner, depth);
            out.push('\n');
        }
        other => write_value(out, &format!("{}-", " ".repeat(depth * INDENT)), other),
    }
}

fn write_value(out: &mut String, prefix: &str, value: &Value) {
    let text = match value {
        Value::Null | Value::Object(_) => String::new(),
        Value::String(text) => clean(text),
        other => other.to_string(),
    };
    out.push_str(format!("{prefix} {text}").trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_member_is_on_a_line() {
        let fields = json!({
            "Server": "primary", "Comments": null,
            "compression": {"string_value": "zstd", "value": 18},
            "server": {"primary": {"port": 5432}}, "Backups": [{"Keep": true}],
            "Files": ["/a", "/b"]
        });
        assert_eq!(
            members(fields.as_object().unwrap()),
            "Backups:\n  Keep: true\n\nComments:\nFiles:\n  - /a\n  - /b\n\
             Server: primary\ncompression: zstd\nserver:\n  primary:\n    port: 5432\n"
        );
    }
}
