//! Sealing one segment: compress, encrypt, and only then let the plain file go.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::codec::{Coding, Stored, Suffixes, encode};
use crate::error::{Context, Failure, Kind, Result};
use crate::repository::WalDirectory;
use crate::storage::{AtomicFile, discard_file, open_file, sync_directory};
use crate::sys;
use crate::unit::Segment;

/// What sealing a segment came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// It was sealed, now or before.
    Well,
    /// There was a sealed file that was not what the plain one is; it was made anew.
    Replaced,
}

/// The plain files that are being sealed now.
static BUSY: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The right to seal one segment: a receiver that was started anew may find the pool at work for the one before it, and
/// two must not write the same file.
struct Turn(PathBuf);

impl Turn {
    fn take(plain: &Path) -> Result<Turn> {
        let mut busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.insert(plain.to_owned()) {
            return Ok(Turn(plain.to_owned()));
        }
        let message = format!("{} is being sealed already", plain.display());
        Err(Failure::new(Kind::Busy, message))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&self.0);
    }
}

/// Seals a complete segment. At every instant there is one durable file of it: the plain one goes when the sealed one is on
/// stable storage and was read back. One that a crash left beside the plain one is read and compared first.
pub(super) fn seal(directory: &WalDirectory, segment: Segment, coding: &Coding) -> Result<Sealed> {
    let plain = directory
        .path()
        .join(segment.name(directory.segment_size()));
    let _turn = Turn::take(&plain)?;
    let mut damaged = Vec::new();
    for file in directory.files_of(segment)? {
        if file.partial || file.is_plain() {
            continue;
        }
        if !plain
            .try_exists()
            .with_context(|| format!("look for {}", plain.display()))?
        {
            return Ok(Sealed::Well);
        }
        match compare(directory, &plain, (&file.path, file.suffixes), coding) {
            Ok(()) => {
                // Its name may be younger than the last sync.
                sync_directory(directory.path())?;
                discard_file(&plain)?;
                return Ok(Sealed::Well);
            }
            Err(failure) => {
                log::warn!("{}: {failure}", file.path.display());
                damaged.push(file);
            }
        }
    }
    if coding.stored() != Stored::PLAIN {
        write(directory, &plain, coding)?;
    }
    for file in &damaged {
        if file.suffixes != coding.stored().named() {
            discard_file(&file.path)?;
        }
    }
    if coding.stored() != Stored::PLAIN {
        discard_file(&plain)?;
    }
    Ok(if damaged.is_empty() {
        Sealed::Well
    } else {
        Sealed::Replaced
    })
}

/// Writes the sealed file, durably. It gets its name when it was read back from the disk and holds the segment.
fn write(directory: &WalDirectory, plain: &Path, coding: &Coding) -> Result<()> {
    let doing = || format!("seal {}", plain.display());
    let mut name = plain.as_os_str().to_owned();
    name.push(coding.stored().suffix());
    let mut from = open_file(plain).with_context(doing)?;
    let mut to = AtomicFile::create(Path::new(&name))?;
    let digests = encode(&mut from, &mut to, coding).with_context(doing)?;
    let size = directory.segment_size().bytes();
    if digests.plain_size != size {
        let message = format!("it has {} bytes, not {size}", digests.plain_size);
        return Err(Failure::new(Kind::Corrupt, message).context(doing()));
    }
    let sealed = to.settle()?;
    let how = (sealed, coding.stored().named());
    compare(directory, plain, how, coding).with_context(|| {
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
    coding: &Coding,
) -> Result<()> {
    let no_key = || Failure::new(Kind::Internal, "no key was given to read sealed segments");
    let key = coding.key.as_ref().ok_or_else(no_key)?;
    let open = |path: &Path| open_file(path).with_context(|| format!("open {}", path.display()));
    let mut plain = open(plain)?;
    sys::forget_cached(&open(sealed)?);
    let mut source = directory.open(sealed, suffixes, key)?;
    let (mut one, mut other) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let count = source.read(&mut one)?;
        let bytes = one.get(..count).unwrap_or_default();
        if count == 0 {
            break;
        }
        let there = other.get_mut(..count).unwrap_or_default();
        plain.read_exact(there)?;
        if bytes != there {
            return Err(Failure::new(Kind::Corrupt, "it does not hold the segment"));
        }
    }
    if plain.read(&mut other)? != 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    source.finish().map(|_| ())
}

#[cfg(test)]
mod tests;
