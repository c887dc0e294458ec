//! One setting out of the answer to `conf get`, which has them all.

use serde_json::Value;

use crate::error::{Failure, Kind, Result};
use crate::protocol::Members;

/// Finds the setting `key`: `key` or `pgmoneta.key` in the members, `server.name` and `server.name.key` below `server`.
/// Its last word, and its value.
pub(super) fn find(fields: &Members, key: &str) -> Result<(String, Value)> {
    let unknown = || {
        let message = format!("the daemon has no setting {key:?}, or it is not set");
        Failure::new(Kind::NotFound, message).hint("`pgmoneta-cli conf get` shows them all")
    };
    let words: Vec<&str> = key.split('.').filter(|word| !word.is_empty()).collect();
    let words = match words.as_slice() {
        [section, rest @ ..] if !rest.is_empty() && section.eq_ignore_ascii_case("pgmoneta") => {
            rest
        }
        words => words,
    };
    let name = words.last().ok_or_else(unknown)?;
    let mut fields = Some(fields);
    let mut found = None;
    for word in words {
        found = fields.and_then(|fields| fields.get(*word));
        fields = found.and_then(Value::as_object);
    }
    let found = found.filter(|value| !value.is_null()).ok_or_else(unknown)?;
    let plain = found.get("string_value").unwrap_or(found);
    Ok(((*name).to_owned(), plain.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_setting_is_found_in_its_section() {
        let fields = json!({
            "base_dir": "/backup", "tls_ca_file": null, "compression": {"string_value": "zstd", "value": 18},
            "server": {"primary": {"port": 5432}}
        });
        let fields = fields.as_object().unwrap();
        for (key, name, value) in [
            ("base_dir", "base_dir", json!("/backup")),
            ("PGMONETA.base_dir", "base_dir", json!("/backup")),
            ("compression", "compression", json!("zstd")),
            ("server.primary.port", "port", json!(5432)),
            ("server.primary", "primary", json!({"port": 5432})),
        ] {
            assert_eq!(
                find(fields, key).unwrap(),
                (name.to_owned(), value),
                "{key}"
            );
        }
        for key in [
            "",
            ".",
            "tls_ca_file",
            "nothing",
            "server.other.port",
            "base_dir.x",
        ] {
            assert!(find(fields, key).is_err(), "{key}");
        }
    }
}
