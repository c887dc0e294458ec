//! The segments that recovery can read: those of the archive, else those that a backup keeps for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::codec::{Digests, Source};
use crate::crypto::MasterKey;
use crate::error::{Context, Kind, Result};
use crate::format::TimelineHistory;
use crate::repository::{Backup, ManifestFile, WalDirectory, WalFile};
use crate::storage;
use crate::unit::{Encryption, Lsn, Segment, SegmentSize, Timeline};

/// How often a segment is looked for again that was there a moment ago: it was completed or sealed meanwhile.
const ATTEMPTS: usize = 5;

/// The segments that recovery can read.
pub struct Segments {
    archive: WalDirectory,
    archived: BTreeMap<Segment, WalFile>,
    /// Those of which there is more than one sealed file: a crash left them, and the settings were changed since.
    doubled: BTreeSet<Segment>,
    /// Those that `backup` keeps for itself.
    kept: BTreeMap<Segment, ManifestFile>,
    histories: BTreeMap<Timeline, ManifestFile>,
    backup: Option<Backup>,
    followed: Option<Timeline>,
    key: Arc<MasterKey>,
}

/// A file that has WAL of a way, or is to have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WayFile {
    /// Which segment it holds.
    pub segment: Segment,
    /// Whether it is one that the backup keeps for itself.
    kept: bool,
    /// Up to here it belongs to the way.
    pub until: Lsn,
}

/// A segment that was opened.
pub struct Opened {
    /// Its plain bytes.
    pub source: Source,
    /// The file.
    pub path: PathBuf,
    /// Whether zeros may stand in it for what was not received; then what was written ends here or before.
    pub written: Option<Lsn>,
    /// What the manifest says of its bytes, if it is one that the backup keeps.
    listed: Option<ManifestFile>,
}

impl Opened {
    /// To be called after the last byte was read: checks that there is none left, the tag of what is encrypted, and that
    /// the bytes are those that the manifest says.
    pub fn finish(self) -> Result<Digests> {
        let found = self.source.finish()?;
        if let Some(file) = &self.listed {
            file.check(&found)?;
        }
        Ok(found)
    }
}

impl Segments {
    /// The segments of an archive.
    pub fn new(archive: WalDirectory, key: Arc<MasterKey>) -> Result<Segments> {
        let mut doubled = BTreeSet::new();
        let mut last = None;
        for file in archive.files()? {
            let sealed = !file.partial && !file.is_plain();
            if sealed && last == Some(file.segment) {
                doubled.insert(file.segment);
            }
            last = sealed.then_some(file.segment);
        }
        let files = archive.segments()?.into_iter();
        Ok(Segments {
            archived: files.map(|file| (file.segment, file)).collect(),
            doubled,
            archive,
            kept: BTreeMap::new(),
            histories: BTreeMap::new(),
            backup: None,
            followed: None,
            key,
        })
    }

    /// Says which timeline the archive follows.
    #[must_use]
    pub fn following(mut self, timeline: Option<Timeline>) -> Segments {
        self.followed = timeline;
        self
    }

    /// The timeline that the archive follows, if that is known.
    pub fn followed(&self) -> Option<Timeline> {
        self.followed
    }

    /// Forgets those of the archive.
    #[must_use]
    pub fn kept_only(mut self) -> Segments {
        self.archived.clear();
        self
    }

    /// Adds those that a backup keeps for itself, for what the archive does not have.
    pub fn keep(&mut self, backup: &Backup, files: &[ManifestFile]) {
        self.kept.clear();
        self.histories.clear();
        for file in files {
            let name = file.path.file_name().and_then(|name| name.to_str());
            if let Some(segment) = name.and_then(|name| Segment::parse(name, self.size())) {
                self.kept.insert(segment, file.clone());
            } else if let Some(timeline) = name.and_then(Timeline::of_history_name) {
                self.histories.insert(timeline, file.clone());
            }
        }
        self.backup = Some(backup.clone());
    }

    /// The content of the history file of a timeline: of the archive, else that which the backup keeps.
    pub fn history(&self, timeline: Timeline) -> Result<Option<Vec<u8>>> {
        if let Some(content) = self.archive.history(timeline)? {
            return Ok(Some(content));
        }
        let (Some(backup), Some(file)) = (&self.backup, self.histories.get(&timeline)) else {
            return Ok(None);
        };
        backup.content(file, &self.key).map(Some)
    }

    /// The timelines of which there is a history, sorted.
    pub fn histories(&self) -> Result<Vec<Timeline>> {
        let archived = self.archive.histories()?.into_iter();
        let all: BTreeSet<Timeline> = archived.chain(self.histories.keys().copied()).collect();
        Ok(all.into_iter().collect())
    }

    /// The size of a segment.
    pub fn size(&self) -> SegmentSize {
        self.archive.segment_size()
    }

    /// The timelines of which there is WAL, sorted.
    pub fn timelines(&self) -> Vec<Timeline> {
        let all = self.archived.keys().chain(self.kept.keys());
        let all: BTreeSet<Timeline> = all.map(|segment| segment.timeline).collect();
        all.into_iter().collect()
    }

    /// The segment in which recovery on the way `history` looks first for the WAL of segment `number`: of the newest
    /// timeline that begins before its end (`XLogFileReadAnyTLI`, PostgreSQL 13 `xlog.c`, 15 and later
    /// `xlogrecovery.c`). It begins with a copy of what the timeline before wrote into it.
    pub fn on_way(&self, history: &TimelineHistory, number: u64) -> Segment {
        let timeline = history.timeline();
        let end = Segment { timeline, number }.end(self.size());
        let switches = history.switches().iter().rev();
        let newer = switches.take_while(|switch| switch.end >= end);
        let timeline = newer.last().map_or(timeline, |switch| switch.timeline);
        Segment { timeline, number }
    }

    /// The files that may have WAL of the way in segment `number`, best first: that of [`Segments::on_way`], then those
    /// of the timelines before that wrote into this segment. Of a segment that the backup keeps as a whole its own file comes
    /// first, since the manifest proves that; else the one of the archive, which may have more.
    pub fn files(&self, history: &TimelineHistory, number: u64) -> Vec<WayFile> {
        let first = self.on_way(history, number);
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
            let mut there = [
                (self.is_archived(segment), false),
                (self.kept.contains_key(&segment), true),
            ];
            if self.is_within(segment) {
                there.reverse();
            }
            let there = there.into_iter().filter(|(there, _)| *there);
            files.extend(there.map(|(_, kept)| WayFile {
                segment,
                kept,
                until,
            }));
        }
        files
    }

    /// Whether a segment ends before the backup does: then what the backup keeps of it is whole.
    fn is_within(&self, segment: Segment) -> bool {
        let end = self.backup.as_ref().map(|backup| backup.info.end.1);
        end.is_some_and(|end| segment.end(self.size()) <= end)
    }

    /// Whether the archive has a file of the segment. One that is not encrypted does not count where an encrypted backup
    /// keeps the segment: somebody else may have put it there.
    fn is_archived(&self, segment: Segment) -> bool {
        let encrypts = |backup: &Backup| backup.info.encryption != Encryption::None;
        let proven = self.is_within(segment)
            && self.kept.contains_key(&segment)
            && self.backup.as_ref().is_some_and(encrypts);
        let file = self.archived.get(&segment);
        file.is_some_and(|file| file.suffixes.encrypted || !proven)
    }

    /// Whether a file of the archive is not encrypted, so that nothing proves where it comes from.
    pub fn is_unproven(&self, file: &WayFile) -> bool {
        let archived = self.archived.get(&file.segment);
        !file.kept && archived.is_some_and(|file| !file.suffixes.encrypted)
    }

    /// Whether there is a later segment of the same timeline.
    pub fn goes_on(&self, segment: Segment) -> bool {
        let later = segment.next()..Segment {
            number: u64::MAX,
            ..segment
        };
        self.archived.range(later.clone()).next().is_some()
            || self.kept.range(later).next().is_some()
    }

    /// The first segment after `number` that there is on the way.
    pub fn next(&self, history: &TimelineHistory, number: u64) -> Option<Segment> {
        let all = self.archived.keys().chain(self.kept.keys());
        let after = all.filter(|segment| segment.number > number);
        let on_way = after.filter(|segment| self.on_way(history, segment.number) == **segment);
        on_way.min_by_key(|segment| segment.number).copied()
    }

    /// Opens a file; `None` if it is gone.
    pub fn open(&self, file: WayFile) -> Result<Option<Opened>> {
        if file.kept {
            return self.open_kept(file.segment);
        }
        let mut found = self.archived.get(&file.segment).cloned();
        if self.doubled.contains(&file.segment) {
            found = self.good_one(file.segment)?.or(found);
        }
        for _ in 0..ATTEMPTS {
            let Some(there) = found else {
                break;
            };
            match self.open_archived(&there) {
                Err(failure) if failure.kind() == Kind::NotFound => {
                    // It was completed or sealed meanwhile, and has another name.
                    found = self.archive.find(file.segment)?;
                }
                result => return result.map(Some),
            }
        }
        Ok(None)
    }

    /// Opens a segment that the backup keeps for itself.
    fn open_kept(&self, segment: Segment) -> Result<Option<Opened>> {
        let (Some(backup), Some(file)) = (&self.backup, self.kept.get(&segment)) else {
            return Ok(None);
        };
        match backup.open(file, &self.key) {
            Err(failure) if failure.kind() == Kind::NotFound => Ok(None),
            Err(failure) => Err(failure),
            Ok(source) => Ok(Some(Opened {
                source,
                path: backup.path.join(&file.stored_path),
                // How much of the last one was received when the backup ended is not known.
                written: (!self.is_within(segment)).then_some(segment.start(self.size())),
                listed: Some(file.clone()),
            })),
        }
    }

    /// Of more than one sealed file of a segment one that can be read to its end.
    fn good_one(&self, segment: Segment) -> Result<Option<WalFile>> {
        for file in self.archive.files_of(segment)?.into_iter().rev() {
            let read = || -> Result<u64> {
                let mut source = self.archive.open(&file.path, file.suffixes, &self.key)?;
                io::copy(&mut source, &mut io::sink())?;
                Ok(source.finish()?.plain_size)
            };
            match read() {
                Ok(size) if size == self.size().bytes() => return Ok(Some(file)),
                Ok(_) => log::warn!("{} has not the size of a segment", file.path.display()),
                Err(failure) => log::warn!("{}: {failure}", file.path.display()),
            }
        }
        Ok(None)
    }

    fn open_archived(&self, file: &WalFile) -> Result<Opened> {
        let mut written = None;
        if file.partial {
            // Asked before a byte is read: what arrives later does not count.
            let length = storage::open_file(&file.path)
                .map_err(Into::into)
                .and_then(|open| storage::written_length(&open))
                .with_context(|| format!("open {}", file.path.display()))?;
            written = Some(file.segment.start(self.size()).advance(length));
        }
        let source = self.archive.open(&file.path, file.suffixes, &self.key)?;
        Ok(Opened {
            source,
            path: file.path.clone(),
            written,
            listed: None,
        })
    }
}
