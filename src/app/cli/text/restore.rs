//! The output of `restore`, with and without `--dry-run`.

use serde_json::Value;

use super::backups::tablespace;
use super::layout::FieldList;
use super::values::{number, objects, server, size, text, texts};
use crate::protocol::Members;

/// The output of `restore`.
pub(super) fn restore(dry_run: bool, fields: &Members) -> String {
    let mut list = FieldList::new();
    list.add("Backup", text(fields, "Backup"));
    list.add("Server", server(fields));
    if let Some(Value::Object(plan)) = fields.get("Plan") {
        plan_fields(&mut list, plan, dry_run);
    } else {
        list.add("Size", size(fields, "RestoreSize"));
    }
    list.add("Warnings", texts(fields, "Warnings").join("\n"));
    list.text("")
}

fn plan_fields(list: &mut FieldList, plan: &Members, dry_run: bool) {
    let files = number(plan, "Files").unwrap_or(0);
    let tablespaces = objects(plan, "Tablespaces").into_iter();
    let tablespaces: Vec<String> = tablespaces
        .map(|fields| format!("{} to {}", tablespace(fields), text(fields, "Directory")))
        .collect();
    list.add(
        if dry_run { "Would write" } else { "Written" },
        text(plan, "Target"),
    );
    list.add("Data", format!("{files} files, {}", size(plan, "Bytes")));
    list.add("WAL", wal(&texts(plan, "WAL"), &size(plan, "WALBytes")));
    list.add("Tablespaces", tablespaces.join("\n"));
    list.add("Recovers to", text(plan, "Position"));
    // Settings that are only cleared, and the command that removes the file, are of no interest.
    let relevant =
        |line: &String| !line.ends_with(" =") && !line.starts_with("recovery_end_command");
    let settings = texts(plan, "Settings").into_iter().filter(relevant);
    let settings: Vec<String> = settings.collect();
    list.add("Settings", settings.join("\n"));
}

fn wal(files: &[String], size: &str) -> String {
    match files {
        [] => "none".to_owned(),
        [file] => format!("{file}, {size}"),
        [first, .., last] => format!("{} files, {first} to {last}, {size}", files.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_plan_is_printed_as_fields() {
        let fields = json!({
            "Backup": "20261122153446", "Server": "primary", "MajorVersion": 15, "MinorVersion": 18,
            "Plan": {
                "Target": "/r/primary-20261122153446", "Files": 967, "Bytes": 26_759_987,
                "Tablespaces": [{
                    "TablespaceName": "tblspc_fast", "TablespaceOid": 16384, "TablespacePath": "/fast", "Directory": "/r/new"
                }],
                "WAL": ["000000010000000000000002", "000000010000000000000003"], "WALBytes": 33_554_432,
                "Position": "the end of the backup",
                "Settings": ["recovery_target_xid =", "recovery_target = immediate"]
            },
            "Warnings": ["one", "another"]
        });
        assert_eq!(
            restore(false, fields.as_object().unwrap()),
            "Backup       20261122153446\n\
             Server       primary (PostgreSQL 15.18)\n\
             Written      /r/primary-20261122153446\n\
             Data         967 files, 25.52MB\n\
             WAL          2 files, 000000010000000000000002 to 000000010000000000000003, 32.00MB\n\
             Tablespaces  fast (OID 16384, /fast) to /r/new\n\
             Recovers to  the end of the backup\n\
             Settings     recovery_target = immediate\n\
             Warnings     one\n             another\n"
        );
    }
}
