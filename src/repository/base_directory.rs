//! `base_dir`: opened by the daemon, never created by it.
//!
//! If a file system is not mounted, the same path leads to an empty directory. WAL that is written
//! and confirmed there is lost, because the server removes it. So the repository is created by an
//! explicit command, which writes `repository.info`; the daemon requires that file at its start,
//! and checks before every write that the directories are still the same inodes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::layout::LOCK;
use super::{Repository, RepositoryInfo};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage::{self, PinnedPath, PinnedPaths};
use crate::sys::LockFile;
use crate::unit::ServerName;

/// The repository of all servers, locked by this process.
#[derive(Debug)]
pub struct BaseDirectory {
    path: PathBuf,
    lock: Mutex<LockFile>,
    paths: PinnedPaths,
    servers: Mutex<BTreeMap<ServerName, Repository>>,
}

impl BaseDirectory {
    /// Creates a repository at `path`: in a new or an empty directory, or in one that this program
    /// before `repository.info` or the C program used for one of `servers`. The parent directory
    /// must exist.
    pub fn create(path: &Path, servers: &[ServerName]) -> Result<()> {
        if !path.exists() {
            let hint = "the directory above it must be there: is its file system mounted?";
            storage::create_directory(path).map_err(|error| match error.kind() {
                ErrorKind::NotFound => error.with_hint(hint),
                _ => error,
            })?;
            storage::sync_directory(path.parent().unwrap_or(path))?;
        }
        if RepositoryInfo::read(path)?.is_some() {
            let message = format!("{} is a repository already", path.display());
            return Err(Error::new(ErrorKind::Usage, message));
        }
        if !was_used(path, servers) && !storage::is_empty_directory(path)? {
            let message = format!(
                "{} is not empty, and it is no repository of a server in the configuration",
                path.display()
            );
            return Err(Error::new(ErrorKind::Usage, message).with_hint("name an empty directory"));
        }
        RepositoryInfo::new()?.write(path)
    }

    /// Fails if [`BaseDirectory::open`] would refuse the repository, without locking or changing
    /// it. So does a directory of one of `servers` that cannot be used; a missing one does not.
    pub fn check(path: &Path, servers: &[ServerName]) -> Result<()> {
        let info = find_info(path, servers)?;
        LockFile::check(&path.join(LOCK))?;
        let above = PinnedPaths::default().with(PinnedPath::open(path)?);
        servers.iter().try_for_each(|server| {
            let recorded = info.as_ref().is_some_and(|info| info.has_server(server));
            match Repository::check(&path.join(server.as_str()), &above, recorded) {
                Err(failure) if failure.kind() != ErrorKind::NotFound => Err(failure),
                _ => Ok(()),
            }
        })
    }

    /// Opens and locks the repository at `path`. [`ErrorKind::NotFound`] if there is none,
    /// [`ErrorKind::Busy`] if another process has locked it. A repository without `repository.info`
    /// that was used for one of `servers` gets the file.
    pub fn open(path: &Path, servers: &[ServerName]) -> Result<BaseDirectory> {
        let info = find_info(path, servers)?;
        let directory = PinnedPath::open(path)?;
        let lock = LockFile::acquire(&path.join(LOCK), 0o600)?;
        if info.is_none() {
            log::info!(
                "{} was used as a repository before: it gets a repository.info",
                path.display()
            );
            RepositoryInfo::new()?.write(path)?;
        }
        Ok(BaseDirectory {
            paths: PinnedPaths::default()
                .with(directory)
                .with(PinnedPath::open(lock.path())?),
            path: path.to_owned(),
            lock: Mutex::new(lock),
            servers: Mutex::default(),
        })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the pid of this process into the lock file.
    pub fn write_pid(&self) -> Result<()> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.write_pid()
    }

    /// The repository of `server`: its directories are created the first time, afterwards they must
    /// exist. [`ErrorKind::NotFound`] if they are missing or were replaced.
    pub fn repository(&self, server: &ServerName) -> Result<Repository> {
        self.paths.check().context("base_dir")?;
        let known = self.servers().get(server).cloned();
        if let Some(repository) = known {
            repository
                .check_paths()
                .map_err(|failure| missing_server(server, failure))?;
            return Ok(repository);
        }
        let mut servers = self.servers();
        let info = self.info()?;
        let recorded = info.has_server(server);
        let root = self.path.join(server.as_str());
        let repository = if recorded {
            Repository::open(&root, &self.paths)
                .map_err(|failure| missing_server(server, failure))?
        } else if Repository::is_bound(&root) {
            Repository::open_earlier(&root, &self.paths)
                .map_err(|failure| missing_server(server, failure))?
        } else {
            Repository::create_missing(&root, &self.paths)?
        };
        repository.record_backups()?;
        if !recorded {
            info.with_server(server).write(&self.path)?;
        }
        servers.insert(server.clone(), repository.clone());
        Ok(repository)
    }

    /// Creates the repository of `server` on request of an operator: missing directories are
    /// created, existing ones are accepted.
    pub fn create_server(&self, server: &ServerName) -> Result<Repository> {
        self.paths.check().context("base_dir")?;
        let mut servers = self.servers();
        let repository = Repository::create_missing(&self.path.join(server.as_str()), &self.paths)?;
        repository.record_backups()?;
        let info = self.info()?;
        if !info.has_server(server) {
            info.with_server(server).write(&self.path)?;
        }
        servers.insert(server.clone(), repository.clone());
        Ok(repository)
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<ServerName, Repository>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn info(&self) -> Result<RepositoryInfo> {
        RepositoryInfo::read(&self.path)?.ok_or_else(|| missing_info(&self.path))
    }
}

/// The file of the repository at `path`; `None` where one of `servers` used it before there was
/// such a file.
fn find_info(path: &Path, servers: &[ServerName]) -> Result<Option<RepositoryInfo>> {
    let info = match std::fs::metadata(path) {
        Ok(_) => RepositoryInfo::read(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(missing_base_dir(path, "is not there"));
        }
        Err(error) => return Err(error).with_context(|| format!("look at {}", path.display())),
    };
    if info.is_none() && !was_used(path, servers) {
        return Err(missing_info(path));
    }
    Ok(info)
}

fn missing_info(path: &Path) -> Error {
    missing_base_dir(path, &format!("has no {}", RepositoryInfo::NAME))
}

fn missing_base_dir(path: &Path, what: &str) -> Error {
    let path = path.display();
    Error::new(ErrorKind::NotFound, format!("{path} {what}"))
        .context("base_dir")
        .with_hint(format!(
            "is its file system mounted? A new repository is made with: \
             pgmoneta-admin repository create {path}"
        ))
}

fn missing_server(server: &ServerName, failure: Error) -> Error {
    let hint = format!(
        "mount it, or move it back: nothing is written until it is there; if it is lost: \
         pgmoneta-cli wal begin {server}"
    );
    Error::new(failure.kind(), failure.message()).with_hint(hint)
}

/// Whether a daemon without `repository.info` has used this directory for one of the servers.
fn was_used(path: &Path, servers: &[ServerName]) -> bool {
    let mut roots = servers.iter().map(|server| path.join(server.as_str()));
    roots.any(|root| Repository::was_used(&root))
}

#[cfg(test)]
mod tests;
