//! `base_dir`: found, never made anew by the daemon.
//!
//! A path says little: where a file system is not mounted, the same path leads to an empty directory. What is written there
//! is not in the repository, and a server that is told that its WAL is safe there removes it. So the repository is made by
//! an explicit step, which leaves `repository.info`; a start looks for it, and everything that is written later is preceded
//! by a look at whether the directories are those that were found.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Repository, RepositoryInfo};
use crate::error::{Context, Failure, Kind, Result};
use crate::storage::{self, Place, Places};
use crate::sys::LockFile;
use crate::unit::ServerName;

/// The repository of all servers, locked for this process.
#[derive(Debug)]
pub struct BaseDirectory {
    path: PathBuf,
    lock: Mutex<LockFile>,
    places: Places,
    servers: Mutex<BTreeMap<ServerName, Repository>>,
}

impl BaseDirectory {
    /// Makes a repository at `path`: a new directory, an empty one, or one that was used before there was a
    /// `repository.info`, by this program or by the C program, for one of `servers`. The directory above must be there.
    pub fn create(path: &Path, servers: &[ServerName]) -> Result<()> {
        if !path.exists() {
            let hint = "the directory above it must be there: is its file system mounted?";
            storage::create_directory(path).map_err(|failure| failure.hint(hint))?;
            storage::sync_directory(path.parent().unwrap_or(path))?;
        }
        if RepositoryInfo::read(path)?.is_some() {
            let message = format!("{} is a repository already", path.display());
            return Err(Failure::new(Kind::Usage, message));
        }
        if !is_used(path, servers) && !storage::is_empty_directory(path)? {
            let message = format!(
                "{} is not empty, and it is no repository of a server in the configuration",
                path.display()
            );
            return Err(Failure::new(Kind::Usage, message).hint("name an empty directory"));
        }
        RepositoryInfo::new()?.write(path)
    }

    /// Finds and locks the repository at `path`. [`Kind::NotFound`] if there is none, [`Kind::Busy`] if another process
    /// has it. One that was used for `servers` before there was a `repository.info` gets its own.
    pub fn open(path: &Path, servers: &[ServerName]) -> Result<BaseDirectory> {
        let info = match std::fs::metadata(path) {
            Ok(_) => RepositoryInfo::read(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(missing(path, "is not there"));
            }
            Err(error) => return Err(error).with_context(|| format!("look at {}", path.display())),
        };
        if info.is_none() && !is_used(path, servers) {
            return Err(no_info(path));
        }
        let directory = Place::hold(path)?;
        let lock = LockFile::acquire(&path.join(".lock"), 0o600)?;
        if info.is_none() {
            log::info!("{} was used before: it is a repository", path.display());
            RepositoryInfo::new()?.write(path)?;
        }
        Ok(BaseDirectory {
            places: Places::default()
                .and(directory)
                .and(Place::hold(lock.path())?),
            path: path.to_owned(),
            lock: Mutex::new(lock),
            servers: Mutex::default(),
        })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the pid of this process into the lock file.
    pub fn write_pid(&self) -> Result<()> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.write_pid()
    }

    /// The repository of `server`: at first contact its directories are made, afterwards they must be there.
    /// [`Kind::NotFound`] if they are not, or are not those that were found before.
    pub fn repository(&self, server: &ServerName) -> Result<Repository> {
        self.places.check().context("base_dir")?;
        let known = self.servers().get(server).cloned();
        if let Some(repository) = known {
            repository
                .check_place()
                .map_err(|failure| gone(server, failure))?;
            return Ok(repository);
        }
        let mut servers = self.servers();
        let info = self.info()?;
        let begun = info.has(server);
        let root = self.path.join(server.as_str());
        let repository = if begun {
            Repository::open(&root, &self.places).map_err(|failure| gone(server, failure))?
        } else if Repository::is_bound(&root) {
            Repository::take_over(&root, &self.places).map_err(|failure| gone(server, failure))?
        } else {
            Repository::make(&root, &self.places)?
        };
        repository.note_backups()?;
        if !begun {
            info.with(server).write(&self.path)?;
        }
        servers.insert(server.clone(), repository.clone());
        Ok(repository)
    }

    /// The repository of `server` as a person wants it: directories that are missing are made, those that are there now
    /// are the right ones from now on.
    pub fn begin(&self, server: &ServerName) -> Result<Repository> {
        self.places.check().context("base_dir")?;
        let mut servers = self.servers();
        let repository = Repository::make(&self.path.join(server.as_str()), &self.places)?;
        repository.note_backups()?;
        let info = self.info()?;
        if !info.has(server) {
            info.with(server).write(&self.path)?;
        }
        servers.insert(server.clone(), repository.clone());
        Ok(repository)
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<ServerName, Repository>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn info(&self) -> Result<RepositoryInfo> {
        RepositoryInfo::read(&self.path)?.ok_or_else(|| no_info(&self.path))
    }
}

fn no_info(path: &Path) -> Failure {
    missing(path, &format!("has no {}", RepositoryInfo::NAME))
}

fn missing(path: &Path, what: &str) -> Failure {
    let path = path.display();
    Failure::new(Kind::NotFound, format!("{path} {what}"))
        .context("base_dir")
        .hint(format!(
            "is its file system mounted? A new repository is made with: pgmoneta-admin repository create {path}"
        ))
}

fn gone(server: &ServerName, failure: Failure) -> Failure {
    let hint = format!(
        "mount it, or move it back: nothing is written until it is there; if it is gone for good: pgmoneta-cli wal begin \
         {server}"
    );
    Failure::new(failure.kind(), failure.message()).hint(hint)
}

/// Whether a daemon that knew no `repository.info` has worked here for one of the servers.
fn is_used(path: &Path, servers: &[ServerName]) -> bool {
    let mut roots = servers.iter().map(|server| path.join(server.as_str()));
    roots.any(|root| Repository::is_used(&root))
}

#[cfg(test)]
mod tests;
