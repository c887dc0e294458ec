//! The WAL segments that recovery can read: those of the archive, else those that are stored with a
//! backup.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::codec::{Digests, StoredReader};
use crate::crypto::MasterKey;
use crate::error::{Context, ErrorKind, Result};
use crate::format::TimelineHistory;
use crate::job::pace::Pace;
use crate::repository::{Backup, ManifestFile, PrunedWal, WalDirectory, WalFile};
use crate::storage;
use crate::sys::{Stop, drop_page_cache};
use crate::unit::{Encryption, Lsn, Segment, SegmentSize, Timeline, to_u64};

/// Attempts to open a segment: its file gets another name when it is completed or sealed meanwhile.
const ATTEMPTS: usize = 5;

/// The WAL segments that recovery can read, and the history files.
pub struct Segments {
    archive: WalDirectory,
    archived: BTreeMap<Segment, WalFile>,
    /// Segments with more than one sealed file: the settings were changed after a crash.
    duplicated: BTreeSet<Segment>,
    /// Segments that are stored with `backup`.
    backup_files: BTreeMap<Segment, ManifestFile>,
    histories: BTreeMap<Timeline, ManifestFile>,
    backup: Option<Backup>,
    followed: Option<Timeline>,
    /// What was removed from the archive on purpose.
    pruned: PrunedWal,
    key: Arc<MasterKey>,
    /// Limits the rate at which the files are read.
    pace: Option<Arc<Pace>>,
}

/// A segment file that has, or should have, WAL of a timeline path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// The segment that it holds.
    pub segment: Segment,
    /// Whether it is stored with the backup, not in the archive.
    from_backup: bool,
    /// Its WAL belongs to the timeline path up to here.
    pub until: Lsn,
}

/// A segment file that is open for reading.
pub struct OpenedSegment {
    /// The decrypted and decompressed bytes.
    pub source: StoredReader,
    /// The path of the file, for messages.
    pub path: PathBuf,
    /// Where the received WAL ends at the latest; `None` for a complete segment.
    pub written_until: Option<Lsn>,
    /// The manifest entry of a file that is stored with the backup.
    manifest_entry: Option<ManifestFile>,
    /// Limits the rate, and the length of the file.
    pace: Option<(Arc<Pace>, u64)>,
}

impl OpenedSegment {
    /// Waits until `plain` bytes of a segment of that size may be read.
    pub fn pace(&self, plain: usize, size: SegmentSize, stop: &Stop) -> Result<()> {
        let Some((pace, length)) = &self.pace else {
            return Ok(());
        };
        let stored = u128::from(*length) * u128::from(to_u64(plain)) / u128::from(size.bytes());
        pace.take(u64::try_from(stored).unwrap_or(u64::MAX), stop)
    }

    /// Must be called after the last byte was read: checks that no bytes are left, the
    /// authentication tag of an encrypted file, and the digests in the manifest.
    pub fn finish(self) -> Result<Digests> {
        let found = self.source.finish()?;
        if let Some(file) = &self.manifest_entry {
            file.check(&found)?;
        }
        Ok(found)
    }
}

impl Segments {
    /// Lists the segments of an archive.
    pub fn new(archive: WalDirectory, key: Arc<MasterKey>) -> Result<Segments> {
        let mut duplicated = BTreeSet::new();
        let mut last = None;
        for file in archive.files()? {
            let sealed = !file.partial && !file.is_plain();
            if sealed && last == Some(file.segment) {
                duplicated.insert(file.segment);
            }
            last = sealed.then_some(file.segment);
        }
        let files = archive.segments()?.into_iter();
        Ok(Segments {
            archived: files.map(|file| (file.segment, file)).collect(),
            duplicated,
            // After the segments were listed.
            pruned: archive.pruned()?,
            archive,
            backup_files: BTreeMap::new(),
            histories: BTreeMap::new(),
            backup: None,
            followed: None,
            key,
            pace: None,
        })
    }

    /// Limits the rate at which the files are read, and reads them from the disk and not from the
    /// page cache.
    #[must_use]
    pub fn with_pace(mut self, pace: Option<Arc<Pace>>) -> Segments {
        self.pace = pace;
        self
    }

    /// Sets the timeline that the archive follows.
    #[must_use]
    pub fn with_followed_timeline(mut self, timeline: Option<Timeline>) -> Segments {
        self.followed = timeline;
        self
    }

    /// Why the history of a timeline is not known by its file in the archive; `None` if it is.
    pub fn history_problem(&self, timeline: Timeline) -> Result<Option<String>> {
        Ok(self.archive.histories()?.get(timeline).err())
    }

    /// The timeline that the archive follows; `None` if unknown.
    pub fn followed_timeline(&self) -> Option<Timeline> {
        self.followed
    }

    /// Ignores the segments of the archive.
    #[must_use]
    pub fn backup_only(mut self) -> Segments {
        self.archived.clear();
        self
    }

    /// Sets the backup whose segments and history files are used where the archive lacks them.
    pub fn set_backup(&mut self, backup: &Backup, files: &[ManifestFile]) {
        self.backup_files.clear();
        self.histories.clear();
        for file in files {
            let name = file.path.file_name().and_then(|name| name.to_str());
            if let Some(segment) = name.and_then(|name| Segment::parse(name, self.size())) {
                self.backup_files.insert(segment, file.clone());
            } else if let Some(timeline) = name.and_then(Timeline::of_history_name) {
                self.histories.insert(timeline, file.clone());
            }
        }
        self.backup = Some(backup.clone());
    }

    /// The content of the history file of a timeline: from the archive, else from the backup.
    pub fn history(&self, timeline: Timeline) -> Result<Option<Vec<u8>>> {
        if let Some(content) = self.archive.history(timeline)? {
            return Ok(Some(content));
        }
        let (Some(backup), Some(file)) = (&self.backup, self.histories.get(&timeline)) else {
            return Ok(None);
        };
        backup.content(file, &self.key).map(Some)
    }

    /// The timelines that have a history file, sorted.
    pub fn histories(&self) -> Result<Vec<Timeline>> {
        let archived = self.archive.history_timelines()?.into_iter();
        let all: BTreeSet<Timeline> = archived.chain(self.histories.keys().copied()).collect();
        Ok(all.into_iter().collect())
    }

    /// The WAL segment size of the archive.
    pub fn size(&self) -> SegmentSize {
        self.archive.segment_size()
    }

    /// The timelines that have WAL, sorted.
    pub fn timelines(&self) -> Vec<Timeline> {
        let all = self.archived.keys().chain(self.backup_files.keys());
        let all: BTreeSet<Timeline> = all.map(|segment| segment.timeline).collect();
        all.into_iter().collect()
    }

    /// The segment that recovery along `history` reads first for segment `number`: that of the
    /// newest timeline that begins before its end (`XLogFileReadAnyTLI`, PostgreSQL 13 `xlog.c`, 15
    /// and later `xlogrecovery.c`). It begins with a copy of the WAL of the parent timeline.
    pub fn segment_on_path(&self, history: &TimelineHistory, number: u64) -> Segment {
        let timeline = history.timeline();
        let end = Segment { timeline, number }.end(self.size());
        let switches = history.switches().iter().rev();
        let newer = switches.take_while(|switch| switch.end >= end);
        let timeline = newer.last().map_or(timeline, |switch| switch.timeline);
        Segment { timeline, number }
    }

    /// The files that may have the WAL of segment `number` along `history`, best first: that of
    /// [`Segments::segment_on_path`], then those of the ancestors that wrote into this segment.
    /// Where the backup has the complete segment its file comes first, since the manifest
    /// authenticates it; else the file of the archive, which may have more.
    pub fn files(&self, history: &TimelineHistory, number: u64) -> Vec<SegmentFile> {
        let first = self.segment_on_path(history, number);
        let (start, size) = (first.start(self.size()), self.size());
        let before = history.switches().iter().rev();
        let timelines = std::iter::once(history.timeline()).chain(before.map(|s| s.timeline));
        let timelines = timelines.skip_while(|timeline| *timeline != first.timeline);
        let mut files = Vec::new();
        for timeline in timelines {
            let until = history.end_of(timeline).unwrap_or(Lsn(u64::MAX));
            if until <= start {
                break;
            }
            let segment = Segment { timeline, number };
            let until = until.min(segment.end(size));
            let mut sources = [
                (self.is_archived(segment), false),
                (self.backup_files.contains_key(&segment), true),
            ];
            if self.ends_within_backup(segment) {
                sources.reverse();
            }
            let sources = sources.into_iter().filter(|(exists, _)| *exists);
            files.extend(sources.map(|(_, from_backup)| SegmentFile {
                segment,
                from_backup,
                until,
            }));
        }
        files
    }

    /// Whether a segment ends before the backup does: then the backup has all of it.
    fn ends_within_backup(&self, segment: Segment) -> bool {
        let end = self.backup.as_ref().map(|backup| backup.info.end.lsn);
        end.is_some_and(|end| segment.end(self.size()) <= end)
    }

    /// Whether the archive has a file of the segment. An unencrypted file is ignored where an
    /// encrypted backup has the segment: its origin is not authenticated.
    fn is_archived(&self, segment: Segment) -> bool {
        let encrypts = |backup: &Backup| backup.info.encryption != Encryption::None;
        let authenticated = self.ends_within_backup(segment)
            && self.backup_files.contains_key(&segment)
            && self.backup.as_ref().is_some_and(encrypts);
        let file = self.archived.get(&segment);
        file.is_some_and(|file| file.suffixes.encrypted || !authenticated)
    }

    /// Whether a file of the archive is not encrypted, so that its origin is not authenticated.
    pub fn is_unencrypted(&self, file: &SegmentFile) -> bool {
        let archived = self.archived.get(&file.segment);
        !file.from_backup && archived.is_some_and(|file| !file.suffixes.encrypted)
    }

    /// Whether a later segment of the same timeline exists.
    pub fn has_later(&self, segment: Segment) -> bool {
        let later = segment.next()..Segment {
            number: u64::MAX,
            ..segment
        };
        self.archived.range(later.clone()).next().is_some()
            || self.backup_files.range(later).next().is_some()
    }

    /// Whether a segment may be missing because it was removed on purpose.
    pub fn is_pruned(&self, segment: Segment) -> bool {
        self.pruned.contains(segment, self.size())
    }

    /// Why a segment is missing: it was removed on purpose, or it was lost. The text ends a
    /// sentence that begins with the name of the segment.
    pub fn why_missing(&self, segment: Segment) -> &'static str {
        if self.is_pruned(segment) {
            "removed by retention, since no kept backup needs more than the WAL stored with it"
        } else {
            "missing"
        }
    }

    /// The first existing segment after `number` on the timeline path.
    pub fn next_available(&self, history: &TimelineHistory, number: u64) -> Option<Segment> {
        let all = self.archived.keys().chain(self.backup_files.keys());
        let after = all.filter(|segment| segment.number > number);
        let on_path =
            after.filter(|segment| self.segment_on_path(history, segment.number) == **segment);
        on_path.min_by_key(|segment| segment.number).copied()
    }

    /// Opens a file; `None` if it no longer exists.
    pub fn open(&self, file: SegmentFile) -> Result<Option<OpenedSegment>> {
        let mut opened = self.open_unpaced(file)?;
        if let (Some(opened), Some(pace)) = (&mut opened, &self.pace)
            && let Ok(file) = storage::open_file(&opened.path)
        {
            if opened.written_until.is_none() {
                // The receiver does not write to it.
                drop_page_cache(&file);
            }
            let length = file.metadata().map_or(0, |found| found.len());
            opened.pace = Some((pace.clone(), length));
        }
        Ok(opened)
    }

    fn open_unpaced(&self, file: SegmentFile) -> Result<Option<OpenedSegment>> {
        if file.from_backup {
            return self.open_from_backup(file.segment);
        }
        let mut found = self.archived.get(&file.segment).cloned();
        if self.duplicated.contains(&file.segment) {
            found = self.readable_duplicate(file.segment)?.or(found);
        }
        for _ in 0..ATTEMPTS {
            let Some(archived) = found else {
                break;
            };
            match self.open_from_archive(&archived) {
                Err(failure) if failure.kind() == ErrorKind::NotFound => {
                    // Completed or sealed meanwhile: it has another name.
                    found = self.archive.find(file.segment)?;
                }
                result => return result.map(Some),
            }
        }
        Ok(None)
    }

    /// Opens a segment that is stored with the backup.
    fn open_from_backup(&self, segment: Segment) -> Result<Option<OpenedSegment>> {
        let (Some(backup), Some(file)) = (&self.backup, self.backup_files.get(&segment)) else {
            return Ok(None);
        };
        match backup.open_stored(file, &self.key) {
            Err(failure) if failure.kind() == ErrorKind::NotFound => Ok(None),
            Err(failure) => Err(failure),
            Ok(source) => Ok(Some(OpenedSegment {
                source,
                path: backup.stored_path(file),
                // How much of the last segment was received when the backup ended is unknown.
                written_until: (!self.ends_within_backup(segment))
                    .then_some(segment.start(self.size())),
                manifest_entry: Some(file.clone()),
                pace: None,
            })),
        }
    }

    /// Of several sealed files of a segment, one that can be read to its end.
    fn readable_duplicate(&self, segment: Segment) -> Result<Option<WalFile>> {
        for file in self.archive.files_for_segment(segment)?.into_iter().rev() {
            let read = || -> Result<u64> {
                let mut source = self.archive.open(&file.path(), file.suffixes, &self.key)?;
                io::copy(&mut source, &mut io::sink())?;
                Ok(source.finish()?.plain_size)
            };
            match read() {
                Ok(size) if size == self.size().bytes() => return Ok(Some(file)),
                Ok(_) => log::warn!(
                    "{} does not have the size of a segment",
                    file.path().display()
                ),
                Err(failure) => log::warn!("{}: {failure}", file.path().display()),
            }
        }
        Ok(None)
    }

    fn open_from_archive(&self, file: &WalFile) -> Result<OpenedSegment> {
        let mut written_until = None;
        if file.partial {
            // Measured before the first read: WAL that arrives later is ignored.
            let length = storage::open_file(&file.path())
                .map_err(Into::into)
                .and_then(|open| storage::written_length(&open))
                .with_context(|| format!("open {}", file.path().display()))?;
            written_until = Some(file.segment.start(self.size()).advance(length));
        }
        let mut source = self.archive.open(&file.path(), file.suffixes, &self.key)?;
        if file.partial {
            // Shorter if there was no room for all of it.
            source = source.with_zeros_up_to(self.size().bytes());
        }
        Ok(OpenedSegment {
            source,
            path: file.path(),
            written_until,
            manifest_entry: None,
            pace: None,
        })
    }
}
