//! The repository of one server: its directories and its cluster.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::catalogue::Catalogue;
use super::layout::{BACKUP_DIRECTORY, C_BACKUP_DIRECTORY, SYSTEM_INFO, WAL_DIRECTORY};
use super::{Backup, SystemInfo, WalDirectory, system_info};
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage::{self, PinnedPaths};
use crate::sys::FileIdentity;
use crate::unit::{Label, SegmentSize, ServerName, Timeline};

/// Limit for `system.info`, bytes; it has a few hundred.
const MAX_SYSTEM_INFO: u64 = 1 << 20;

/// The repository of one server, `<base_dir>/<server>`.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) root: PathBuf,
    pub(super) paths: PinnedPaths,
    pub(super) shared: Arc<Shared>,
}

/// What all clones of a repository share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Serializes updates of `system.info` by the receiver and a first backup.
    system_info_lock: Mutex<()>,
    catalogue: Mutex<Catalogue>,
    /// Serializes changes of `backup.info` and the removal of backups.
    backup_info_lock: Mutex<()>,
    /// Serializes changes of `verification.info`.
    verification_lock: Mutex<()>,
    /// The backups, as labels and directories, in which no symbolic links were found. They never
    /// get any: links are made before a backup is complete.
    without_links: Mutex<BTreeSet<(Label, FileIdentity)>>,
}

impl Repository {
    /// Creates the missing directories of a server in an existing `base_dir`, durably (mode 0700).
    pub fn create(base_dir: &Path, server: &ServerName) -> Result<Repository> {
        Repository::create_missing(&base_dir.join(server.as_str()), &PinnedPaths::default())
    }

    /// Checks that all directories are the same inodes as at the start: [`ErrorKind::NotFound`] if
    /// not. Call it before a write.
    pub fn check_paths(&self) -> Result<()> {
        self.paths.check()
    }

    /// The directories that are checked before a write.
    pub fn pinned_paths(&self) -> &PinnedPaths {
        &self.paths
    }

    /// `<base_dir>/<server>`
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Whether no symbolic links were found in a backup earlier.
    pub(super) fn is_known_without_links(&self, backup: &Backup) -> bool {
        FileIdentity::lstat(&backup.path).is_ok_and(|identity| {
            let known = (backup.label.clone(), identity);
            self.lock_without_links().contains(&known)
        })
    }

    /// Remembers that there are no symbolic links in a backup.
    pub(super) fn note_without_links(&self, backup: &Backup) {
        if let Ok(identity) = FileIdentity::lstat(&backup.path) {
            let known = (backup.label.clone(), identity);
            self.lock_without_links().insert(known);
        }
    }

    fn lock_without_links(&self) -> MutexGuard<'_, BTreeSet<(Label, FileIdentity)>> {
        let known = self.shared.without_links.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }

    /// `<base_dir>/<server>/wal`
    pub fn wal_path(&self) -> PathBuf {
        self.root.join(WAL_DIRECTORY)
    }

    /// `<base_dir>/<server>/basebackup`
    pub fn backup_path(&self) -> PathBuf {
        self.root.join(BACKUP_DIRECTORY)
    }

    /// `<base_dir>/<server>/backup`, the backups of the C program; this program writes nothing
    /// there.
    pub fn c_backup_path(&self) -> PathBuf {
        self.root.join(C_BACKUP_DIRECTORY)
    }

    /// The cluster of the archive; `None` before the first connection.
    pub fn system(&self) -> Result<Option<SystemInfo>> {
        let content = self.system_content()?;
        let system = content.map(|content| SystemInfo::parse(&content));
        system
            .transpose()
            .with_context(|| self.read_system_action())
    }

    /// The followed timeline: the one on which WAL was streamed last. `None` before that, and if
    /// version 0.1.0 wrote the archive.
    pub fn followed_timeline(&self) -> Result<Option<Timeline>> {
        match self.system_content()? {
            Some(content) => {
                system_info::followed(&content).with_context(|| self.read_system_action())
            }
            None => Ok(None),
        }
    }

    /// Stores the followed timeline in `system.info`, durably. It must be bound to a cluster.
    pub fn set_followed_timeline(&self, timeline: Timeline) -> Result<()> {
        let _guard = self.lock_system_info();
        let Some(content) = self.system_content()? else {
            let message = format!("{} is not bound to a cluster", self.root.display());
            return Err(Error::new(ErrorKind::Internal, message));
        };
        let action = || self.read_system_action();
        if system_info::followed(&content).with_context(action)? == Some(timeline) {
            return Ok(());
        }
        let content = system_info::follow(&content, timeline).with_context(action)?;
        self.check_paths()?;
        storage::replace(&self.system_path(), content.as_bytes())
    }

    /// Binds the archive to a cluster at the first connection. Afterwards another system identifier
    /// or another segment size is [`ErrorKind::Configuration`]; a newer server version is stored.
    pub fn bind(&self, system: &SystemInfo) -> Result<()> {
        let _guard = self.lock_system_info();
        let bound = self.system()?;
        if let Some(bound) = &bound {
            self.check_same_cluster(bound, system)?;
        }
        if bound.as_ref() == Some(system) {
            return Ok(());
        }
        self.check_paths()?;
        let before = self.system_content()?.unwrap_or_default();
        let content = system.render(&before)?;
        storage::replace(&self.system_path(), content.as_bytes())
    }

    /// The WAL archive; `None` before the first connection to the server.
    pub fn wal(&self) -> Result<Option<WalDirectory>> {
        let system = self.system()?;
        Ok(system.map(|system| self.wal_with_segment_size(system.segment_size)))
    }

    /// The WAL archive. Without `system.info`, as when only the backup was saved, the segment size
    /// is that of the WAL stored with the backup: [`ErrorKind::NotFound`] if there is none.
    pub fn wal_for_backup(&self, backup: &Backup, key: &Arc<MasterKey>) -> Result<WalDirectory> {
        if let Some(wal) = self.wal()? {
            return Ok(wal);
        }
        let size = backup.manifest(key)?.segment_size().ok_or_else(|| {
            let message =
                "there is no WAL: system.info is missing, and no WAL is stored with the backup";
            Error::new(ErrorKind::NotFound, message)
        })?;
        Ok(self.wal_with_segment_size(size))
    }

    /// The WAL archive with that segment size.
    pub fn wal_with_segment_size(&self, segment_size: SegmentSize) -> WalDirectory {
        WalDirectory::new(&self.wal_path(), segment_size).with_pinned_paths(&self.paths)
    }

    fn lock_system_info(&self) -> MutexGuard<'_, ()> {
        let lock = self.shared.system_info_lock.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// Excludes other changes of `backup.info`, and removals.
    pub(super) fn lock_backup_info(&self) -> MutexGuard<'_, ()> {
        let lock = self.shared.backup_info_lock.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// Excludes other changes of `verification.info`.
    pub(super) fn lock_verification(&self) -> MutexGuard<'_, ()> {
        let lock = self.shared.verification_lock.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// The backups that were read.
    pub(super) fn catalogue(&self) -> MutexGuard<'_, Catalogue> {
        let catalogue = self.shared.catalogue.lock();
        catalogue.unwrap_or_else(PoisonError::into_inner)
    }

    fn system_path(&self) -> PathBuf {
        self.root.join(SYSTEM_INFO)
    }

    fn system_content(&self) -> Result<Option<Vec<u8>>> {
        match storage::read_file(&self.system_path(), MAX_SYSTEM_INFO) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.read_system_action()),
        }
    }

    fn read_system_action(&self) -> String {
        format!("read {}", self.system_path().display())
    }

    /// The name of the server, from the directory.
    fn name(&self) -> std::borrow::Cow<'_, str> {
        self.root.file_name().unwrap_or_default().to_string_lossy()
    }

    fn check_same_cluster(&self, bound: &SystemInfo, system: &SystemInfo) -> Result<()> {
        let root = self.root.display();
        if bound.system_identifier != system.system_identifier {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "the server is another cluster (system identifier {}) than the one that \
                     {root} belongs to ({})",
                    system.system_identifier, bound.system_identifier
                ),
            )
            .with_hint(format!(
                "correct host and port, or give the new cluster a section of its own, or, if the \
                 old cluster is gone for good, move {root} away and begin anew: \
                 pgmoneta-cli wal begin {}",
                self.name()
            )));
        }
        if bound.segment_size != system.segment_size {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "the server has WAL segments of {} bytes, {root} was begun with {}",
                    system.segment_size.bytes(),
                    bound.segment_size.bytes()
                ),
            )
            .with_hint(format!(
                "the size was changed with pg_resetwal: move {root} away, begin anew with \
                 pgmoneta-cli wal begin {}, and take a new backup",
                self.name()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::PgVersion;

    fn system(identifier: u64, major: u32, size: u64) -> SystemInfo {
        SystemInfo {
            system_identifier: identifier,
            version: PgVersion { major, minor: 1 },
            segment_size: SegmentSize::new(size).unwrap(),
        }
    }

    #[test]
    fn an_archive_belongs_to_one_cluster() {
        let base = std::env::temp_dir().join(format!("pgmoneta-bind-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        let repository = Repository::create(&base, &"primary".parse().unwrap()).unwrap();
        assert!(repository.system().unwrap().is_none() && repository.wal().unwrap().is_none());
        let first = system(7, 15, 16 << 20);
        assert!(repository.set_followed_timeline(Timeline::FIRST).is_err());
        repository.bind(&first).unwrap();
        assert_eq!(repository.followed_timeline().unwrap(), None);
        let second = Timeline::new(2).unwrap();
        repository.set_followed_timeline(second).unwrap();
        repository.bind(&first).unwrap();
        for other in [system(8, 15, 16 << 20), system(7, 15, 1 << 20)] {
            let refused = repository.bind(&other).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Configuration);
            assert!(refused.hint().is_some());
        }
        assert_eq!(repository.system().unwrap(), Some(first));
        repository.bind(&system(7, 16, 16 << 20)).unwrap();
        assert_eq!(repository.system().unwrap().unwrap().version.major, 16);
        let again = Repository::create(&base, &"primary".parse().unwrap()).unwrap();
        assert_eq!(again.followed_timeline().unwrap(), Some(second));
        let size = again.wal().unwrap().unwrap().segment_size();
        std::fs::remove_dir_all(&base).unwrap();
        assert_eq!(size, SegmentSize::DEFAULT);
    }
}
