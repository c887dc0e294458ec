//! The text output of a response.

use super::layout::{FieldList, human_duration};
use super::values::{number, server, size, text};
use super::{backups, generic, restore, status, verify};
use crate::app::report::clean;
use crate::protocol::{Members, Request, Response};

/// The text output of a request that succeeded.
pub(in crate::app::cli) fn render(request: &Request, response: &Response) -> String {
    let fields = response.fields();
    match request {
        Request::Ping => format!(
            "pgmoneta {} is running.\n",
            clean(&text(&fields, "ServerVersion"))
        ),
        Request::Shutdown => "The daemon is stopping.\n".to_owned(),
        Request::Backup(_) => backups::backup(&fields),
        Request::ListBackup(_) => backups::list(&fields),
        Request::Info(_) => backups::info(&fields),
        Request::Status | Request::StatusDetails => status::status(&fields),
        Request::Verify(_) => verify::verify(&fields),
        Request::Restore(_) => restore::restore(request.is_dry_run(), &fields),
        Request::Progress(_) => progress(&fields),
        Request::WalBegin(_) => wal_begin(&fields),
        Request::Other { .. } => generic::members(&fields),
    }
}

fn wal_begin(fields: &Members) -> String {
    let (server, name) = (server(fields), clean(&text(fields, "Server")));
    let from = match text(fields, "Position") {
        lsn if lsn.is_empty() => "WAL will be received as soon as the slot exists".to_owned(),
        lsn => format!("WAL is received from {lsn} on"),
    };
    format!(
        "A new WAL archive of {server} is allowed.\n{from}; earlier WAL is not in the archive.\n\
         Take a full backup: pgmoneta-cli backup {name}\n"
    )
}

fn progress(fields: &Members) -> String {
    let mut list = FieldList::new();
    list.add("Server", server(fields));
    if number(fields, "ProgressState") != Some(1) {
        list.add("Running", "nothing");
        return list.text("");
    }
    list.add("Running", text(fields, "Activity"));
    list.add("Done", size(fields, "Done"));
    if number(fields, "Total").is_some_and(|total| total > 0) {
        let percentage = number(fields, "Percentage").unwrap_or(0);
        list.add("Of", format!("{} ({percentage} %)", size(fields, "Total")));
    }
    list.add(
        "Since",
        number(fields, "Elapsed").map_or_else(String::new, human_duration),
    );
    let remaining = fields
        .get("Remaining")
        .and_then(|remaining| remaining.get("value")?.as_u64());
    list.add(
        "Left",
        remaining
            .filter(|&seconds| seconds > 0)
            .map_or_else(String::new, human_duration),
    );
    list.text("")
}
