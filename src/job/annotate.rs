//! `annotate`: changes the comments of a backup.

use super::catalogue::{self, Entry};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::format::Comments;
use crate::job::context::ServerContext;
use crate::repository::{Backup, Metadata, Origin};

/// The most bytes of all comments of a backup as they are stored: `backup.info` remains readable
/// for the C program, which has 8191 bytes for a line.
const MAX_STORED: usize = 8000;

/// The same for a backup of the C program, which has 2047 bytes for the comments.
const MAX_STORED_C: usize = 2047;

/// A change of one comment.
pub enum Change {
    /// A new one, with its text.
    Add(String),
    /// Another text.
    Update(String),
    /// It is removed.
    Remove,
}

/// Changes the comment `key` of a backup; others may be changed at the same time. Returns the
/// backup with its comments.
pub fn run(context: &ServerContext, identifier: &str, key: &str, change: Change) -> Result<Entry> {
    let repository = context.repository()?;
    let backup = repository.find(identifier)?;
    let changed = |metadata: &mut Metadata| apply(&backup, metadata, key, &change);
    let label = &backup.label;
    repository
        .change_info(&backup, &context.daemon.key, changed)
        .with_context(|| format!("annotate backup {label}"))?;
    let server = &context.server.name;
    log::info!("the comment {key:?} of backup {label} of server {server} was changed");
    catalogue::find(context, label.as_str())
}

fn apply(backup: &Backup, metadata: &mut Metadata, key: &str, change: &Change) -> Result<()> {
    let mut comments = Comments::parse(&metadata.comments);
    match change {
        Change::Add(text) => comments.add(key, text)?,
        Change::Update(text) => comments.update(key, text)?,
        Change::Remove => comments.remove(key)?,
    }
    let (stored, max) = (comments.stored(), max_stored(backup));
    if stored.len() > max && stored.len() > metadata.comments.len() {
        let message = format!(
            "the comments of the backup would have {} bytes in backup.info, and {max} are possible",
            stored.len()
        );
        return Err(Error::new(ErrorKind::Usage, message)
            .with_hint("shorten the comment, or remove others"));
    }
    metadata.comments = stored;
    Ok(())
}

fn max_stored(backup: &Backup) -> usize {
    match backup.origin {
        Origin::Own => MAX_STORED,
        Origin::C => MAX_STORED_C,
    }
}
