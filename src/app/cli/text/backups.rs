//! The output of the commands for backups, except `verify` and `restore`.

use super::layout::{Align, FieldList, Table};
use super::values::{coding, seconds, server, size, sizes, valid, yes};
use crate::app::report::clean;
use crate::format::Comments;
use crate::protocol::{
    BackupReply, BackupSummary, DeleteReply, InfoReply, ListBackupReply, RetainReply,
    TablespaceMembers,
};
use crate::unit::{ByteSize, Lsn};

/// The output of `backup`.
pub(super) fn backup(reply: &BackupReply) -> String {
    let mut list = FieldList::new();
    list.add("Backup", reply.backup.backup.as_str());
    list.add("Server", server(&reply.server));
    list.add("Size", sizes(&reply.backup));
    list.add("Took", seconds(reply.elapsed));
    list.add("Valid", valid(reply.valid, None));
    list.add("Warnings", reply.warnings.join("\n"));
    list.text("")
}

/// The output of `list-backup`.
pub(super) fn list(reply: &ListBackupReply) -> String {
    let server = clean(&server(&reply.server));
    let backups = || reply.backups.iter().map(|backup| &backup.summary);
    let count = match reply.backups.len() {
        0 => return format!("There is no backup of server {server}.\n"),
        1 => "1 backup".to_owned(),
        count => format!("{count} backups"),
    };
    let total = ByteSize(stored(backups()));
    let table = table(backups()).text("");
    format!("{table}{count} of server {server}, {total} stored\n")
}

/// Bytes stored for all of them: what one has linked to an older one is stored once.
fn stored<'a>(backups: impl Iterator<Item = &'a BackupSummary>) -> u64 {
    let mut backups: Vec<&BackupSummary> = backups.collect();
    backups.sort_by(|one, other| one.backup.backup.cmp(&other.backup.backup));
    let sizes = backups.iter().enumerate().map(|(number, one)| {
        let linked = if number == 0 { 0 } else { one.linked_size };
        one.backup.backup_size.saturating_sub(linked)
    });
    sizes.fold(0, u64::saturating_add)
}

/// A table with a row for each backup, for `list-backup` and `status details`.
pub(super) fn table<'a>(backups: impl Iterator<Item = &'a BackupSummary>) -> Table {
    let mut table = Table::new(&[
        ("BACKUP", Align::Left),
        ("STORED", Align::Right),
        ("LINKED", Align::Right),
        ("RESTORED", Align::Right),
        ("WAL SINCE", Align::Right),
        ("COMPRESSION", Align::Left),
        ("VALID", Align::Left),
        ("KEEP", Align::Left),
        ("COMMENTS", Align::Left),
    ]);
    for row in backups {
        table.add_row(vec![
            row.backup.backup.clone(),
            size(row.backup.backup_size),
            size(row.linked_size),
            size(row.backup.restore_size),
            size(row.wal),
            coding(&row.backup),
            valid(row.valid, row.readable).to_owned(),
            yes(row.keep).to_owned(),
            comments(&row.comments, "; "),
        ]);
    }
    table
}

/// The output of `info`.
pub(super) fn info(reply: &InfoReply) -> String {
    let text = |lsn: Option<Lsn>| lsn.map_or_else(String::new, |lsn| lsn.to_string());
    let on_timeline = |lsn: Option<Lsn>, timeline: Option<u32>| match (lsn, timeline) {
        (Some(lsn), Some(timeline)) => format!("{lsn}, timeline {timeline}"),
        (lsn, _) => text(lsn),
    };
    let mut list = FieldList::new();
    list.add("Backup", reply.backup.backup.as_str());
    list.add("Server", server(&reply.server));
    list.add("Size", sizes(&reply.backup));
    if let (Some(own), Some(shared @ 1..)) = (reply.own_size, reply.shared_size) {
        let text = format!("{} of its own, {} shared", ByteSize(own), ByteSize(shared));
        list.add("Stored", text);
    }
    list.add("Largest file", size(reply.backup.biggest_file_size));
    list.add("Took", seconds(reply.elapsed));
    list.add("Valid", valid(reply.valid, reply.readable));
    if reply.readable == Some(false) {
        let text = "the C program; this version lists it, but cannot read it";
        list.add("Written by", text);
    } else if reply.authentic == Some(false) {
        let text = "no: it was modified, or written with another master key";
        list.add("Authentic", text);
    }
    list.add("Keep", yes(reply.keep));
    list.add("Start", on_timeline(reply.start(), reply.start_timeline));
    list.add("Checkpoint", text(reply.checkpoint()));
    list.add("End", on_timeline(reply.end(), reply.end_timeline));
    list.add("First WAL", reply.wal.as_str());
    list.add("WAL since", reply.distance.map_or_else(String::new, size));
    let tablespaces: Vec<String> = reply.tablespaces.iter().map(tablespace).collect();
    list.add("Tablespaces", tablespaces.join("\n"));
    list.add("Comments", comments(&reply.comments, "\n"));
    list.add("Warnings", reply.warnings.join("\n"));
    list.text("")
}

/// The output of `annotate`.
pub(super) fn annotate(reply: &InfoReply) -> String {
    let mut list = FieldList::new();
    list.add("Backup", reply.backup.backup.as_str());
    list.add("Server", server(&reply.server));
    let text = comments(&reply.comments, "\n");
    list.add("Comments", if text.is_empty() { "none" } else { &text });
    list.text("")
}

/// The output of `delete`.
pub(super) fn delete(reply: &DeleteReply) -> String {
    let (backup, server) = (clean(&reply.backup), clean(&server(&reply.server)));
    format!("The backup {backup} of server {server} is deleted.\n")
}

/// The output of `retain` and `expunge`.
pub(super) fn retain(reply: &RetainReply) -> String {
    let mut list = FieldList::new();
    list.add("Backups", reply.backups.join("\n"));
    list.add("Server", server(&reply.server));
    list.add("Keep", yes(Some(reply.keep)));
    list.text("")
}

/// The comments, each as `key: text`. In a list of several lines the further lines of a text are
/// indented.
fn comments(stored: &str, separator: &str) -> String {
    let pairs = Comments::parse(stored).pairs().into_iter();
    let line_break = if separator == "\n" { "\n  " } else { " " };
    let one = |(key, text): (String, String)| match text.as_str() {
        "" => key,
        text => {
            let lines: Vec<&str> = text.lines().collect();
            format!("{key}: {}", lines.join(line_break))
        }
    };
    pairs.map(one).collect::<Vec<_>>().join(separator)
}

/// `fast (OID 16384, /mnt/fast)`
pub(super) fn tablespace(tablespace: &TablespaceMembers) -> String {
    let name = &tablespace.name;
    let name = name.strip_prefix("tblspc_").unwrap_or(name);
    match tablespace.oid {
        Some(oid) => format!("{name} (OID {oid}, {})", tablespace.path),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_printed_as_keys_and_texts() {
        let mut stored = Comments::parse("ticket|4711,flag|");
        stored.add("note", "a, b = c\nsecond\tline").unwrap();
        let stored = stored.stored();
        assert_eq!(
            comments(&stored, "; "),
            "ticket: 4711; flag; note: a, b = c second\tline"
        );
        let reply = InfoReply {
            comments: stored,
            ..InfoReply::default()
        };
        let text = annotate(&reply);
        let end = "Comments  ticket: 4711\n          flag\n          note: a, b = c\n            \
                   second\u{fffd}line\n";
        assert!(text.ends_with(end), "{text}");
        assert!(annotate(&InfoReply::default()).ends_with("Comments  none\n"));
    }
}
