//! Whose WAL an archive has of which nothing else is known, such as one that the C program has begun.

use std::io::Read;
use std::sync::Arc;

use crate::crypto::MasterKey;
use crate::error::{Failure, Kind, Result};
use crate::format::wal::{LongHeader, PageHeader};
use crate::repository::{Repository, SystemInfo, WalDirectory, WalFile};

/// How many files are opened at most, until one can be read.
const ATTEMPTS: usize = 8;

/// Refuses a server that is another cluster than the one that wrote the newest segments, before the archive is bound to it.
pub(super) fn check(
    repository: &Repository,
    key: &Arc<MasterKey>,
    system: &SystemInfo,
) -> Result<()> {
    if repository.system()?.is_some() {
        return Ok(());
    }
    let directory = repository.wal_of(system.segment_size);
    let files = directory.segments()?;
    let newest = files.iter().rev().take(ATTEMPTS);
    let mut said = newest.filter_map(|file| header(&directory, file, key));
    match said.next() {
        Some(said) if said.system_identifier != system.system_identifier => {
            let path = directory.path().display();
            let message = format!(
                "the server is another cluster (system identifier {}) than the one whose WAL is in {path} ({})",
                system.system_identifier, said.system_identifier
            );
            Err(Failure::new(Kind::Configuration, message).hint(
                "correct host and port, or give this server a section of its own; nothing of it was written",
            ))
        }
        _ => Ok(()),
    }
}

/// What a segment says of its cluster; `None` where it cannot be read, of which others tell.
fn header(directory: &WalDirectory, file: &WalFile, key: &Arc<MasterKey>) -> Option<LongHeader> {
    let mut source = directory.open(&file.path, file.suffixes, key).ok()?;
    let mut page = [0; PageHeader::LONGEST];
    source.read_exact(&mut page).ok()?;
    PageHeader::parse(&page).ok()?.long
}
