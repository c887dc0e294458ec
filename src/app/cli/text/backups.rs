//! The output of `backup`, `list-backup` and `info`.

use super::layout::{Align, FieldList, Table};
use super::values::{
    coding, flag, lsn, number, objects, seconds, server, size, text, texts, valid, yes,
};
use crate::app::report::clean;
use crate::protocol::Members;
use crate::unit::ByteSize;

/// The output of `backup`.
pub(super) fn backup(fields: &Members) -> String {
    let mut list = FieldList::new();
    list.add("Backup", text(fields, "Backup"));
    list.add("Server", server(fields));
    list.add("Size", sizes(fields));
    list.add("Took", seconds(fields, "Elapsed"));
    list.add("Valid", valid(fields));
    list.add("Warnings", texts(fields, "Warnings").join("\n"));
    list.text("")
}

/// `12.60MB stored (zstd), 15.47MB restored`
fn sizes(fields: &Members) -> String {
    format!(
        "{} stored ({}), {} restored",
        size(fields, "BackupSize"),
        coding(fields),
        size(fields, "RestoreSize")
    )
}

/// The output of `list-backup`.
pub(super) fn list(fields: &Members) -> String {
    let backups = objects(fields, "Backups");
    let server = clean(&server(fields));
    if backups.is_empty() {
        return format!("There is no backup of server {server}.\n");
    }
    let total: u64 = backups
        .iter()
        .filter_map(|backup| number(backup, "BackupSize"))
        .fold(0, u64::saturating_add);
    let count = match backups.len() {
        1 => "1 backup".to_owned(),
        count => format!("{count} backups"),
    };
    let mut out = table(&backups).text("");
    out.push_str(&format!(
        "{count} of server {server}, {} stored\n",
        ByteSize(total)
    ));
    out
}

/// A table with a row for each backup, for `list-backup` and `status details`.
pub(super) fn table(backups: &[&Members]) -> Table {
    let mut table = Table::new(&[
        ("BACKUP", Align::Left),
        ("STORED", Align::Right),
        ("RESTORED", Align::Right),
        ("WAL SINCE", Align::Right),
        ("COMPRESSION", Align::Left),
        ("VALID", Align::Left),
        ("KEEP", Align::Left),
        ("COMMENTS", Align::Left),
    ]);
    for backup in backups {
        table.add_row(vec![
            text(backup, "Backup"),
            size(backup, "BackupSize"),
            size(backup, "RestoreSize"),
            size(backup, "WAL"),
            coding(backup),
            valid(backup).to_owned(),
            yes(flag(backup, "Keep")).to_owned(),
            text(backup, "Comments"),
        ]);
    }
    table
}

/// The output of `info`.
pub(super) fn info(fields: &Members) -> String {
    let timeline = |name: &str| {
        number(fields, name).map_or_else(String::new, |number| format!(", timeline {number}"))
    };
    let lsn_and_timeline = |prefix: &str| match lsn(fields, prefix) {
        lsn if lsn.is_empty() => lsn,
        lsn => format!("{lsn}{}", timeline(&format!("{prefix}Timeline"))),
    };
    let mut list = FieldList::new();
    list.add("Backup", text(fields, "Backup"));
    list.add("Server", server(fields));
    list.add("Size", sizes(fields));
    list.add("Largest file", size(fields, "BiggestFileSize"));
    list.add("Took", seconds(fields, "Elapsed"));
    list.add("Valid", valid(fields));
    if flag(fields, "Readable") == Some(false) {
        let text = "the C program; this version lists it, but cannot read it";
        list.add("Written by", text.to_owned());
    } else if flag(fields, "Authentic") == Some(false) {
        let text = "no: it was modified, or written with another master key";
        list.add("Authentic", text.to_owned());
    }
    list.add("Keep", yes(flag(fields, "Keep")));
    list.add("Start", lsn_and_timeline("Start"));
    list.add("Checkpoint", lsn(fields, "Checkpoint"));
    list.add("End", lsn_and_timeline("End"));
    list.add("First WAL", text(fields, "WAL"));
    list.add("WAL since", size(fields, "Distance"));
    let tablespaces = objects(fields, "Tablespaces").into_iter();
    let tablespaces: Vec<String> = tablespaces.map(tablespace).collect();
    list.add("Tablespaces", tablespaces.join("\n"));
    list.add("Comments", text(fields, "Comments"));
    list.add("Warnings", texts(fields, "Warnings").join("\n"));
    list.text("")
}

/// `fast (OID 16384, /mnt/fast)`
pub(super) fn tablespace(fields: &Members) -> String {
    let (name, path) = (
        text(fields, "TablespaceName"),
        text(fields, "TablespacePath"),
    );
    let name = name.strip_prefix("tblspc_").unwrap_or(&name).to_owned();
    match number(fields, "TablespaceOid") {
        Some(oid) => format!("{name} (OID {oid}, {path})"),
        None => name,
    }
}
