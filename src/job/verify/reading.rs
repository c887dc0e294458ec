//! How the files of a backup are read.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::codec::Digests;
use crate::job::pace::Pace;
use crate::repository::{Backup, ManifestFile};
use crate::storage;
use crate::sys::drop_page_cache;

/// Limit for the files that are remembered: about 50 MiB of memory.
const MAX_KNOWN: usize = 1 << 18;

/// How the files of a backup are read.
pub(crate) enum Reading {
    /// By the threads of the pool, as fast as possible.
    Pool {
        /// Whether to report the good files too.
        all: bool,
    },
    /// One after the other, at a limited rate.
    Paced(Arc<PacedReading>),
}

/// The limit, and what was read before: a file that several backups share is read once.
pub(crate) struct PacedReading {
    pub(super) pace: Arc<Pace>,
    /// Whether a file with one name may be shared, by symbolic links.
    symbolic_links: bool,
    known: Mutex<HashMap<FileKey, Digests>>,
}

/// A file on the disk in one state: a change of its content, or of its number of links, changes
/// the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileKey {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

/// A stored file that is open while it is read.
pub(super) struct DiskFile {
    file: File,
    key: FileKey,
    is_shared: bool,
}

impl PacedReading {
    /// Nothing was read yet.
    pub(crate) fn new(pace: &Arc<Pace>, symbolic_links: bool) -> Arc<PacedReading> {
        Arc::new(PacedReading {
            pace: pace.clone(),
            symbolic_links,
            known: Mutex::default(),
        })
    }

    /// What was read of a good file.
    pub(super) fn known(&self, file: &DiskFile) -> Option<Digests> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&file.key).copied()
    }

    /// Remembers what was read of a good file, if another backup may share it.
    pub(super) fn remember(&self, file: &DiskFile, digests: Digests) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if (file.is_shared || self.symbolic_links) && known.len() < MAX_KNOWN {
            known.insert(file.key, digests);
        }
    }
}

impl DiskFile {
    /// The stored file; `None` if there are several, or if it cannot be opened.
    pub(super) fn open(backup: &Backup, file: &ManifestFile) -> Option<DiskFile> {
        if file.combined.is_some() {
            return None;
        }
        let located = backup.locate(&file.stored_path).ok()?;
        DiskFile::at(&located.path)
    }

    fn at(path: &Path) -> Option<DiskFile> {
        let opened = storage::open_file_nofollow(path).ok()?;
        let found = opened.metadata().ok()?;
        Some(DiskFile {
            file: opened,
            key: FileKey {
                device: found.dev(),
                inode: found.ino(),
                changed: (found.ctime(), found.ctime_nsec()),
            },
            is_shared: found.nlink() > 1,
        })
    }

    /// Lets the next read be from the disk; afterwards, frees memory for others.
    pub(super) fn drop_cache(&self) {
        drop_page_cache(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{DigestValues, OwnDigests};

    #[test]
    fn a_file_with_two_names_is_known_until_it_changes() {
        let name = format!("pgmoneta-reading-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let [one, other, alone] = ["one", "other", "alone"].map(|name| directory.join(name));
        std::fs::write(&one, "x").unwrap();
        std::fs::write(&alone, "x").unwrap();
        std::fs::hard_link(&one, &other).unwrap();
        let open = |path: &Path| DiskFile::at(path).unwrap();
        let digests = Digests {
            plain_size: 1,
            stored_size: 1,
            values: DigestValues::Own(OwnDigests {
                crc32c: 1,
                blake3: [1; 32],
                sha256: [1; 32],
            }),
        };
        let pace = Arc::new(Pace::new(0));
        let reading = PacedReading::new(&pace, false);
        for path in [&one, &alone] {
            assert!(reading.known(&open(path)).is_none());
            reading.remember(&open(path), digests);
        }
        assert_eq!(reading.known(&open(&other)), Some(digests));
        assert!(reading.known(&open(&alone)).is_none(), "no other has it");
        let symbolic = PacedReading::new(&pace, true);
        symbolic.remember(&open(&alone), digests);
        assert_eq!(symbolic.known(&open(&alone)), Some(digests));
        // Its number of links is part of its state, as are all changes of it.
        std::fs::remove_file(&one).unwrap();
        std::fs::write(&other, "y").unwrap();
        let changed = |key: &FileKey| *key != open(&other).key;
        let known = reading.known.lock().unwrap();
        assert!(known.keys().all(changed));
        drop(known);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
