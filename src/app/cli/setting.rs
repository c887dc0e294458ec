//! Extracts one setting from the response to `conf get`, which contains the whole configuration.

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::protocol::Members;

/// Finds the setting `key`: `key` or `pgmoneta.key` among the members, `server.name` and
/// `server.name.key` in the member `server`. Returns the last component of the key, and the value.
pub(super) fn find(fields: &Members, key: &str) -> Result<(String, Value)> {
    let unknown = || {
        let message = format!("the daemon has no setting {key:?}, or it is not set");
        Error::new(ErrorKind::NotFound, message)
            .with_hint("`pgmoneta-cli conf get` shows all settings")
    };
    let path: Vec<&str> = key.split('.').filter(|part| !part.is_empty()).collect();
    let path = match path.as_slice() {
        [section, rest @ ..] if !rest.is_empty() && section.eq_ignore_ascii_case("pgmoneta") => {
            rest
        }
        path => path,
    };
    let name = path.last().ok_or_else(unknown)?;
    let mut fields = Some(fields);
    let mut found = None;
    for part in path {
        found = fields.and_then(|fields| fields.get(*part));
        fields = found.and_then(Value::as_object);
    }
    let found = found.filter(|value| !value.is_null()).ok_or_else(unknown)?;
    let value = found.get("string_value").unwrap_or(found);
    Ok(((*name).to_owned(), value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_setting_is_found_in_its_section() {
        let fields = json!({
            "base_dir": "/backup", "tls_ca_file": null,
            "compression": {"string_value": "zstd", "value": 18},
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
