//! The cluster that wrote the WAL of an archive with no recorded system identifier, such as one of
//! the C program.

use std::io::Read;
use std::sync::Arc;

use crate::crypto::MasterKey;
use crate::error::{Error, ErrorKind, Result};
use crate::format::wal::{LongHeader, PageHeader};
use crate::repository::{Repository, SystemInfo, WalDirectory, WalFile};

/// The most files to try until one can be read.
const MAX_FILES: usize = 8;

/// Fails if the system identifier of the newest readable segment is not the server's. Called before
/// the archive is bound to the cluster.
pub(super) fn check(
    repository: &Repository,
    key: &Arc<MasterKey>,
    system: &SystemInfo,
) -> Result<()> {
    if repository.system()?.is_some() {
        return Ok(());
    }
    let directory = repository.wal_with_segment_size(system.segment_size);
    let files = directory.segments()?;
    let newest = files.iter().rev().take(MAX_FILES);
    let mut headers = newest.filter_map(|file| read_header(&directory, file, key));
    match headers.next() {
        Some(header) if header.system_identifier != system.system_identifier => {
            let path = directory.path().display();
            let message = format!(
                "the server is another cluster (system identifier {}) than the one whose WAL is in \
                 {path} ({})",
                system.system_identifier, header.system_identifier
            );
            Err(Error::new(ErrorKind::Configuration, message).with_hint(
                "correct host and port, or give this server a section of its own; nothing was \
                 written",
            ))
        }
        _ => Ok(()),
    }
}

/// The long page header of a segment; `None` if unreadable, which is reported elsewhere.
fn read_header(
    directory: &WalDirectory,
    file: &WalFile,
    key: &Arc<MasterKey>,
) -> Option<LongHeader> {
    let mut source = directory.open(&file.path(), file.suffixes, key).ok()?;
    let mut page = [0; PageHeader::MAX_LENGTH];
    source.read_exact(&mut page).ok()?;
    PageHeader::parse(&page).ok()?.long
}
