//! Opening the files of a backup of the C program.

use std::sync::Arc;

use super::super::ManifestFile;
use super::{CDirectory, CombinedReader};
use crate::codec::StoredReader;
use crate::crypto::MasterKey;
use crate::error::{Error, ErrorKind, Result};

/// Opens a stored file to read its plain bytes.
pub fn open_stored(
    directory: &CDirectory,
    file: &ManifestFile,
    key: &Arc<MasterKey>,
) -> Result<StoredReader> {
    let path = directory.locate(&file.stored_path)?;
    let stored = file.stored.ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "the format of a stored file is not known",
        )
    })?;
    let kind = file.digests.kind();
    let source = StoredReader::open_hashing(&path, stored, Some(key.clone()), kind)?;
    Ok(source.with_max_size(file.size))
}

/// Opens the parts of a file that is combined.
pub fn open_combined(
    directory: &CDirectory,
    parts: &[ManifestFile],
    padding_error: bool,
    key: &Arc<MasterKey>,
) -> Result<CombinedReader> {
    CombinedReader::new(parts, padding_error, &|part| {
        open_stored(directory, part, key)
    })
}
