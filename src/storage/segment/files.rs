//! Names, sizes and ends of segment files.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage::names::{PARTIAL_SUFFIX, TEMPORARY_SUFFIX};
use crate::storage::spare_segment::write_zeros;
use crate::storage::{Durable, SpareSegment, open_file, sync_directory};
use crate::unit::{Lsn, Segment, SegmentSize, first_mut, to_u64, to_usize};

/// Bytes that are read or rewritten in one step.
pub(super) const BLOCK_SIZE: u64 = 64 << 10;

/// Syncs an archive that ends at `end` with the complete segment `last`; an archive without a
/// segment begins at `end`.
pub fn sync_archive_end(directory: &Path, last: Option<&Path>, end: Lsn) -> Result<Durable<Lsn>> {
    if let Some(path) = last {
        open_file(path)
            .and_then(|file| file.sync_all())
            .with_context(|| format!("sync {}", path.display()))?;
    }
    sync_directory(directory)?;
    Ok(Durable::after_sync(end))
}

/// PostgreSQL's InvalidXLogRecPtr, 0/0: nothing is durable.
pub fn no_durable_position() -> Durable<Lsn> {
    Durable::after_sync(Lsn::ZERO)
}

/// The offset after the last byte of a segment file that is not zero: at least this much was
/// received.
pub fn written_length(file: &File) -> Result<u64> {
    let mut end = file.metadata().context("ask for the size")?.len();
    let mut block = vec![0; to_usize(BLOCK_SIZE)];
    while end > 0 {
        let start = end.saturating_sub(1) / BLOCK_SIZE * BLOCK_SIZE;
        let length = to_usize(end - start);
        let part = first_mut(&mut block, length);
        match file.read_exact_at(part, start) {
            // It was shortened meanwhile: there was no room to extend it.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                let length = file.metadata().context("ask for the size")?.len();
                end = length.min(end.saturating_sub(1));
                continue;
            }
            read => read.context("read")?,
        }
        if let Some(last) = part.iter().rposition(|&byte| byte != 0) {
            return Ok(start + to_u64(last) + 1);
        }
        end = start;
    }
    Ok(0)
}

/// `<24 digits>.partial`
pub(super) fn partial_name(segment: Segment, size: SegmentSize) -> String {
    format!("{}{PARTIAL_SUFFIX}", segment.name(size))
}

/// The name of the file that will replace a partial one.
pub(super) fn hidden_name(segment: Segment, size: SegmentSize) -> String {
    format!(".{}{TEMPORARY_SUFFIX}", partial_name(segment, size))
}

/// The end of what was received of an existing partial segment.
pub(super) fn received_end(
    file: &File,
    path: &Path,
    segment: Segment,
    size: SegmentSize,
) -> Result<Lsn> {
    let action = || format!("continue {}", path.display());
    let length = file.metadata().with_context(action)?.len();
    if length > size.bytes() {
        let message = format!(
            "{} has {length} bytes, more than a segment of {}",
            path.display(),
            size.bytes()
        );
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    let written = written_length(file).with_context(action)?;
    Ok(segment.start(size).advance(written))
}

/// Extends an existing partial segment to its full size. If there is no room for that, it keeps its
/// length.
pub(super) fn extend_partial(file: &File, path: &Path, size: SegmentSize) -> Result<()> {
    let action = || format!("continue {}", path.display());
    let length = file.metadata().with_context(action)?.len();
    if length >= size.bytes() {
        return Ok(());
    }
    let mut at_end = file;
    at_end.seek(SeekFrom::Start(length)).with_context(action)?;
    let extended = write_zeros(&mut at_end, size.bytes() - length);
    if extended.is_err() {
        file.set_len(length).with_context(action)?;
    }
    extended.and_then(|()| file.sync_all()).with_context(action)
}

/// Creates the file `path` of zeros; its name is not durable yet.
pub(super) fn new_file(
    directory: &Path,
    path: &Path,
    size: SegmentSize,
    spare: Option<SpareSegment>,
) -> Result<File> {
    let spare = match spare.filter(|spare| spare.size() == size) {
        Some(spare) => spare,
        None => SpareSegment::create(directory, size)?,
    };
    spare.rename_to(path)
}

/// Whether the path exists.
pub(super) fn exists(path: &Path) -> Result<bool> {
    path.try_exists()
        .with_context(|| format!("look for {}", path.display()))
}

/// Fails if the path exists, because it must not be replaced.
pub(super) fn check_absent(path: &Path) -> Result<()> {
    if exists(path)? {
        let message = format!("{} is there already", path.display());
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint(
            "no complete WAL segment is ever replaced: find out where it comes from, and move it \
             away if it is not of this archive",
        ));
    }
    Ok(())
}
