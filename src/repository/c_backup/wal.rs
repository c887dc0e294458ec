//! The WAL in `data/pg_wal` of a backup of the C program, which no manifest lists: only its stored
//! bytes have a digest.

use std::io::{self, Read};
use std::path::Path;

use super::super::ManifestFile;
use super::super::layout::DATA_DIRECTORY;
use super::builder::Builder;
use crate::codec::{DigestValues, StoredFormat, StoredReader, Suffixes};
use crate::error::Result;
use crate::format::wal::PageHeader;
use crate::unit::{SegmentSize, read_full};

/// Limit for a file that is no segment, bytes: history files have at most 1 MiB.
const MAX_OTHER: u64 = 16 << 20;

/// Enough for the header of the first page of a segment.
const HEADER: usize = 64;

/// The files in `pg_wal` that are not in `listed`, which has stored paths.
pub(super) fn wal_files(
    builder: &Builder<'_>,
    listed: &dyn Fn(&Path) -> bool,
) -> Vec<ManifestFile> {
    let mut files = Vec::new();
    let mut size = None;
    for stored in &builder.tree.files {
        let stored_path = Path::new(DATA_DIRECTORY).join(stored);
        if !stored.starts_with("pg_wal") || listed(&stored_path) {
            continue;
        }
        let name = stored.file_name().unwrap_or_default().to_string_lossy();
        let (plain, suffixes) = Suffixes::split_name(&name);
        let format = builder.format(suffixes);
        let bytes = if is_segment_name(plain) {
            let found = size.or_else(|| segment_size(builder, &stored_path, format).ok().flatten());
            size = found;
            found.unwrap_or(SegmentSize::DEFAULT).bytes()
        } else {
            // What cannot be read is reported by whoever reads it.
            plain_size(builder, &stored_path, format).unwrap_or(0)
        };
        files.push(ManifestFile {
            path: stored.with_file_name(plain),
            size: bytes,
            modified: 0,
            mode: 0o600,
            stored: Some(format),
            stored_size: builder.stored_size(&stored_path),
            digests: DigestValues::Sha512 {
                plain: None,
                stored: builder.sums.get(&stored_path).copied(),
            },
            combined: None,
            stored_path,
        });
    }
    files
}

fn is_segment_name(name: &str) -> bool {
    name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn open(builder: &Builder<'_>, path: &Path, format: StoredFormat) -> Result<StoredReader> {
    let path = builder.directory.locate(path)?;
    StoredReader::open(&path, format, Some(builder.key.clone()))
}

/// The size of a segment in the header of its first page.
fn segment_size(
    builder: &Builder<'_>,
    path: &Path,
    format: StoredFormat,
) -> Result<Option<SegmentSize>> {
    let mut start = [0; HEADER];
    let mut source = open(builder, path, format)?;
    let header = PageHeader::parse(read_full(&mut source, &mut start)?).ok();
    let long = header.and_then(|header| header.long);
    Ok(long.and_then(|long| SegmentSize::new(long.segment_size.into()).ok()))
}

fn plain_size(builder: &Builder<'_>, path: &Path, format: StoredFormat) -> Result<u64> {
    let source = open(builder, path, format)?;
    Ok(io::copy(&mut source.take(MAX_OTHER), &mut io::sink())?)
}
