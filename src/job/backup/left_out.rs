//! What the server says that it left out of a base backup.
//!
//! BASE_BACKUP sends directories, regular files and the links to tablespaces. Of a link, a socket or a pipe in any other
//! place it warns, goes on without it, and reports success (`sendDir`, PostgreSQL basebackup.c, 13 to 18). A file of a
//! database is gone then; a link to a directory of log files is no loss.

use std::path::Path;

use crate::error::{Failure, Kind, Result};
use crate::pg::Warning;

/// What a cluster does not start without or loses data without (`subdirs`, PostgreSQL initdb.c), but for the directories
/// of which a base backup has no contents anyway.
const NEEDED: [&str; 10] = [
    "PG_VERSION",
    "base",
    "global",
    "pg_commit_ts",
    "pg_logical",
    "pg_multixact",
    "pg_tblspc",
    "pg_twophase",
    "pg_wal",
    "pg_xact",
];

/// Functions whose warnings quote a path of which nothing is left out: pages that cannot be checked (basebackup.c), and
/// a tablespace that is a directory in place of a link, whose files come with the data directory (xlog.c; the name up
/// to 14, and from 15 on).
const COMPLETE: [&str; 3] = ["sendFile", "do_pg_start_backup", "do_pg_backup_start"];

/// The function that warns of a file that it skips, and of nothing else.
const SKIPS: &str = "sendDir";

/// The most paths that a failure names.
const MOST_NAMED: usize = 10;

/// The most warnings that are kept with a backup.
const MOST_KEPT: usize = 100;

/// Fails if something was left out that a restored cluster needs. The warnings, fit to be kept with the backup.
pub(super) fn check(warnings: &[Warning]) -> Result<Vec<String>> {
    let missing: Vec<&str> = warnings.iter().filter_map(missing).collect();
    if !missing.is_empty() {
        let mut list = missing
            .iter()
            .take(MOST_NAMED)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        if let Some(more @ 1..) = missing.len().checked_sub(MOST_NAMED) {
            list = format!("{list} and {more} more");
        }
        let message =
            format!("the server left out of the backup what a restored cluster needs: {list}");
        return Err(Failure::new(Kind::Corrupt, message).hint(
            "PostgreSQL backs up no symbolic links but those of tablespaces, no sockets and no pipes: put the files \
             back in the place of the link, or move them to a tablespace",
        ));
    }
    let mut kept: Vec<String> = warnings
        .iter()
        .take(MOST_KEPT)
        .map(|warning| warning.message.clone())
        .collect();
    if let Some(more @ 1..) = warnings.len().checked_sub(MOST_KEPT) {
        kept.push(format!("and {more} more, which are in the log"));
    }
    Ok(kept)
}

/// What a restored cluster would lack because of what is warned of.
fn missing(warning: &Warning) -> Option<&str> {
    if COMPLETE.contains(&warning.routine.as_str()) {
        return None;
    }
    let text = warning.message.as_str();
    match quoted(text) {
        Some(path) => is_needed(path).then_some(path),
        // Something is left out, and the text does not say what.
        None => (warning.routine == SKIPS).then_some(text),
    }
}

/// What is between the first and the last quote of a text, whatever the quotes are in the language of the server. There
/// is one path in a text, and it may have quotes in it.
fn quoted(text: &str) -> Option<&str> {
    const QUOTES: [char; 9] = ['"', '«', '»', '„', '“', '”', '‹', '›', '\''];
    let (start, quote) = text.char_indices().find(|(_, c)| QUOTES.contains(c))?;
    let end = text.rfind(QUOTES)?;
    let inside = text.get(start + quote.len_utf8()..end)?;
    Some(inside.trim_matches(|c: char| c.is_whitespace()))
}

/// Whether a path is one of a tablespace, or below one of the needed places of the data directory (`./base/5`).
fn is_needed(path: &str) -> bool {
    let below = Path::new(path);
    let below = below.strip_prefix(".").unwrap_or(below);
    below.is_absolute() || NEEDED.iter().any(|name| below.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(routine: &str, message: &str) -> Warning {
        Warning {
            message: message.to_owned(),
            routine: routine.to_owned(),
        }
    }

    #[test]
    fn what_a_cluster_needs_fails_the_backup_in_every_language() {
        for message in [
            "skipping special file \"./base/16384\"",
            "skipping special file \"./base/16384/16385.1\"",
            "skipping special file \"./base/5/a\"quoted\" name\"",
            "skipping special file \"./base\"",
            "skipping special file \"./global/1262\"",
            "skipping special file \"./pg_xact\"",
            "skipping special file \"./pg_multixact/members/0000\"",
            "skipping special file \"./pg_twophase/000002E7\"",
            "skipping special file \"./pg_tblspc\"",
            "skipping special file \"./PG_VERSION\"",
            "skipping special file \"/srv/fast/PG_15_202209061/5\"",
            "skipping special file \"pg_tblspc/16400/PG_15_202209061/5\"",
            "überspringe besondere Datei »./base/16384«",
            "fichier spécial « ./base/16384 » ignoré",
            "omitiendo el archivo especial «./base/16384»",
            "スペシャルファイル\"./base/16384\"をスキップしています",
            "???????????? ./base/16384",
        ] {
            let failure = check(&[warning("sendDir", message)]).unwrap_err();
            assert_eq!(failure.kind(), Kind::Corrupt, "{message}");
        }
        let both = [
            warning("sendDir", "skipping special file \"./log\""),
            warning("sendDir", "skipping special file \"./base/1\""),
        ];
        let failure = check(&both).unwrap_err();
        assert!(failure.message().ends_with(": ./base/1"), "{failure}");
        let renamed = warning("sendDirectory", "skipping special file \"./base/1\"");
        assert!(check(&[renamed]).is_err());
    }

    #[test]
    fn other_warnings_are_kept() {
        let warnings = [
            warning("sendDir", "skipping special file \"./log\""),
            warning("sendDir", "skipping special file \"./postgresql.conf\""),
            warning("sendDir", "skipping special file \"./base.old\""),
            warning("sendDir", "skipping special file \"./pg_log/base\""),
            warning(
                "sendFile",
                "could not verify checksum in file \"./base/5/1\", block 3: read buffer size 100 and page size 8192 differ",
            ),
            warning(
                "do_pg_start_backup",
                "could not read symbolic link \"pg_tblspc/16384\": Invalid argument",
            ),
            warning("other", "there is something that no path belongs to"),
        ];
        let kept = check(&warnings).unwrap();
        assert_eq!(kept.len(), warnings.len());
        assert_eq!(kept[0], warnings[0].message);
        let many: Vec<Warning> = (0..130)
            .map(|number| warning("sendDir", &format!("skipping special file \"./s{number}\"")))
            .collect();
        let kept = check(&many).unwrap();
        assert_eq!(kept.len(), 101);
        assert_eq!(kept[100], "and 30 more, which are in the log");
    }
}
