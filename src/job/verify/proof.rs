//! Proves that a file of a backup is bad, by its stored bytes alone.
//!
//! A file may fail to be read for other reasons than damage: another master key, missing
//! permission, no file descriptors. A backup is not given up for these.

use std::io;
use std::path::Path;

use crate::codec::DigestValues;
use crate::crypto::Sha256;
use crate::error::{ErrorKind, Result};
use crate::job::pace::Pace;
use crate::repository::{Backup, INFO, ManifestFile, Repository};
use crate::storage;
use crate::sys::{Stop, drop_page_cache};
use crate::unit::{read_some, to_u64};

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
    /// Whether a file of a backup of this program is missing, or has other stored bytes than those
    /// that were written. An error of the disk is no proof: it may be gone at the next time. Nor is
    /// a symbolic link whose owner is gone, which can be put back. Fails once a stop is requested.
    pub(super) fn is_bad(&self, file: &ManifestFile) -> Result<bool> {
        let DigestValues::Own(recorded) = file.digests else {
            return Ok(false);
        };
        let located = self.backup.locate(&file.stored_path);
        let found = located.and_then(|located| Ok(self.digest(&located.path)?));
        match found {
            Ok(found) => Ok(found != recorded.sha256),
            Err(failure) => {
                self.stop.check()?;
                Ok(failure.kind() == ErrorKind::NotFound && self.is_there())
            }
        }
    }

    /// Whether the directory of the backup is there.
    pub(super) fn is_there(&self) -> bool {
        self.repository.check_paths().is_ok() && self.backup.path.join(INFO).exists()
    }

    /// The digest of the stored bytes.
    fn digest(&self, path: &Path) -> io::Result<[u8; 32]> {
        let mut file = storage::open_file_nofollow(path)?;
        drop_page_cache(&file);
        let mut sha256 = Sha256::new();
        let mut buffer = vec![0; BLOCK_SIZE];
        loop {
            self.pace.take(to_u64(BLOCK_SIZE), self.stop)?;
            let block = read_some(&mut file, &mut buffer)?;
            if block.is_empty() {
                return Ok(sha256.finish());
            }
            sha256.update(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::codec::{Compression, OwnDigests, StoredFormat};
    use crate::repository::link_target;
    use crate::unit::{Encryption, Label};

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

        fn is_bad(&self, digests: DigestValues) -> bool {
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
            proof.is_bad(&file).unwrap()
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
        assert!(!stored.is_bad(own()), "another master key");
        // Of the C program: its backups are not rewritten.
        let c_program = DigestValues::Sha512 {
            plain: None,
            stored: Some([0; 64]),
        };
        assert!(!stored.is_bad(c_program));
        fs::write(stored.file(), "stOred").unwrap();
        assert!(stored.is_bad(own()));
        fs::write(stored.file(), "stored!").unwrap();
        assert!(stored.is_bad(own()));
        fs::remove_file(stored.file()).unwrap();
        assert!(stored.is_bad(own()), "it is missing");
        // The owner may be put back.
        let gone = link_target("data/file".as_ref(), &"20250101000000".parse().unwrap());
        std::os::unix::fs::symlink(gone, stored.file()).unwrap();
        assert!(!stored.is_bad(own()));
        fs::remove_file(stored.file()).unwrap();
        // Without the backup nothing is proven: it is removed, or not mounted.
        fs::remove_file(stored.backup.path.join(INFO)).unwrap();
        assert!(!stored.is_bad(own()));
        fs::remove_dir_all(&stored.base).unwrap();
        assert!(!stored.is_bad(own()));
    }
}
