//! Seals one segment: compresses and encrypts it, and then removes the plain file.

use std::io::{self, Read};
use std::path::Path;

use crate::codec::{EncodeOptions, StoredFormat, Suffixes, encode};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::repository::WalDirectory;
use crate::storage::{AtomicFile, open_file, remove_file_unsynced, sync_directory};
use crate::sys;
use crate::unit::{Segment, first_mut, read_some};

/// The result of sealing a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// The segment is sealed, now or by an earlier attempt.
    Done,
    /// An existing sealed file differed from the plain one and was replaced.
    Replaced,
}

/// Seals a complete segment. One durable file of it exists at any time: the plain one is removed
/// when the sealed one is on stable storage and was read back. A sealed file that a crash left
/// beside the plain one is compared with it first. No other thread may seal the same segment.
pub(super) fn seal(
    directory: &WalDirectory,
    segment: Segment,
    coding: &EncodeOptions,
) -> Result<Sealed> {
    let plain = directory
        .path()
        .join(segment.name(directory.segment_size()));
    let mut damaged = Vec::new();
    for file in directory.files_for_segment(segment)? {
        if file.partial || file.is_plain() {
            continue;
        }
        if !plain
            .try_exists()
            .with_context(|| format!("look for {}", plain.display()))?
        {
            return Ok(Sealed::Done);
        }
        match compare(directory, &plain, (&file.path(), file.suffixes), coding) {
            Ok(()) => {
                // Its rename may not be synced.
                sync_directory(directory.path())?;
                remove_file_unsynced(&plain)?;
                return Ok(Sealed::Done);
            }
            Err(failure) => {
                log::warn!("{}: {failure}", file.path().display());
                damaged.push(file);
            }
        }
    }
    if coding.stored() != StoredFormat::PLAIN {
        write(directory, &plain, coding)?;
    }
    for file in &damaged {
        if file.suffixes != coding.stored().suffixes() {
            remove_file_unsynced(&file.path())?;
        }
    }
    if coding.stored() != StoredFormat::PLAIN {
        remove_file_unsynced(&plain)?;
    }
    Ok(if damaged.is_empty() {
        Sealed::Done
    } else {
        Sealed::Replaced
    })
}

/// Writes the sealed file, durably. It is renamed after it was read back from the disk and
/// compared.
fn write(directory: &WalDirectory, plain: &Path, coding: &EncodeOptions) -> Result<()> {
    let action = || format!("seal {}", plain.display());
    let mut name = plain.as_os_str().to_owned();
    name.push(coding.stored().suffix());
    let mut from = open_file(plain).with_context(action)?;
    let mut to = AtomicFile::create(Path::new(&name))?;
    let digests = encode(&mut from, &mut to, coding).with_context(action)?;
    let size = directory.segment_size().bytes();
    if digests.plain_size != size {
        let message = format!("it has {} bytes, not {size}", digests.plain_size);
        return Err(Error::new(ErrorKind::Corrupt, message).context(action()));
    }
    let sealed = to.sync()?;
    let sealed = (sealed, coding.stored().suffixes());
    compare(directory, plain, sealed, coding).with_context(|| {
        let name = to.path().display();
        format!("read {name} back before {} is removed", plain.display())
    })?;
    to.commit()
}

/// Fails unless the sealed file holds the bytes of the plain one.
fn compare(
    directory: &WalDirectory,
    plain: &Path,
    (sealed, suffixes): (&Path, Suffixes),
    coding: &EncodeOptions,
) -> Result<()> {
    let no_key = || {
        Error::new(
            ErrorKind::Internal,
            "no key was given to read sealed segments",
        )
    };
    let key = coding.key.as_ref().ok_or_else(no_key)?;
    let open = |path: &Path| open_file(path).with_context(|| format!("open {}", path.display()));
    let mut plain = open(plain)?;
    sys::drop_page_cache(&open(sealed)?);
    let mut source = directory.open(sealed, suffixes, key)?;
    let (mut one, mut other) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let bytes = read_some(&mut source, &mut one)?;
        if bytes.is_empty() {
            break;
        }
        let expected = first_mut(&mut other, bytes.len());
        plain.read_exact(expected)?;
        if bytes != expected {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "it differs from the plain segment",
            ));
        }
    }
    if plain.read(&mut other)? != 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    source.finish().map(|_| ())
}

#[cfg(test)]
mod tests;
