//! What is known of a backup of the C program while the list of its files is made.

use std::path::Path;
use std::sync::Arc;

use super::super::BackupInfo;
use super::CDirectory;
use super::entries::StoredName;
use super::sums::Sums;
use super::tree::Tree;
use crate::codec::{StoredFormat, StoredReader, Suffixes};
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::unit::Encryption;

/// How many files are tried to find the size of the key.
const SAMPLES: usize = 3;

/// What is known of a backup while its list is made.
pub(super) struct Builder<'a> {
    pub directory: &'a CDirectory,
    pub key: &'a Arc<MasterKey>,
    pub tree: Tree,
    pub sums: Sums,
    pub info: &'a BackupInfo,
    /// The cipher of the encrypted files.
    pub encryption: Encryption,
}

impl Builder<'_> {
    /// The format of a file with these suffixes.
    pub(super) fn format(&self, suffixes: Suffixes) -> StoredFormat {
        StoredFormat {
            compression: suffixes.compression,
            encryption: if suffixes.encrypted {
                self.encryption
            } else {
                Encryption::None
            },
        }
    }

    /// Bytes of a stored file; 0 if it is missing.
    pub(super) fn stored_size(&self, path: &Path) -> u64 {
        let found = self.directory.locate(path);
        let found = found.and_then(|path| Ok(path.metadata()?));
        found.map_or(0, |found| found.len())
    }

    /// The cipher of the encrypted files: what decrypts the smallest ones. The name does not tell
    /// the size of the key, and the configuration may have changed since `backup.info` was written.
    pub(super) fn find_encryption(&self, names: &[StoredName]) -> Encryption {
        let encrypted = names
            .iter()
            .filter(|name| name.suffixes.encrypted && name.exists);
        let mut sizes: Vec<(u64, &StoredName)> = encrypted
            .map(|name| (self.stored_size(&name.path), name))
            .collect();
        sizes.sort_by_key(|(size, _)| *size);
        let mut samples = sizes.into_iter().take(SAMPLES);
        let found = samples.find_map(|(_, name)| self.probe(name).ok());
        found.unwrap_or(match self.info.encryption {
            Encryption::None => Encryption::Aes256,
            said => said,
        })
    }

    fn probe(&self, name: &StoredName) -> Result<Encryption> {
        let path = self.directory.locate(&name.path)?;
        let source = StoredReader::probe(&path, name.suffixes, self.key, &|_| false)?;
        Ok(source.stored().encryption)
    }
}
