//! The names, the sizes and the ends of segment files.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Context, Failure, Kind, Result};
use crate::storage::spare::fill_zeros;
use crate::storage::{Durable, Spare, open_file, sync_directory};
use crate::unit::{Lsn, Segment, SegmentSize};

/// How many bytes are looked at, or written again, in one step.
pub(super) const BLOCK: u64 = 64 << 10;

/// Makes sure that an archive which ends with the complete segment at `last` is on stable storage up to `end`; an archive
/// without a segment begins at `end` and has nothing before it to lose.
pub fn prove_end(directory: &Path, last: Option<&Path>, end: Lsn) -> Result<Durable<Lsn>> {
    if let Some(path) = last {
        open_file(path)
            .and_then(|file| file.sync_all())
            .with_context(|| format!("sync {}", path.display()))?;
    }
    sync_directory(directory)?;
    Ok(Durable::proven(end))
}

/// The proof for nothing at all, which PostgreSQL reads as "no position": 0/0.
pub fn nothing_durable() -> Durable<Lsn> {
    Durable::proven(Lsn::ZERO)
}

/// After the last byte of a segment file that is not zero, as an offset: what was received of it at least.
pub fn written_length(file: &File) -> Result<u64> {
    let mut end = file.metadata().context("ask for the size")?.len();
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(1)];
    while end > 0 {
        let start = end.saturating_sub(1) / BLOCK * BLOCK;
        let length = usize::try_from(end - start).unwrap_or(block.len());
        let part = block.get_mut(..length).unwrap_or_default();
        file.read_exact_at(part, start).context("read")?;
        if let Some(last) = part.iter().rposition(|&byte| byte != 0) {
            return Ok(start + u64::try_from(last).unwrap_or(0) + 1);
        }
        end = start;
    }
    Ok(0)
}

/// `<24 digits>.partial`
pub(super) fn partial_name(segment: Segment, size: SegmentSize) -> String {
    format!("{}.partial", segment.name(size))
}

/// The name of the file that will replace a partial one.
pub(super) fn hidden_name(segment: Segment, size: SegmentSize) -> String {
    format!(".{}.partial.tmp", segment.name(size))
}

/// Takes over a partial segment that is there: gives it its full size; up to where it was received.
pub(super) fn adopt(file: &File, path: &Path, segment: Segment, size: SegmentSize) -> Result<Lsn> {
    let doing = || format!("continue {}", path.display());
    let length = file.metadata().with_context(doing)?.len();
    if length > size.bytes() {
        let message = format!(
            "{} has {length} bytes, more than a segment of {}",
            path.display(),
            size.bytes()
        );
        return Err(Failure::new(Kind::Corrupt, message));
    }
    let written = written_length(file).with_context(doing)?;
    if length < size.bytes() {
        let mut at_end = file;
        at_end.seek(SeekFrom::Start(length)).with_context(doing)?;
        fill_zeros(&mut at_end, size.bytes() - length).with_context(doing)?;
        file.sync_all().with_context(doing)?;
    }
    Ok(segment.start(size).advance(written))
}

/// Makes the file `path` of zeros; its name is not durable yet.
pub(super) fn new_file(
    directory: &Path,
    path: &Path,
    size: SegmentSize,
    spare: Option<Spare>,
) -> Result<File> {
    let spare = match spare.filter(|spare| spare.size() == size) {
        Some(spare) => spare,
        None => Spare::prepare(directory, size)?,
    };
    spare.become_file(path)
}

/// Whether there is a file of that name.
pub(super) fn exists(path: &Path) -> Result<bool> {
    path.try_exists()
        .with_context(|| format!("look for {}", path.display()))
}

/// Fails if there is a file of that name, which must not be replaced.
pub(super) fn check_absent(path: &Path) -> Result<()> {
    if exists(path)? {
        let message = format!("{} is there already", path.display());
        return Err(Failure::new(Kind::Corrupt, message).hint(
            "no complete WAL segment is ever replaced: find out where it comes from, and move it away if it is not of \
             this archive",
        ));
    }
    Ok(())
}
