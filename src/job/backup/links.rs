//! Unchanged files: instead of the new file, the backup gets a link to that of an older backup.
//!
//! The stored bytes of the older file are read and compared with its manifest before it is linked:
//! a file that has become bad is stored anew.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::codec::{Digests, StoredFormat};
use crate::config::LinkMode;
use crate::crypto::{MasterKey, Sha256};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::repository::{
    Authenticity, Backup, Manifest, Origin, Repository, StoredFile, link_target,
};
use crate::storage;
use crate::sys::Stop;
use crate::unit::{read_some, to_u64};

/// Bytes that are read at a time.
const BLOCK_SIZE: usize = 64 << 10;

/// The files of an older backup by their stored paths. Each is looked up once.
pub(super) struct UnchangedFiles {
    files: HashMap<PathBuf, Digests>,
    linker: Arc<Linker>,
}

/// Links files of a new backup to those of an older one; shared by the threads of the pool.
pub(super) struct Linker {
    kind: LinkKind,
    older: Backup,
    /// The directory of the new backup.
    staging: PathBuf,
    stop: Stop,
    /// The number of the next temporary name.
    next: AtomicU64,
    warned: AtomicBool,
    /// Whether no more links are tried.
    disabled: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkKind {
    Hard,
    Symbolic,
}

/// What a new backup must have in common with the older one.
pub(super) struct Source<'a> {
    pub repository: &'a Repository,
    pub key: &'a Arc<MasterKey>,
    pub system_identifier: u64,
    /// The format of the new files.
    pub stored: StoredFormat,
}

impl UnchangedFiles {
    /// The files of the newest valid backup of the same cluster that this program made and signed
    /// with the same master key: with its manifest, all that is known of its files is authentic.
    /// `None` if there is none, or if links are off.
    pub(super) fn find(
        mode: LinkMode,
        source: &Source<'_>,
        staging: &Path,
        stop: &Stop,
    ) -> Result<Option<UnchangedFiles>> {
        let kind = match mode {
            LinkMode::Hard => LinkKind::Hard,
            LinkMode::Symbolic => LinkKind::Symbolic,
            LinkMode::Off => return Ok(None),
        };
        let Some((older, manifest)) = source.newest()? else {
            return Ok(None);
        };
        let files = manifest.files.into_iter();
        let files = files.filter(|file| file.stored == Some(source.stored));
        let files = files.map(|file| {
            let recorded = file.recorded();
            (file.stored_path, recorded)
        });
        let files = files.collect();
        let linker = Arc::new(Linker {
            kind,
            older,
            staging: staging.to_owned(),
            stop: stop.clone(),
            next: AtomicU64::new(0),
            warned: AtomicBool::new(false),
            disabled: AtomicBool::new(false),
        });
        Ok(Some(UnchangedFiles { files, linker }))
    }

    /// Whether links are symbolic.
    pub(super) fn are_symbolic(&self) -> bool {
        self.linker.kind == LinkKind::Symbolic
    }

    /// What is recorded of the file with this path if its plain bytes were the same.
    pub(super) fn take(&mut self, stored_path: &Path, plain: &Digests) -> Option<UnchangedFile> {
        let recorded = self.files.remove(stored_path)?;
        let same = recorded.plain_size == plain.plain_size
            && recorded.values.have_same_plain(&plain.values);
        same.then(|| UnchangedFile {
            stored_path: stored_path.to_owned(),
            recorded,
            linker: self.linker.clone(),
        })
    }
}

impl Source<'_> {
    fn newest(&self) -> Result<Option<(Backup, Manifest)>> {
        for backup in self.repository.backups()?.into_iter().rev() {
            let own = backup.origin == Origin::Own
                && backup.path.parent() == Some(self.repository.backup_path().as_path());
            if !own
                || !backup.info.valid
                || backup.info.system_identifier != Some(self.system_identifier)
                || backup.authenticity(self.key)? != Authenticity::Verified
            {
                continue;
            }
            match backup.manifest(self.key) {
                Ok(manifest) => return Ok(Some((backup, manifest))),
                Err(failure) => {
                    let label = &backup.label;
                    log::error!("no file is linked to the backup {label}, which is bad: {failure}");
                }
            }
        }
        Ok(None)
    }
}

/// A file of an older backup, to which a file of the new one can be linked.
pub(super) struct UnchangedFile {
    stored_path: PathBuf,
    /// The sizes and digests of the older file.
    pub recorded: Digests,
    linker: Arc<Linker>,
}

impl UnchangedFile {
    /// Makes the file of the new backup a link, in place of what is there. Returns `false`, and
    /// changes nothing, if the older file is bad or the file system has no such links.
    pub(super) fn link(&self) -> Result<bool> {
        self.linker.link(&self.stored_path, &self.recorded)
    }
}

impl Linker {
    fn link(&self, stored_path: &Path, recorded: &Digests) -> Result<bool> {
        if self.disabled.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let older = match self.proven(stored_path, recorded) {
            Ok(older) => older,
            Err(failure) => {
                self.stop.check()?;
                self.report_bad(stored_path, &failure);
                return Ok(false);
            }
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let temporary = self.staging.join(format!(".link-{number}.tmp"));
        let path = self.staging.join(stored_path);
        let linked = match self.kind {
            LinkKind::Hard => storage::replace_by_hard_link(&older.path, &temporary, &path),
            LinkKind::Symbolic => {
                let target = link_target(stored_path, &older.owner);
                storage::replace_by_symlink(&target, &temporary, &path)
            }
        };
        match linked {
            Ok(()) => Ok(true),
            Err(error) => {
                self.report_impossible(&older.path, &error);
                Ok(false)
            }
        }
    }

    /// The older file, of which all stored bytes were read and compared with its manifest.
    fn proven(&self, stored_path: &Path, recorded: &Digests) -> Result<StoredFile> {
        let older = self.older.locate(stored_path)?;
        let action = || format!("read {}", older.path.display());
        let mut file = storage::open_file_nofollow(&older.path).with_context(action)?;
        let mut sha256 = Sha256::new();
        let (mut size, mut buffer) = (0, vec![0; BLOCK_SIZE]);
        loop {
            self.stop.check()?;
            let block = read_some(&mut file, &mut buffer).with_context(action)?;
            if block.is_empty() {
                break;
            }
            size += to_u64(block.len());
            sha256.update(block);
        }
        let same = recorded.stored_sha256() == Some(sha256.finish());
        if same && size == recorded.stored_size {
            return Ok(older);
        }
        let path = older.path.display();
        let message = format!("{path} is not as it was stored: its SHA-256 differs");
        Err(Error::new(ErrorKind::Corrupt, message))
    }

    fn report_bad(&self, stored_path: &Path, failure: &Error) {
        let label = &self.older.label;
        if !self.older.path.exists() {
            if !self.disabled.swap(true, Ordering::Relaxed) {
                log::warn!(
                    "the backup {label} is gone: the new backup stores unchanged files anew"
                );
            }
            return;
        }
        let path = stored_path.display();
        log::error!("backup {label}: {path}: {failure}; the new backup stores the file anew");
    }

    fn report_impossible(&self, older: &Path, error: &io::Error) {
        // A file may have too many links, and the next one fewer.
        let other = error.kind() != io::ErrorKind::TooManyLinks;
        if other {
            self.disabled.store(true, Ordering::Relaxed);
        }
        if !self.warned.swap(true, Ordering::Relaxed) {
            let what = if other { "unchanged files" } else { "it" };
            log::warn!(
                "link to {}: {error}; the new backup stores {what} anew: see the setting link",
                older.display()
            );
        }
    }
}
