//! Proves that a file of a backup is bad, by its stored bytes alone.
//!
//! A file may fail to be read for other reasons than damage: another master key, missing
//! permission, no file descriptors. A backup is not given up for these.

use std::io;

use crate::codec::DigestValues;
use crate::crypto::{Sha256, Sha512};
use crate::error::{Error, ErrorKind, Result};
use crate::job::pace::Pace;
use crate::repository::{Backup, INFO, ManifestFile, Repository};
use crate::storage;
use crate::sys::{Stop, drop_page_cache};
use crate::unit::{Encryption, read_some, to_u64};

/// Bytes that are read at a time.
const BLOCK_SIZE: usize = 64 << 10;

/// Reads a file that failed once more, from the disk.
pub(super) struct Proof<'a> {
    pub repository: &'a Repository,
    pub backup: &'a Backup,
    pub pace: &'a Pace,
    pub stop: &'a Stop,
}

impl Proof<'_> {
    /// Whether a file is missing, cannot be read from the disk, or has other stored bytes than
    /// those that were written. `failure` is why it could not be decoded; without one, what was
    /// decoded differs from the manifest. Fails once a stop is requested.
    pub(super) fn is_bad(&self, file: &ManifestFile, failure: Option<&Error>) -> Result<bool> {
        let by_failure = self.by_failure(file, failure);
        let recorded = match file.digests {
            DigestValues::Own(own) => own.sha256.to_vec(),
            DigestValues::Sha512 { stored, .. } => match stored {
                Some(stored) => stored.to_vec(),
                None => return Ok(by_failure),
            },
        };
        if file.combined.is_some() {
            return Ok(by_failure);
        }
        let found = match self.backup.locate(&file.stored_path) {
            Ok(located) => self.digest(&located.path, file.digests),
            Err(failure) => return Ok(self.is_damage(&failure)),
        };
        match found {
            Ok(found) => Ok(found != recorded),
            Err(error) if storage::is_disk_error(&error) => Ok(true),
            Err(error) => {
                self.stop.check()?;
                Ok(self.is_damage(&Error::from(error)))
            }
        }
    }

    /// As far as it is known without the digest of the stored bytes.
    fn by_failure(&self, file: &ManifestFile, failure: Option<&Error>) -> bool {
        let Some(failure) = failure else {
            return true;
        };
        // It may be of another master key.
        let encrypted = self.backup.info.encryption != Encryption::None
            || file
                .stored
                .is_none_or(|stored| stored.encryption != Encryption::None);
        self.is_damage(failure) && (failure.kind() == ErrorKind::NotFound || !encrypted)
    }

    /// Whether an error says that a file is missing or malformed, and the backup is there.
    pub(super) fn is_damage(&self, failure: &Error) -> bool {
        match failure.kind() {
            ErrorKind::Corrupt => true,
            ErrorKind::NotFound => {
                self.repository.check_paths().is_ok() && self.backup.path.join(INFO).exists()
            }
            _ => false,
        }
    }

    /// The digest of the stored bytes.
    fn digest(&self, path: &std::path::Path, kind: DigestValues) -> io::Result<Vec<u8>> {
        let mut file = storage::open_file_nofollow(path)?;
        drop_page_cache(&file);
        let (mut sha256, mut sha512) = (Sha256::new(), Sha512::new());
        let mut buffer = vec![0; BLOCK_SIZE];
        loop {
            self.pace.take(to_u64(BLOCK_SIZE), self.stop)?;
            let block = read_some(&mut file, &mut buffer)?;
            if block.is_empty() {
                break;
            }
            match kind {
                DigestValues::Own(_) => sha256.update(block),
                DigestValues::Sha512 { .. } => sha512.update(block),
            }
        }
        Ok(match kind {
            DigestValues::Own(_) => sha256.finish().to_vec(),
            DigestValues::Sha512 { .. } => sha512.finish().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::codec::{Compression, OwnDigests, StoredFormat};
    use crate::unit::Label;

    /// A repository with a backup that has one file.
    struct Stored {
        base: PathBuf,
        repository: Repository,
        backup: Backup,
    }

    impl Stored {
        fn new() -> Stored {
            let base = std::env::temp_dir().join(format!("pgmoneta-proof-{}", std::process::id()));
            let _ = fs::remove_dir_all(&base);
            fs::create_dir_all(&base).unwrap();
            let repository = Repository::create(&base, &"primary".parse().unwrap()).unwrap();
            let label: Label = "20260101000000".parse().unwrap();
            let path = repository.backup_directory(&label);
            fs::create_dir_all(path.join("data")).unwrap();
            fs::write(path.join(INFO), "STATUS=1\n").unwrap();
            fs::write(path.join("data/file"), "stored").unwrap();
            let backup = Backup::completed(label, path).unwrap();
            Stored {
                base,
                repository,
                backup,
            }
        }

        fn file(&self) -> PathBuf {
            self.backup.path.join("data/file")
        }

        fn is_bad(&self, digests: DigestValues, failure: Option<ErrorKind>) -> bool {
            let stop = Stop::new().unwrap();
            let proof = Proof {
                repository: &self.repository,
                backup: &self.backup,
                pace: &Pace::new(0),
                stop: &stop,
            };
            let file = ManifestFile {
                path: "file".into(),
                size: 6,
                modified: 0,
                mode: 0o600,
                stored_path: "data/file".into(),
                stored: Some(StoredFormat {
                    compression: Compression::None,
                    encryption: Encryption::Aes256,
                }),
                stored_size: 6,
                digests,
                combined: None,
            };
            let failure = failure.map(|kind| Error::new(kind, "it failed"));
            proof.is_bad(&file, failure.as_ref()).unwrap()
        }
    }

    fn own() -> DigestValues {
        DigestValues::Own(OwnDigests {
            crc32c: 0,
            blake3: [0; 32],
            sha256: Sha256::of(b"stored"),
        })
    }

    #[test]
    fn only_the_stored_bytes_prove_that_a_file_is_bad() {
        let stored = Stored::new();
        let corrupt = Some(ErrorKind::Corrupt);
        assert!(!stored.is_bad(own(), corrupt), "another master key");
        assert!(!stored.is_bad(own(), Some(ErrorKind::Io)), "no descriptors");
        // Without a digest of the stored bytes, as the C program may leave it.
        let plain = DigestValues::Sha512 {
            plain: Some([0; 64]),
            stored: None,
        };
        assert!(!stored.is_bad(plain, corrupt) && stored.is_bad(plain, None));
        fs::write(stored.file(), "stOred").unwrap();
        for failure in [None, corrupt, Some(ErrorKind::Permission)] {
            assert!(stored.is_bad(own(), failure));
        }
        fs::write(stored.file(), "stored!").unwrap();
        assert!(stored.is_bad(own(), corrupt));
        fs::remove_file(stored.file()).unwrap();
        fs::create_dir(stored.file()).unwrap();
        assert!(stored.is_bad(own(), corrupt), "no file");
        fs::remove_dir(stored.file()).unwrap();
        assert!(stored.is_bad(own(), Some(ErrorKind::NotFound)));
        // Without the backup nothing is proven: it is removed, or not mounted.
        fs::remove_file(stored.backup.path.join(INFO)).unwrap();
        assert!(!stored.is_bad(own(), Some(ErrorKind::NotFound)));
        fs::remove_dir_all(&stored.base).unwrap();
        assert!(!stored.is_bad(own(), Some(ErrorKind::NotFound)));
    }
}
