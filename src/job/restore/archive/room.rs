//! Whether an archive can be as large as it must be: what is known before it is written.

use std::path::Path;

use super::super::plan::Plan;
use crate::codec::{Compression, EncodeOptions};
use crate::crypto::gcm::MAX_LENGTH;
use crate::error::{Error, ErrorKind, Result};
use crate::format::tar_writer::archive_size;
use crate::storage::Space;
use crate::unit::{ByteSize, Encryption};

/// Bytes that must remain free on the file system.
const RESERVE: u64 = 16 << 20;

/// The size of the archive before compression, bytes; without the small files for recovery.
pub(super) fn plain_size(plan: &Plan, segment_size: u64) -> u64 {
    let files = plan
        .files
        .iter()
        .map(|(file, path)| (path.as_path(), file.size));
    let directories = plan.directories.iter().map(|(path, _)| (path.as_path(), 0));
    let name = Path::new("pg_wal");
    let wal = plan.segments.iter().map(|_| (name, segment_size));
    archive_size(files.chain(directories).chain(wal))
}

/// Fails if an archive of `plain` bytes certainly does not fit on the disk, or into one encrypted
/// file. With compression its size is not known: warnings then say what may happen.
pub(super) fn check(plain: u64, coding: &EncodeOptions, space: Space) -> Result<Vec<String>> {
    let size = ByteSize(plain);
    let exact = coding.compression == Compression::None;
    let mut warnings = Vec::new();
    if coding.encryption != Encryption::None && plain > MAX_LENGTH {
        let limit = ByteSize(MAX_LENGTH);
        if exact {
            let message = format!(
                "the archive would have {size}, and one encrypted file can have {limit} at most"
            );
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint(
                "set compression, or encryption = none and encrypt the archive by other means; \
                 `restore` has no such limit",
            ));
        }
        warnings.push(format!(
            "the archive has {size} before compression: it fails if more than {limit} are left \
             after it, the most that one encrypted file can have"
        ));
    }
    let (needed, free) = (plain.saturating_add(RESERVE), ByteSize(space.free));
    if needed > space.free {
        if exact {
            let message = format!("not enough space: {size} are needed, {free} are free");
            return Err(Error::new(ErrorKind::NoSpace, message));
        }
        warnings.push(format!(
            "the archive has {size} before compression, and {free} are free: it fails if it does \
             not fit"
        ));
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Level;

    #[test]
    fn what_cannot_fit_is_refused_and_what_may_not_is_a_warning() {
        let coding = |compression, encryption| EncodeOptions {
            compression,
            level: Level::Auto,
            encryption,
            key: None,
        };
        let (none, zstd) = (Compression::None, Compression::Zstd);
        let (plain, aes) = (Encryption::None, Encryption::Aes256);
        let disk = |free| Space {
            free,
            ..Space::default()
        };
        let ask = |size, compression, encryption, free| {
            check(size, &coding(compression, encryption), disk(free))
        };
        let refused = |size, compression, encryption, free| {
            let error = ask(size, compression, encryption, free).err();
            error.map(|error| error.kind())
        };
        let (small, large) = (1 << 30, 100 << 30);
        for compression in [none, zstd] {
            let found = ask(small, compression, aes, large).unwrap();
            assert_eq!(found, [""; 0], "{compression}");
            assert_eq!(refused(large, compression, plain, 200 << 30), None);
        }
        let unsupported = Some(ErrorKind::Unsupported);
        assert_eq!(refused(large, none, aes, 200 << 30), unsupported);
        assert_eq!(refused(MAX_LENGTH + 1, none, aes, large), unsupported);
        assert_eq!(refused(MAX_LENGTH, none, aes, large), None);
        assert_eq!(refused(small, none, plain, small), Some(ErrorKind::NoSpace));
        assert_eq!(ask(large, zstd, aes, small).unwrap().len(), 2);
    }
}
