//! The WAL archive of one server.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::{StoredReader, Suffixes};
use crate::crypto::MasterKey;
use crate::error::{Context, Result};
use crate::format::TimelineHistory;
use crate::format::wal::PageHeader;
use crate::storage::{self, PARTIAL_SUFFIX, PinnedPaths};
use crate::unit::{Lsn, Segment, SegmentSize, Timeline};

/// The WAL archive of a server, `<base_dir>/<server>/wal`.
#[derive(Clone, Debug)]
pub struct WalDirectory {
    path: Arc<Path>,
    segment_size: SegmentSize,
    paths: PinnedPaths,
}

/// A file of a WAL segment in the archive. An archive has many: the name is made when it is asked
/// for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalFile {
    /// Timeline and number of the segment.
    pub segment: Segment,
    /// The compression and encryption suffixes of the name.
    pub suffixes: Suffixes,
    /// Whether the segment is being received, or is the last one of a timeline that ended in it:
    /// plain, of full size, with zeros after the last received byte.
    pub partial: bool,
    segment_size: SegmentSize,
    directory: Arc<Path>,
}

/// A file of a WAL segment and its length on the disk.
#[derive(Clone, Debug)]
pub struct MeasuredWalFile {
    /// The file.
    pub file: WalFile,
    /// Bytes; `None` if it was renamed or removed since the listing. 0 for what is no file, such as
    /// a directory or a symbolic link to nothing.
    pub length: Option<u64>,
}

impl MeasuredWalFile {
    /// Whether the file has the expected size, as far as known without reading it. One that was
    /// renamed meanwhile was replaced by its encoded file.
    pub(super) fn has_full_length(&self) -> bool {
        self.length.is_none_or(|length| {
            if self.file.is_plain() {
                length == self.file.segment_size.bytes()
            } else {
                // A partial one may be empty: there was no room for more.
                length > 0 || self.file.partial
            }
        })
    }
}

impl WalFile {
    /// The name in the archive.
    pub fn name(&self) -> String {
        let plain = self.segment.name(self.segment_size);
        if self.partial {
            plain + PARTIAL_SUFFIX
        } else {
            plain + &self.suffixes.text()
        }
    }

    /// The LSN after the segment.
    pub fn end(&self) -> Lsn {
        self.segment.end(self.segment_size)
    }

    /// The path in the archive.
    pub fn path(&self) -> PathBuf {
        self.directory.join(self.name())
    }

    fn measure(self) -> Result<MeasuredWalFile> {
        let path = self.path();
        let length = match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => Some(found.len()),
            Ok(_) => Some(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.is_symlink().then_some(0),
            Err(error) => {
                return Err(error).with_context(|| format!("look at {}", path.display()));
            }
        };
        Ok(MeasuredWalFile { file: self, length })
    }

    /// Whether the file is a complete segment as PostgreSQL wrote it.
    pub fn is_plain(&self) -> bool {
        !self.partial && self.suffixes == Suffixes::NONE
    }

    fn order(&self) -> (Segment, u8) {
        (self.segment, self.rank())
    }

    /// If a segment has several files, the one with the highest rank is used.
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
            path: path.into(),
            segment_size,
            paths: PinnedPaths::default(),
        }
    }

    /// Sets the directories that are checked before a write.
    #[must_use]
    pub fn with_pinned_paths(mut self, paths: &PinnedPaths) -> WalDirectory {
        self.paths = paths.clone();
        self
    }

    /// Checks that the directory is the same inode as at the start. Call it before a write.
    pub fn check_paths(&self) -> Result<()> {
        self.paths.check()
    }

    /// The directory of the archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `wal_segment_size` of the cluster.
    pub fn segment_size(&self) -> SegmentSize {
        self.segment_size
    }

    /// All segments, one file each (if a crash left several: encoded before plain before partial),
    /// sorted. A file may be replaced at any time when it is completed or encoded: then
    /// [`WalDirectory::find`] returns the new one.
    pub fn segments(&self) -> Result<Vec<WalFile>> {
        // A file that is renamed while a directory is read may be listed under both names or under
        // none. So it is read twice, and files that only the first pass found are looked up by
        // their names.
        let mut before = self.files()?;
        let mut best = self.files()?;
        before.retain(|file| {
            let segment = |listed: &WalFile| listed.segment;
            best.binary_search_by_key(&file.segment, segment).is_err()
        });
        for file in before {
            best.extend(self.find(file.segment)?);
        }
        best.sort_by_key(WalFile::order);
        best.extend(self.unlisted(&best)?);
        best.sort_by_key(WalFile::order);
        // The file with the highest rank is the last one of its segment.
        best.reverse();
        best.dedup_by_key(|file| file.segment);
        best.reverse();
        Ok(best)
    }

    /// Existing segments beside those that were listed, which are sorted. A segment may be in
    /// neither of two passes: one that was completed during the first and sealed during the second
    /// one. It is found by its names, from the listed segments on until one does not exist.
    fn unlisted(&self, listed: &[WalFile]) -> Result<Vec<WalFile>> {
        let mut found = Vec::new();
        let mut before: Option<Segment> = None;
        for (index, file) in listed.iter().enumerate() {
            let Segment { timeline, number } = file.segment;
            let at = |number| self.find(Segment { timeline, number });
            // Below it, down to what is listed or was found before it.
            let mut first = number;
            let known = before.filter(|before| before.timeline == timeline);
            let known = known.map_or(0, |before| before.number.saturating_add(1));
            while first > known
                && let Some(file) = at(first - 1)?
            {
                found.push(file);
                first -= 1;
            }
            let next = listed.get(index.saturating_add(1));
            let next = next.filter(|next| next.segment.timeline == timeline);
            let end = next.map_or(u64::MAX, |next| next.segment.number);
            let mut last = number;
            while last < end.saturating_sub(1)
                && let Some(file) = at(last + 1)?
            {
                found.push(file);
                last += 1;
            }
            before = Some(Segment {
                timeline,
                number: last,
            });
        }
        Ok(found)
    }

    /// As [`WalDirectory::segments`], with the lengths of the files.
    pub fn measured_segments(&self) -> Result<Vec<MeasuredWalFile>> {
        self.segments()?.into_iter().map(WalFile::measure).collect()
    }

    /// All files of segments, sorted by segment and rank.
    pub fn files(&self) -> Result<Vec<WalFile>> {
        let mut files = Vec::new();
        self.for_each_name(|name| files.extend(self.wal_file(name)))?;
        files.sort_unstable_by_key(WalFile::order);
        Ok(files)
    }

    /// The current file of `segment`: encoded before plain before partial.
    pub fn find(&self, segment: Segment) -> Result<Option<WalFile>> {
        Ok(self.files_for_segment(segment)?.pop())
    }

    /// All files of `segment`, sorted by rank.
    pub fn files_for_segment(&self, segment: Segment) -> Result<Vec<WalFile>> {
        let plain = segment.name(self.segment_size);
        // In the order in which one replaces the other, so that a concurrent rename is not missed.
        let mut names = vec![format!("{plain}{PARTIAL_SUFFIX}"), plain.clone()];
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

    /// Opens the file of a segment to read its plain bytes. The key size is detected, because the
    /// configuration may have changed since it was written.
    pub fn open(
        &self,
        path: &Path,
        suffixes: Suffixes,
        key: &Arc<MasterKey>,
    ) -> Result<StoredReader> {
        let size = self.segment_size.bytes();
        let begins = |plain: &[u8]| is_segment_start(plain, size);
        Ok(StoredReader::probe(path, suffixes, key, &begins)?.with_max_size(size))
    }

    /// The content of the history file of a timeline, if archived. The C program writes lower-case
    /// names and a NUL at the end.
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

    /// The timelines with an archived history file, sorted.
    pub fn history_timelines(&self) -> Result<Vec<Timeline>> {
        let mut timelines = Vec::new();
        self.for_each_name(|name| timelines.extend(Timeline::of_history_name(name)))?;
        timelines.sort_unstable();
        timelines.dedup();
        Ok(timelines)
    }

    /// Stores the history file of a timeline, durably.
    pub fn store_history(&self, timeline: Timeline, content: &[u8]) -> Result<()> {
        self.check_paths()?;
        storage::replace(&self.path.join(timeline.history_name()), content)
    }

    /// Removes temporary files after a crash and returns their number. Nothing may write to the
    /// archive meanwhile.
    pub fn sweep(&self) -> Result<usize> {
        let mut temporary = Vec::new();
        self.for_each_name(|name| {
            if storage::is_temporary(name) {
                temporary.push(self.path.join(name));
            }
        })?;
        let mut count = 0;
        for path in &temporary {
            count += usize::from(storage::remove_temporary(path)?);
        }
        Ok(count)
    }

    /// Files and directories in the archive that do not belong to it.
    pub fn foreign_files(&self) -> Result<Vec<PathBuf>> {
        let action = || format!("read directory {}", self.path.display());
        let mut foreign = Vec::new();
        for entry in std::fs::read_dir(&self.path).with_context(action)? {
            let entry = entry.with_context(action)?;
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|name| {
                name.starts_with('.')
                    || Timeline::of_history_name(name).is_some()
                    || self.wal_file(name).is_some()
            });
            // A file may have been removed meanwhile.
            let is_directory = entry.file_type().is_ok_and(|found| found.is_dir());
            if !ours || is_directory {
                foreign.push(entry.path());
            }
        }
        foreign.sort();
        Ok(foreign)
    }

    /// The file of a segment called `name`, which need not exist; `None` for other names.
    pub fn wal_file(&self, name: &str) -> Option<WalFile> {
        let (plain, suffixes, partial) = match name.strip_suffix(PARTIAL_SUFFIX) {
            Some(plain) => (plain, Suffixes::NONE, true),
            None => {
                let (plain, suffixes) = Suffixes::split_name(name);
                (plain, suffixes, false)
            }
        };
        Some(WalFile {
            segment: Segment::parse(plain, self.segment_size)?,
            suffixes,
            partial,
            segment_size: self.segment_size,
            directory: self.path.clone(),
        })
    }

    /// Calls `f` with each name in the directory that is UTF-8.
    fn for_each_name(&self, mut f: impl FnMut(&str)) -> Result<()> {
        let action = || format!("read directory {}", self.path.display());
        for entry in std::fs::read_dir(&self.path).with_context(action)? {
            if let Some(name) = entry.with_context(action)?.file_name().to_str() {
                f(name);
            }
        }
        Ok(())
    }
}

/// Whether plain bytes are the start of a WAL segment of `size` bytes, which has the size in the
/// header of its first page (`XLogLongPageHeaderData`, PostgreSQL 18 `access/xlog_internal.h`).
pub(super) fn is_segment_start(plain: &[u8], size: u64) -> bool {
    let long = PageHeader::parse(plain).ok().and_then(|header| header.long);
    long.is_some_and(|long| u64::from(long.segment_size) == size)
}

#[cfg(test)]
mod tests;
