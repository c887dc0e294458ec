//! The text for an answer.

use super::layout::{FieldList, span};
use super::values::{number, server, size, text};
use super::{backups, other, restore, status, verify};
use crate::app::report::clean;
use crate::protocol::{Command, Members, Request, Response};

/// The text for the answer to a request that was done.
pub(in crate::app::cli) fn render(request: &Request, response: &Response) -> String {
    let fields = response.fields();
    match request.command() {
        Command::Ping => format!(
            "The daemon is there, version {}.\n",
            clean(&text(&fields, "ServerVersion"))
        ),
        Command::Shutdown => "The daemon is stopping.\n".to_owned(),
        Command::Backup => backups::taken(&fields),
        Command::ListBackup => backups::list(&fields),
        Command::Info => backups::info(&fields),
        Command::Status | Command::StatusDetails => status::status(&fields),
        Command::Verify => verify::verify(&fields),
        Command::Restore => restore::restore(request, &fields),
        Command::Progress => progress(&fields),
        Command::WalBegin => beginning(&fields),
        _ => other::members(&fields),
    }
}

fn beginning(fields: &Members) -> String {
    let (server, name) = (server(fields), clean(&text(fields, "Server")));
    let from = match text(fields, "Position") {
        none if none.is_empty() => "Its WAL will be received as soon as it has a slot".to_owned(),
        position => format!("Its WAL is received from {position} on"),
    };
    format!(
        "The WAL archive of {server} may begin.\n{from}; what comes before is not in the archive.\n\
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
        number(fields, "Elapsed").map_or_else(String::new, span),
    );
    let left = fields
        .get("Remaining")
        .and_then(|left| left.get("value")?.as_u64());
    list.add(
        "Left",
        left.filter(|&left| left > 0).map_or_else(String::new, span),
    );
    list.text("")
}
