//! The repository of one server: its directories, and the cluster that it is bound to.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::layout::{BACKUPS, BACKUPS_OF_C, SYSTEM, WAL};
use super::{Backup, SystemInfo, WalDirectory, system_info};
use crate::error::{Context, Failure, Kind, Result};
use crate::storage::{self, Places};
use crate::unit::{SegmentSize, ServerName, Timeline};

/// `system.info` has some hundred bytes.
const LONGEST: u64 = 1 << 20;

/// One thread at a time binds: the receiver and a first backup may meet here.
static BINDING: Mutex<()> = Mutex::new(());

/// The repository of one server, `<base_dir>/<server>`.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) root: PathBuf,
    pub(super) places: Places,
}

impl Repository {
    /// Makes the repository of a server, in a `base_dir` that is there: what is missing is made, durably (mode 0700).
    pub fn create(base_dir: &Path, server: &ServerName) -> Result<Repository> {
        Repository::make(&base_dir.join(server.as_str()), &Places::default())
    }

    /// Checks that all directories are those that were found: [`Kind::NotFound`] if not. To be called before anything
    /// is written.
    pub fn check_place(&self) -> Result<()> {
        self.places.check()
    }

    /// The directories that must stay what they are.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// `<base_dir>/<server>`
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// `<base_dir>/<server>/wal`
    pub fn wal_path(&self) -> PathBuf {
        self.root.join(WAL)
    }

    /// `<base_dir>/<server>/basebackup`
    pub fn backup_path(&self) -> PathBuf {
        self.root.join(BACKUPS)
    }

    /// `<base_dir>/<server>/backup`, the backups of the C program; this program writes nothing there.
    pub fn c_backup_path(&self) -> PathBuf {
        self.root.join(BACKUPS_OF_C)
    }

    /// The cluster that the archive belongs to, if it is bound already.
    pub fn system(&self) -> Result<Option<SystemInfo>> {
        let content = self.system_content()?;
        let system = content.map(|content| SystemInfo::parse(&content));
        system.transpose().with_context(|| self.reading_system())
    }

    /// The timeline that the archive follows: the one on which WAL was streamed last. `None` before that, and where
    /// an older version wrote the archive.
    pub fn followed_timeline(&self) -> Result<Option<Timeline>> {
        match self.system_content()? {
            Some(content) => system_info::followed(&content).with_context(|| self.reading_system()),
            None => Ok(None),
        }
    }

    /// Notes, durably, which timeline the archive follows. It must be bound.
    pub fn follow_timeline(&self, timeline: Timeline) -> Result<()> {
        let _one = BINDING.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(content) = self.system_content()? else {
            let message = format!("{} is not bound to a cluster", self.root.display());
            return Err(Failure::new(Kind::Internal, message));
        };
        let reading = || self.reading_system();
        if system_info::followed(&content).with_context(reading)? == Some(timeline) {
            return Ok(());
        }
        let content = system_info::follow(&content, timeline).with_context(reading)?;
        self.check_place()?;
        storage::replace(&self.system_path(), content.as_bytes())
    }

    /// Binds the archive to a cluster on first contact. Afterwards another system identifier or another segment size is
    /// refused with [`Kind::Configuration`]; a newer version of the same cluster is noted.
    pub fn bind(&self, system: &SystemInfo) -> Result<()> {
        let _one = BINDING.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = self.system()?;
        if let Some(bound) = &bound {
            self.check_same(bound, system)?;
        }
        if bound.as_ref() == Some(system) {
            return Ok(());
        }
        self.check_place()?;
        let before = self.system_content()?.unwrap_or_default();
        let content = system.render(&before)?;
        storage::replace(&self.system_path(), content.as_bytes())
    }

    /// The WAL archive; `None` before the first contact with the server.
    pub fn wal(&self) -> Result<Option<WalDirectory>> {
        let system = self.system()?;
        Ok(system.map(|system| self.wal_of(system.segment_size)))
    }

    /// The WAL archive. Where nothing is known of it, as when nothing but the backup was saved, with segments of the size
    /// that those have which the backup keeps: [`Kind::NotFound`] if it keeps none.
    pub fn wal_for(&self, backup: &Backup) -> Result<WalDirectory> {
        if let Some(wal) = self.wal()? {
            return Ok(wal);
        }
        let size = backup.manifest()?.segment_size().ok_or_else(|| {
            let message =
                "there is no WAL: system.info is missing, and the backup keeps no WAL for itself";
            Failure::new(Kind::NotFound, message)
        })?;
        Ok(self.wal_of(size))
    }

    /// The WAL archive, of segments of that size.
    pub fn wal_of(&self, segment_size: SegmentSize) -> WalDirectory {
        WalDirectory::new(&self.wal_path(), segment_size).within(&self.places)
    }

    fn system_path(&self) -> PathBuf {
        self.root.join(SYSTEM)
    }

    fn system_content(&self) -> Result<Option<Vec<u8>>> {
        match storage::read_file(&self.system_path(), LONGEST) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.reading_system()),
        }
    }

    fn reading_system(&self) -> String {
        format!("read {}", self.system_path().display())
    }

    /// The name of the server.
    fn name(&self) -> std::borrow::Cow<'_, str> {
        self.root.file_name().unwrap_or_default().to_string_lossy()
    }

    fn check_same(&self, bound: &SystemInfo, system: &SystemInfo) -> Result<()> {
        let root = self.root.display();
        if bound.system_identifier != system.system_identifier {
            return Err(Failure::new(
                Kind::Configuration,
                format!(
                    "the server is another cluster (system identifier {}) than the one that {root} belongs to ({})",
                    system.system_identifier, bound.system_identifier
                ),
            )
            .hint(format!(
                "correct host and port, or give the new cluster a section of its own, or, if the old cluster is gone for \
                 good, move {root} away and begin anew: pgmoneta-cli wal begin {}",
                self.name()
            )));
        }
        if bound.segment_size != system.segment_size {
            return Err(Failure::new(
                Kind::Configuration,
                format!(
                    "the server has WAL segments of {} bytes, {root} was begun with {}",
                    system.segment_size.bytes(),
                    bound.segment_size.bytes()
                ),
            )
            .hint(format!(
                "the size was changed with pg_resetwal: move {root} away, begin anew with pgmoneta-cli wal begin {}, and \
                 take a new backup",
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
        assert!(repository.follow_timeline(Timeline::FIRST).is_err());
        repository.bind(&first).unwrap();
        assert_eq!(repository.followed_timeline().unwrap(), None);
        let second = Timeline::new(2).unwrap();
        repository.follow_timeline(second).unwrap();
        repository.bind(&first).unwrap();
        for other in [system(8, 15, 16 << 20), system(7, 15, 1 << 20)] {
            let refused = repository.bind(&other).unwrap_err();
            assert_eq!(refused.kind(), Kind::Configuration);
            assert!(refused.advice().is_some());
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
