//! Checks the warnings of the server about files that it skipped in a base backup.
//!
//! BASE_BACKUP sends directories, regular files and the links to tablespaces. Of another link, a
//! socket or a pipe it warns, skips it, and reports success (`sendDir`, PostgreSQL basebackup.c, 13
//! to 18). A file of a database is lost then; a link to a log directory does not matter.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::pg::Warning;

/// The paths that a cluster needs to start without data loss (`subdirs`, PostgreSQL initdb.c),
/// except the directories that are empty in every base backup.
const REQUIRED_PATHS: [&str; 10] = [
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

/// Functions whose warnings quote a path that is not skipped: pages that cannot be checked
/// (basebackup.c), and a tablespace that is a directory in place of a link, whose files come with
/// the data directory (xlog.c; the name up to 14, and from 15 on).
const HARMLESS_ROUTINES: [&str; 3] = ["sendFile", "do_pg_start_backup", "do_pg_backup_start"];

/// The function that warns only of skipped files.
const SKIPPING_ROUTINE: &str = "sendDir";

/// The most paths in an error text.
const MAX_NAMED: usize = 10;

/// The most warnings stored with a backup.
const MAX_WARNINGS: usize = 100;

/// Fails if a path was skipped that a restored cluster needs. Returns the warnings to store with
/// the backup.
pub(super) fn check(warnings: &[Warning]) -> Result<Vec<String>> {
    let missing: Vec<&str> = warnings.iter().filter_map(missing).collect();
    if !missing.is_empty() {
        let mut list = missing
            .iter()
            .take(MAX_NAMED)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        if let Some(more @ 1..) = missing.len().checked_sub(MAX_NAMED) {
            list = format!("{list} and {more} more");
        }
        let message = format!("the server skipped files that a restored cluster needs: {list}");
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint(
            "PostgreSQL backs up no symbolic links but those of tablespaces, no sockets and no \
             pipes: replace the link by the files, or move them to a tablespace",
        ));
    }
    let mut stored: Vec<String> = warnings
        .iter()
        .take(MAX_WARNINGS)
        .map(|warning| warning.message.clone())
        .collect();
    if let Some(more @ 1..) = warnings.len().checked_sub(MAX_WARNINGS) {
        stored.push(format!("and {more} more, which are in the log"));
    }
    Ok(stored)
}

/// The required path that a warning says was skipped, or its text if unknown.
fn missing(warning: &Warning) -> Option<&str> {
    if HARMLESS_ROUTINES.contains(&warning.routine.as_str()) {
        return None;
    }
    let text = warning.message.as_str();
    match quoted_path(text) {
        Some(path) => is_required(path).then_some(path),
        // A file was skipped, and the text does not name it.
        None => (warning.routine == SKIPPING_ROUTINE).then_some(text),
    }
}

/// The text between the first and the last quotation mark, in any language of the server. A message
/// has one path, which may contain quotes.
fn quoted_path(text: &str) -> Option<&str> {
    const QUOTES: [char; 9] = ['"', '«', '»', '„', '“', '”', '‹', '›', '\''];
    let (start, quote) = text.char_indices().find(|(_, c)| QUOTES.contains(c))?;
    let end = text.rfind(QUOTES)?;
    let inside = text.get(start + quote.len_utf8()..end)?;
    Some(inside.trim_matches(|c: char| c.is_whitespace()))
}

/// Whether a path is in a tablespace, or below a required path of the data directory (`./base/5`).
fn is_required(path: &str) -> bool {
    let below = Path::new(path);
    let below = below.strip_prefix(".").unwrap_or(below);
    below.is_absolute() || REQUIRED_PATHS.iter().any(|name| below.starts_with(name))
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
    fn a_skipped_required_path_fails_the_backup_in_every_language() {
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
            assert_eq!(failure.kind(), ErrorKind::Corrupt, "{message}");
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
    fn other_warnings_are_stored() {
        let warnings = [
            warning("sendDir", "skipping special file \"./log\""),
            warning("sendDir", "skipping special file \"./postgresql.conf\""),
            warning("sendDir", "skipping special file \"./base.old\""),
            warning("sendDir", "skipping special file \"./pg_log/base\""),
            warning(
                "sendFile",
                "could not verify checksum in file \"./base/5/1\", block 3: read buffer size 100 \
                 and page size 8192 differ",
            ),
            warning(
                "do_pg_start_backup",
                "could not read symbolic link \"pg_tblspc/16384\": Invalid argument",
            ),
            warning("other", "there is something that no path belongs to"),
        ];
        let stored = check(&warnings).unwrap();
        assert_eq!(stored.len(), warnings.len());
        assert_eq!(stored[0], warnings[0].message);
        let many: Vec<Warning> = (0..130)
            .map(|number| warning("sendDir", &format!("skipping special file \"./s{number}\"")))
            .collect();
        let stored = check(&many).unwrap();
        assert_eq!(stored.len(), 101);
        assert_eq!(stored[100], "and 30 more, which are in the log");
    }
}
