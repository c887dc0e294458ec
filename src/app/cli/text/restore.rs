//! The output of `restore` and `archive`, with and without `--dry-run`.

use super::backups::tablespace;
use super::layout::FieldList;
use super::values::{server, size};
use crate::protocol::{ArchiveReply, PlanMembers, RestoreReply};

/// The output of `restore`.
pub(super) fn restore(dry_run: bool, reply: &RestoreReply) -> String {
    let mut list = FieldList::new();
    list.add("Backup", reply.backup.backup.as_str());
    list.add("Server", server(&reply.server));
    match &reply.plan {
        Some(plan) => {
            list.add(written(dry_run), plan.target.as_str());
            plan_fields(&mut list, plan);
        }
        None => list.add("Size", size(reply.backup.restore_size)),
    }
    list.add("Warnings", reply.warnings.join("\n"));
    list.text("")
}

/// The output of `archive`.
pub(super) fn archive(dry_run: bool, reply: &ArchiveReply) -> String {
    let mut list = FieldList::new();
    list.add("Backup", reply.backup.backup.as_str());
    list.add("Server", server(&reply.server));
    list.add(written(dry_run), reply.file_name.as_str());
    if reply.file_size > 0 {
        list.add("Size", size(reply.file_size));
        list.add("SHA-256", reply.sha256.as_str());
    }
    if let Some(plan) = &reply.plan {
        list.add("Contains", plan.target.as_str());
        plan_fields(&mut list, plan);
    }
    list.add("Warnings", reply.warnings.join("\n"));
    list.text("")
}

fn written(dry_run: bool) -> &'static str {
    if dry_run { "Would write" } else { "Written" }
}

fn plan_fields(list: &mut FieldList, plan: &PlanMembers) {
    let tablespaces = plan.tablespaces.iter();
    let tablespaces: Vec<String> = tablespaces
        .map(|restored| {
            format!(
                "{} to {}",
                tablespace(&restored.tablespace),
                restored.directory
            )
        })
        .collect();
    list.add(
        "Data",
        format!("{} files, {}", plan.files, size(plan.bytes)),
    );
    list.add("WAL", wal(&plan.wal, &size(plan.wal_bytes)));
    list.add("Tablespaces", tablespaces.join("\n"));
    list.add("Recovers to", plan.position.as_str());
    // Settings that are only cleared, and the command that removes the file, are of no interest.
    let relevant = |line: &&str| !line.ends_with(" =") && !line.starts_with("recovery_end_command");
    let settings = plan.settings.iter().map(String::as_str).filter(relevant);
    let settings: Vec<&str> = settings.collect();
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
                    "TablespaceName": "tblspc_fast", "TablespaceOid": 16384,
                    "TablespacePath": "/fast", "Directory": "/r/new"
                }],
                "WAL": ["000000010000000000000002", "000000010000000000000003"],
                "WALBytes": 33_554_432, "Position": "the end of the backup",
                "Settings": ["recovery_target_xid =", "recovery_target = immediate"]
            },
            "Warnings": ["one", "another"]
        });
        assert_eq!(
            restore(false, &serde_json::from_value(fields).unwrap()),
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
