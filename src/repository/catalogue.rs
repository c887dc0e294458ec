//! The backups of a server in memory. The files stay the truth: a change by hand is seen at the
//! next request.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Backup;
use super::layout::INFO;
use crate::unit::Label;

/// How long after its last change a file is read again at each request: another change within the
/// granularity of the clock of the file system does not change its times.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The backups as they were read last, by directory.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    entries: BTreeMap<PathBuf, Entry>,
    /// How many were read from the disk since the start.
    #[cfg(test)]
    pub(super) reads: usize,
}

#[derive(Debug)]
struct Entry {
    files: Option<Stamps>,
    backup: Backup,
    /// Why it is not valid, as it was logged.
    complaint: Option<String>,
}

/// The directory, whose times change with the names in it, and its `backup.info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamps {
    directory: Stamp,
    info: Stamp,
}

/// Changes when a file is replaced, or its content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Stamp> {
        let found = std::fs::metadata(path)?;
        Ok(Stamp {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let latest = now.unwrap_or_default().saturating_sub(SETTLED_AFTER);
        i64::try_from(latest.as_secs()).is_ok_and(|latest| self.changed.0 < latest)
    }
}

impl Stamps {
    /// Taken before the files are read; `None` if they cannot be compared later.
    fn of(directory: &Path) -> Option<Stamps> {
        let info = Stamp::of(&directory.join(INFO)).ok()?;
        let directory = Stamp::of(directory).ok()?;
        let settled = directory.is_settled() && info.is_settled();
        settled.then_some(Stamps { directory, info })
    }
}

impl Catalogue {
    /// The backups in `found`, oldest first. One that has not changed is not read again; `own` is
    /// the directory where only this program writes.
    pub(super) fn read(&mut self, found: BTreeMap<Label, PathBuf>, own: &Path) -> Vec<Backup> {
        self.entries
            .retain(|path, entry| found.get(&entry.backup.label) == Some(path));
        for (label, path) in found {
            self.refresh(label, path, own);
        }
        let entries = self.entries.values();
        let mut backups: Vec<Backup> = entries.map(|entry| entry.backup.clone()).collect();
        backups.sort_by(|one, other| one.label.cmp(&other.label));
        backups
    }

    fn refresh(&mut self, label: Label, path: PathBuf, own: &Path) {
        let files = Stamps::of(&path);
        let known = self.entries.get(&path);
        if files.is_none() || known.is_none_or(|known| known.files != files) {
            #[cfg(test)]
            {
                self.reads += 1;
            }
            let own = path.parent() == Some(own);
            let (backup, complaint) = Backup::read_with_complaint(label, path.clone(), own);
            let files = files.filter(|_| !backup.is_unreadable());
            let logged = known.is_some_and(|known| known.complaint == complaint);
            if let Some(complaint) = complaint.as_ref().filter(|_| !logged) {
                log::warn!("{complaint}");
            }
            let entry = Entry {
                files,
                backup,
                complaint,
            };
            self.entries.insert(path, entry);
        }
    }
}
