//! The answers to commands that only other daemons than this version's can do: the members as they come.

use serde_json::Value;

use crate::app::report::clean;
use crate::protocol::Members;

/// Spaces a level.
const INDENT: usize = 2;

/// Every member on a line of its own; those of a member that has some below it.
pub(super) fn members(fields: &Members) -> String {
    let mut out = String::new();
    put_members(&mut out, fields, 0);
    out
}

/// A single value, with a line break.
pub(in crate::app::cli) fn value(value: &Value) -> String {
    match value {
        Value::Object(fields) => members(fields),
        Value::Array(items) => items.iter().map(self::value).collect(),
        Value::String(text) => format!("{}\n", clean(text)),
        other => format!("{other}\n"),
    }
}

fn put_members(out: &mut String, fields: &Members, depth: usize) {
    for (name, value) in fields {
        let name = clean(name);
        let indent = " ".repeat(depth * INDENT);
        match value {
            // Written for people in one word, and as a number beside it.
            Value::Object(inner) if inner.contains_key("string_value") => {
                let word = inner.get("string_value").unwrap_or(&Value::Null);
                put_value(out, &format!("{indent}{name}:"), word);
            }
            Value::Object(inner) if !inner.is_empty() => {
                out.push_str(&format!("{indent}{name}:\n"));
                put_members(out, inner, depth + 1);
            }
            Value::Array(items) => {
                out.push_str(&format!("{indent}{name}:\n"));
                items.iter().for_each(|item| put_item(out, item, depth + 1));
            }
            other => put_value(out, &format!("{indent}{name}:"), other),
        }
    }
}

fn put_item(out: &mut String, item: &Value, depth: usize) {
    match item {
        Value::Object(inner) => {
            put_members(out, inner, depth);
            out.push('\n');
        }
        other => put_value(out, &format!("{}-", " ".repeat(depth * INDENT)), other),
    }
}

fn put_value(out: &mut String, before: &str, value: &Value) {
    let text = match value {
        Value::Null | Value::Object(_) => String::new(),
        Value::String(text) => clean(text),
        other => other.to_string(),
    };
    out.push_str(format!("{before} {text}").trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_lines() {
        let fields = json!({
            "Server": "primary", "Comments": null, "compression": {"string_value": "zstd", "value": 18},
            "server": {"primary": {"port": 5432}}, "Backups": [{"Keep": true}], "Files": ["/a", "/b"]
        });
        assert_eq!(
            members(fields.as_object().unwrap()),
            "Backups:\n  Keep: true\n\nComments:\nFiles:\n  - /a\n  - /b\nServer: primary\ncompression: zstd\n\
             server:\n  primary:\n    port: 5432\n"
        );
    }
}
