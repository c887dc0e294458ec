//! The WAL archive of one server.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::{Source, Suffixes};
use crate::crypto::MasterKey;
use crate::error::{Context, Result};
use crate::format::TimelineHistory;
use crate::format::wal::PageHeader;
use crate::storage::{self, Places};
use crate::unit::{Segment, SegmentSize, Timeline};

/// The suffix of the segment that is being received.
const PARTIAL: &str = ".partial";

/// The WAL archive of a server, `<base_dir>/<server>/wal`.
#[derive(Clone, Debug)]
pub struct WalDirectory {
    path: PathBuf,
    segment_size: SegmentSize,
    places: Places,
}

/// A file of the WAL archive that holds a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalFile {
    /// Which segment.
    pub segment: Segment,
    /// Where it lies.
    pub path: PathBuf,
    /// What its name says of how it is stored.
    pub suffixes: Suffixes,
    /// Whether the segment is the open one, or the last one of a timeline that was left in the middle of it: plain, of
    /// full size, with zeros after the last byte that was received.
    pub partial: bool,
}

impl WalFile {
    /// Whether the file is a complete segment as PostgreSQL wrote it.
    pub fn is_plain(&self) -> bool {
        !self.partial && self.suffixes == Suffixes::NONE
    }

    /// Of two files for one segment the one of higher rank counts.
    fn rank(&self) -> u8 {
        match (self.partial, self.suffixes == Suffixes::NONE) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }
    }
}

impl WalDirectory {
    /// The archive in the directory `path`.
    pub fn new(path: &Path, segment_size: SegmentSize) -> WalDirectory {
        WalDirectory {
            path: path.to_owned(),
            segment_size,
            places: Places::default(),
        }
    }

    /// Says what must stay in its place while something is written to the archive.
    #[must_use]
    pub fn within(mut self, places: &Places) -> WalDirectory {
        self.places = places.clone();
        self
    }

    /// Checks that the directory is the one that was found. To be called before anything is written.
    pub fn check_place(&self) -> Result<()> {
        self.places.check()
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size of segments.
    pub fn segment_size(&self) -> SegmentSize {
        self.segment_size
    }

    /// All segments, one file each (sealed before plain before partial, where a crash left two), sorted. A file may go at
    /// any time, because it was completed or sealed: then [`WalDirectory::find`] knows the one that took its place.
    pub fn segments(&self) -> Result<Vec<WalFile>> {
        // What is renamed while a directory is read may be seen under both names or under none. It is read twice: what the
        // first pass saw and the second one missed is looked for by its names.
        let before = self.files()?;
        let mut best: BTreeMap<Segment, WalFile> = BTreeMap::new();
        // The best file of a segment comes last and stays.
        best.extend(self.files()?.into_iter().map(|file| (file.segment, file)));
        for file in before {
            if !best.contains_key(&file.segment)
                && let Some(found) = self.find(file.segment)?
            {
                best.insert(found.segment, found);
            }
        }
        Ok(best.into_values().collect())
    }

    /// All files that hold segments, sorted by segment, the best one last where a crash left more than one.
    pub fn files(&self) -> Result<Vec<WalFile>> {
        let mut files = Vec::new();
        for name in self.names()? {
            files.extend(self.wal_file(&name));
        }
        files.sort_by_key(|file| (file.segment, file.rank()));
        Ok(files)
    }

    /// The file that holds `segment` now: sealed before plain before partial.
    pub fn find(&self, segment: Segment) -> Result<Option<WalFile>> {
        Ok(self.files_of(segment)?.pop())
    }

    /// All files that hold `segment`, the best one last.
    pub fn files_of(&self, segment: Segment) -> Result<Vec<WalFile>> {
        let plain = segment.name(self.segment_size);
        // In the order in which one takes the place of the other, so that none slips through.
        let mut names = vec![format!("{plain}{PARTIAL}"), plain.clone()];
        let sealed = Suffixes::all().filter(|suffixes| *suffixes != Suffixes::NONE);
        names.extend(sealed.map(|suffixes| format!("{plain}{}", suffixes.text())));
        let mut found = Vec::new();
        for name in names {
            let path = self.path.join(&name);
            let exists = path.try_exists();
            if exists.with_context(|| format!("look for {}", path.display()))? {
                found.extend(self.wal_file(&name));
            }
        }
        Ok(found)
    }

    /// Opens a file that holds a segment to read its plain bytes, as [`WalFile`] has it, or under another path. How it is
    /// encrypted is found out: the configuration may be another one since.
    pub fn open(&self, path: &Path, suffixes: Suffixes, key: &Arc<MasterKey>) -> Result<Source> {
        let size = self.segment_size.bytes();
        let begins = |plain: &[u8]| begins_segment(plain, size);
        Ok(Source::probe(path, suffixes, key, &begins)?.at_most(size))
    }

    /// The content of the history file of a timeline, if archived. The C program writes lower-case names and a NUL at the
    /// end.
    pub fn history(&self, timeline: Timeline) -> Result<Option<Vec<u8>>> {
        let name = timeline.history_name();
        let lower = name.to_ascii_lowercase();
        for name in [name, lower] {
            let path = self.path.join(name);
            match storage::read_file(&path, TimelineHistory::MAX_SIZE) {
                Ok(mut content) => {
                    content.pop_if(|last| *last == 0);
                    return Ok(Some(content));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("read {}", path.display()));
                }
            }
        }
        Ok(None)
    }

    /// The timelines whose history is archived, sorted.
    pub fn histories(&self) -> Result<Vec<Timeline>> {
        let names = self.names()?;
        let mut timelines: Vec<Timeline> = names
            .iter()
            .filter_map(|name| Timeline::of_history_name(name))
            .collect();
        timelines.sort_unstable();
        timelines.dedup();
        Ok(timelines)
    }

    /// Stores the history file of a timeline, durably.
    pub fn store_history(&self, timeline: Timeline, content: &[u8]) -> Result<()> {
        self.check_place()?;
        storage::replace(&self.path.join(timeline.history_name()), content)
    }

    /// Removes the hidden files that a crash left behind; how many. Nothing may write to the archive meanwhile.
    pub fn sweep(&self) -> Result<usize> {
        let mut swept = 0;
        for name in self.names()? {
            let ours =
                name.starts_with(".spare.") || name.starts_with('.') && name.ends_with(".tmp");
            if ours {
                storage::remove_file(&self.path.join(name))?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// What is in the directory and is nothing of ours: files of other names, and directories.
    pub fn strays(&self) -> Result<Vec<PathBuf>> {
        let doing = || format!("read directory {}", self.path.display());
        let mut strays = Vec::new();
        for entry in std::fs::read_dir(&self.path).with_context(doing)? {
            let entry = entry.with_context(doing)?;
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|name| {
                name.starts_with('.')
                    || Timeline::of_history_name(name).is_some()
                    || self.wal_file(name).is_some()
            });
            // A file may have gone meanwhile.
            let is_directory = entry.file_type().is_ok_and(|found| found.is_dir());
            if !ours || is_directory {
                strays.push(entry.path());
            }
        }
        strays.sort();
        Ok(strays)
    }

    fn wal_file(&self, name: &str) -> Option<WalFile> {
        let (plain, suffixes, partial) = match name.strip_suffix(PARTIAL) {
            Some(plain) => (plain, Suffixes::NONE, true),
            None => {
                let (plain, suffixes) = Suffixes::of_name(name);
                (plain, suffixes, false)
            }
        };
        Some(WalFile {
            segment: Segment::parse(plain, self.segment_size)?,
            path: self.path.join(name),
            suffixes,
            partial,
        })
    }

    /// The names in the directory; those that are not UTF-8 are not ours.
    fn names(&self) -> Result<Vec<String>> {
        let doing = || format!("read directory {}", self.path.display());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).with_context(doing)? {
            names.extend(entry.with_context(doing)?.file_name().into_string().ok());
        }
        Ok(names)
    }
}

/// Whether plain bytes are the beginning of a WAL segment of `size` bytes: every one begins with a page that says so
/// (`XLogLongPageHeaderData`, PostgreSQL 18 `access/xlog_internal.h`).
pub(super) fn begins_segment(plain: &[u8], size: u64) -> bool {
    let long = PageHeader::parse(plain).ok().and_then(|header| header.long);
    long.is_some_and(|long| u64::from(long.segment_size) == size)
}

#[cfg(test)]
mod tests;
