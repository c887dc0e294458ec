//! The document that `-F json` prints: names instead of codes and sizes with units, as the C client
//! prints them.

use serde_json::Value;

use crate::codec::Compression;
use crate::protocol::{COMMANDS, Command, Describes, Members, Response};
use crate::unit::{ByteSize, Encryption};

/// The size members of a backup, which are added where they are missing.
const SIZE_MEMBERS: [&str; 5] = [
    "BackupSize",
    "RestoreSize",
    "BiggestFileSize",
    "WAL",
    "Delta",
];

/// The size members that the C program does not have; one that is missing stays so.
const MORE_SIZE_MEMBERS: [&str; 3] = ["OwnSize", "SharedSize", "LinkedSize"];

/// The members with the high or low 32 bits of an LSN, which are printed in hexadecimal.
const LSN_MEMBERS: [&str; 6] = [
    "CheckpointHiLSN",
    "CheckpointLoLSN",
    "StartHiLSN",
    "StartLoLSN",
    "EndHiLSN",
    "EndLoLSN",
];

/// The response with names instead of codes.
pub(super) fn document(response: &Response) -> Members {
    let mut document = response.document().clone();
    let mut command = None;
    if let Some(Value::Object(header)) = document.get_mut("Header") {
        command = header
            .get("Command")
            .and_then(Value::as_i64)
            .and_then(|code| Command::find(COMMANDS, code));
        translate_header(header, command);
    }
    let status = response.outcome().is_ok_and(|outcome| outcome.status);
    if let (true, Some(command), Some(Value::Object(fields))) =
        (status, command, document.get_mut("Response"))
    {
        translate_response(fields, command);
    }
    document
}

fn translate_header(header: &mut Members, command: Option<&Command>) {
    if let Some(command) = command {
        header.insert("Command".to_owned(), command.name.into());
    }
    replace(header, "Output", |value| match value.as_u64() {
        Some(0) => Some("text".into()),
        Some(1) => Some("json".into()),
        _ => None,
    });
    translate_methods(header);
}

fn translate_response(fields: &mut Members, command: &Command) {
    match command.describes {
        Describes::Other => {}
        Describes::Backup => translate_backup(fields),
        Describes::Backups => for_each_object(fields, "Backups", translate_backup),
        Describes::Servers => {
            for name in ["TotalSpace", "FreeSpace", "UsedSpace"] {
                format_size(fields, name);
            }
            if fields.get("ReserveSpace").is_some_and(Value::is_u64) {
                format_size(fields, "ReserveSpace");
            }
            for_each_object(fields, "Servers", translate_server);
        }
    }
}

fn translate_backup(fields: &mut Members) {
    for name in SIZE_MEMBERS {
        // In the response to `info`, `WAL` is the name of a segment.
        if !fields.get(name).is_some_and(Value::is_string) {
            format_size(fields, name);
        }
    }
    for name in MORE_SIZE_MEMBERS {
        if fields.get(name).is_some_and(Value::is_u64) {
            format_size(fields, name);
        }
    }
    translate_methods(fields);
    replace(fields, "Valid", |value| {
        Some(match value.as_i64() {
            Some(0) => "no".into(),
            Some(1) => "yes".into(),
            _ => "unknown".into(),
        })
    });
    for name in LSN_MEMBERS {
        replace(fields, name, |value| {
            Some(format!("{:X}", value.as_u64()?).into())
        });
    }
}

fn translate_server(fields: &mut Members) {
    for name in ["WorkspaceFreeSpace", "HotStandbySize", "ServerSize"] {
        format_size(fields, name);
    }
    for name in [
        "RetentionDays",
        "RetentionWeeks",
        "RetentionMonths",
        "RetentionYears",
    ] {
        replace(fields, name, |value| {
            (value.as_i64()? < 0).then(|| "Unspecified".into())
        });
    }
    for_each_object(fields, "Backups", translate_backup);
}

/// The names for the codes in `Compression` and `Encryption`, which are added where they are
/// missing.
fn translate_methods(fields: &mut Members) {
    let code = |name: &str| {
        fields
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|code| u32::try_from(code).ok())
    };
    let compression = code("Compression").and_then(Compression::from_code);
    let encryption = code("Encryption").and_then(Encryption::from_code);
    let compression = compression.unwrap_or(Compression::None).to_string();
    let encryption = encryption.unwrap_or_default().to_string();
    fields.insert("Compression".to_owned(), compression.into());
    fields.insert("Encryption".to_owned(), encryption.into());
}

fn format_size(fields: &mut Members, name: &str) {
    let bytes = fields.get(name).and_then(Value::as_u64).unwrap_or(0);
    fields.insert(name.to_owned(), ByteSize(bytes).to_string().into());
}

fn replace(fields: &mut Members, name: &str, translate: impl Fn(&Value) -> Option<Value>) {
    if let Some(value) = fields.get_mut(name)
        && let Some(translated) = translate(value)
    {
        *value = translated;
    }
}

fn for_each_object(fields: &mut Members, name: &str, change: fn(&mut Members)) {
    if let Some(Value::Array(items)) = fields.get_mut(name) {
        items
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .for_each(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(command: u16, response: &str) -> Members {
        let text = format!(
            "{{\"Header\":{{\"Command\":{command},\"Compression\":2,\
             \"Encryption\":1,\"Output\":1}},\
             \"Outcome\":{{\"Status\":true}},\"Response\":{response}}}"
        );
        document(&Response::read(&text).unwrap())
    }

    #[test]
    fn codes_of_the_header_become_names() {
        let document = translated(8, "{}");
        assert_eq!(
            document["Header"].to_string(),
            concat!(
                r#"{"Command":"status-details","Compression":"zstd","#,
                r#""Encryption":"aes-256-gcm","Output":"json"}"#,
            )
        );
    }

    #[test]
    fn sizes_and_codes_of_a_backup_are_translated() {
        let response = concat!(
            r#"{"BackupSize":13213696,"Compression":18,"Encryption":0,"RestoreSize":1023,"#,
            r#""StartHiLSN":0,"StartLoLSN":268435496,"Valid":1,"WAL":"000000010000000000000010"}"#,
        );
        assert_eq!(
            translated(18, response)["Response"].to_string(),
            concat!(
                r#"{"BackupSize":"12.60MB","BiggestFileSize":"0.00B","Compression":"zstd","#,
                r#""Delta":"0.00B","Encryption":"none","RestoreSize":"1023.00B","#,
                r#""StartHiLSN":"0","StartLoLSN":"10000028","#,
                r#""Valid":"yes","WAL":"000000010000000000000010"}"#,
            )
        );
    }

    #[test]
    fn sizes_and_unset_retention_of_a_server_are_translated() {
        let response = concat!(
            r#"{"DaysUntilFull":3,"FreeSpace":1024,"ReserveSpace":2048,"Servers":[{"Backups":{},"#,
            r#""RetentionDays":7,"RetentionWeeks":-1}]}"#,
        );
        assert_eq!(
            translated(8, response)["Response"].to_string(),
            concat!(
                r#"{"DaysUntilFull":3,"FreeSpace":"1.00kB","ReserveSpace":"2.00kB","#,
                r#""Servers":[{"Backups":{},"HotStandbySize":"0.00B","#,
                r#""RetentionDays":7,"RetentionWeeks":"Unspecified","ServerSize":"0.00B","#,
                r#""WorkspaceFreeSpace":"0.00B"}],"TotalSpace":"0.00B","UsedSpace":"0.00B"}"#,
            )
        );
    }

    #[test]
    fn the_response_of_a_failed_request_is_not_translated() {
        let text =
            r#"{"Header":{"Command":18},"Outcome":{"Status":false},"Response":{"Server":"x"}}"#;
        let document = document(&Response::read(text).unwrap());
        assert_eq!(document["Response"].to_string(), r#"{"Server":"x"}"#);
    }
}
