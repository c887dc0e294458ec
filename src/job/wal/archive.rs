//! Writes received WAL to the archive of a server.

use std::time::{Duration, Instant};

use super::gaps;
use super::sealer::Sealer;
use super::spare::Spare;
use super::validation::Validation;
use crate::error::{Error, ErrorKind, Result};
use crate::format::TimelineHistory;
use crate::job::context::ServerContext;
use crate::job::replay::Segments;
use crate::repository::{Repository, WalDirectory, WalEnd, WalFile};
use crate::storage::{Durable, SegmentFile, SpareSegment, no_durable_position, sync_archive_end};
use crate::unit::{
    Lsn, Segment, SegmentSize, ServerName, Timeline, after, first, to_u64, to_usize,
};

/// How old the last check that the archive directory is the same may be when WAL is acknowledged.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The only writer of the WAL archive of a server; it outlives connections. Holds the open segment,
/// the spare one to follow it, and those that are being sealed.
pub(super) struct ArchiveWriter {
    context: ServerContext,
    directory: WalDirectory,
    timeline: Timeline,
    open: Option<SegmentFile>,
    spare: Spare,
    durable: Durable<Lsn>,
    /// The position of the next byte to write.
    position: Lsn,
    /// Up to here the server resends WAL that is on stable storage. Another server may have other
    /// WAL there: nothing is acknowledged before it has sent this range.
    resent_until: Lsn,
    sealer: Sealer,
    /// Whether to check for gaps when the next segment is opened.
    gap_expected: bool,
    repository: Repository,
    /// Whether the archive may begin with no WAL before it; ends with the first synced bytes.
    wal_start_allowed: bool,
    /// When the archive directory was last checked.
    last_checked: Instant,
}

impl ArchiveWriter {
    /// Opens the archive: removes temporary files of a crash, submits unsealed segments, checks for
    /// gaps.
    pub(super) fn open(
        context: &ServerContext,
        repository: &Repository,
        size: SegmentSize,
    ) -> Result<ArchiveWriter> {
        let directory = repository.wal_with_segment_size(size);
        directory.sweep()?;
        report_stray_files(&context.server.name, &directory)?;
        let mut archive = ArchiveWriter {
            context: context.clone(),
            sealer: Sealer::new(context, &directory),
            spare: Spare::new(context, &directory),
            directory,
            timeline: Timeline::FIRST,
            open: None,
            durable: no_durable_position(),
            position: Lsn::ZERO,
            resent_until: Lsn::ZERO,
            gap_expected: false,
            repository: repository.clone(),
            wal_start_allowed: true,
            last_checked: Instant::now(),
        };
        archive.sealer.recover()?;
        gaps::check_in_pool(context, repository, &archive.directory);
        Ok(archive)
    }

    /// Whether this is the archive of that repository, in the same directories.
    pub(super) fn belongs_to(&self, repository: &Repository) -> bool {
        self.repository
            .pinned_paths()
            .is_same_as(repository.pinned_paths())
    }

    /// Checks that the archive directory was not replaced.
    pub(super) fn check_paths(&mut self) -> Result<()> {
        self.directory.check_paths()?;
        self.last_checked = Instant::now();
        Ok(())
    }

    /// As [`ArchiveWriter::check_paths`], and that the open segment is in it too.
    pub(super) fn check_open(&mut self) -> Result<()> {
        self.check_paths()?;
        let open = self.open.as_mut();
        open.map_or(Ok(()), SegmentFile::check_not_replaced)
    }

    /// The position of the next byte to write.
    pub(super) fn position(&self) -> Lsn {
        self.position
    }

    pub(super) fn directory(&self) -> &WalDirectory {
        &self.directory
    }

    /// The start of the segment that contains a position.
    pub(super) fn segment_start(&self, position: Lsn) -> Lsn {
        let size = self.directory.segment_size();
        Segment::containing(self.timeline, position, size).start(size)
    }

    /// Closes the open segment at the end of its timeline: it stays partial.
    pub(super) fn leave_timeline(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), SegmentFile::close_partial)
    }

    /// The archive's end of WAL along `history`. A partial segment from before is opened and
    /// validated first.
    pub(super) fn end_of_path(&mut self, history: &TimelineHistory) -> Result<Option<WalEnd>> {
        let Some(mut end) = self.directory.end_of_path(history)? else {
            return Ok(None);
        };
        let segment = end.file.segment;
        let is_open = |file: &SegmentFile| file.segment() == segment;
        if end.file.partial && !self.open.as_ref().is_some_and(is_open) {
            self.reopen(segment, &history.up_to(segment.timeline))?;
        }
        if let Some(file) = self.open.as_ref().filter(|file| is_open(file)) {
            end.received = file.immutable_end();
        }
        Ok(Some(end))
    }

    /// Opens a partial segment from before. Its valid WAL need not be received again.
    fn reopen(&mut self, segment: Segment, history: &TimelineHistory) -> Result<()> {
        self.check_paths()?;
        if let Some(other) = self.open.take() {
            other.close_partial()?;
        }
        let size = self.directory.segment_size();
        let mut file = self.open_segment(segment, None)?;
        let received = file.received();
        if received > segment.start(size) {
            file.accept_existing(|| self.validated_end(segment, received, history))?;
        }
        self.open = Some(file);
        Ok(())
    }

    /// The end of valid WAL in a segment, if known.
    fn validated_end(
        &self,
        segment: Segment,
        received: Lsn,
        history: &TimelineHistory,
    ) -> Result<Option<Lsn>> {
        let (server, name) = (
            &self.context.server.name,
            segment.name(self.directory.segment_size()),
        );
        let segments = Segments::new(self.directory.clone(), self.context.daemon.key.clone())?;
        let validation = Validation {
            segments: &segments,
            history,
            segment,
            stop: &self.context.stop,
        };
        match validation.run() {
            Ok(validated) => {
                let validated = validated.as_ref();
                if let Some((end, (why, page_end))) =
                    validated.and_then(|wal| Some((wal.end, wal.invalid_record.as_ref()?)))
                    && received > *page_end
                {
                    log::warn!(
                        "server {server}: WAL segment {name} is damaged after {end}, it is \
                         received again from there: {why}"
                    );
                }
                Ok(validated.map(|wal| wal.end))
            }
            Err(failure) if failure.kind() == ErrorKind::Stopped => Err(failure),
            Err(failure) => {
                log::warn!(
                    "server {server}: WAL segment {name} is received again, since its WAL cannot \
                     be validated: {failure}"
                );
                Ok(None)
            }
        }
    }

    /// Prepares to receive from `position`, the start of a segment, on `timeline`; `left` is where
    /// the server left that timeline, if it did. Returns where to start, which is later if WAL of
    /// the segment is on stable storage already.
    pub(super) fn begin(
        &mut self,
        timeline: Timeline,
        position: Lsn,
        left: Option<Lsn>,
    ) -> Result<Lsn> {
        self.check_paths()?;
        self.wal_start_allowed = self.repository.may_start_wal();
        self.poll();
        self.timeline = timeline;
        let segment = Segment::containing(timeline, position, self.directory.segment_size());
        if let Some(other) = self.open.take_if(|file| file.segment() != segment) {
            other.close_partial()?;
        }
        let before = self.make_durable_before(segment)?;
        (self.position, self.resent_until) = match &mut self.open {
            Some(file) => {
                if file.has_failed() {
                    file.start_over()?;
                }
                file.rewind(left)
            }
            None => (position, position),
        };
        // After a gap the WAL before it does not count as durable.
        self.durable = if self.position < self.resent_until || self.gap_expected {
            no_durable_position()
        } else {
            before
        };
        self.prepare_spare();
        Ok(self.position)
    }

    /// Makes the WAL before a segment durable.
    fn make_durable_before(&mut self, segment: Segment) -> Result<Durable<Lsn>> {
        let (timeline, before) = (segment.timeline, segment.number.checked_sub(1));
        let last = match before.map(|number| Segment { timeline, number }) {
            Some(before) => self.directory.find(before)?,
            None => None,
        };
        let last = last.filter(|file| !file.partial);
        let path = last.as_ref().map(WalFile::path);
        let start = segment.start(self.directory.segment_size());
        let durable = sync_archive_end(self.directory.path(), path.as_deref(), start)?;
        if let Some(file) = last.filter(WalFile::is_plain) {
            // An earlier error may have come right after its rename.
            self.sealer.completed(file.segment);
        }
        Ok(durable)
    }

    /// Writes bytes of the stream, which must continue at `position`. Completes the segments that
    /// become full.
    pub(super) fn write(&mut self, at: Lsn, bytes: &[u8]) -> Result<()> {
        if at != self.position {
            let expected = self.position;
            let message = format!("the server sent WAL from {at} on, not from {expected}");
            return Err(Error::new(ErrorKind::Protocol, message));
        }
        self.context.status.meters().wal_received(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = self.position;
            // What is sent again is acknowledged even if there is no room for more.
            let again = self.resent_until > at;
            let limit = if again {
                to_usize(self.resent_until.since(at))
            } else {
                rest.len()
            };
            let file = self.segment_for(at)?;
            let count = file.append(at, first(rest, limit.min(rest.len())));
            let full = file.is_full();
            let count = self.close_if_full(count)?;
            self.position = at.advance(to_u64(count));
            rest = after(rest, count);
            if full {
                self.complete()?;
            } else if again && self.position == self.resent_until {
                self.sync()?;
            }
        }
        Ok(())
    }

    fn segment_for(&mut self, at: Lsn) -> Result<&mut SegmentFile> {
        let file = match self.open.take() {
            Some(file) => file,
            None => {
                self.check_paths()?;
                let size = self.directory.segment_size();
                let segment = Segment::containing(self.timeline, at, size);
                let spare = self.take_spare();
                let file = self.open_segment(segment, spare)?;
                self.prepare_spare();
                if std::mem::take(&mut self.gap_expected) {
                    gaps::check_in_pool(&self.context, &self.repository, &self.directory);
                }
                file
            }
        };
        Ok(self.open.insert(file))
    }

    /// Completes the open segment, which is full.
    fn complete(&mut self) -> Result<()> {
        self.check_paths()?;
        let spare = self.take_spare();
        let Some(file) = &mut self.open else {
            return Ok(());
        };
        let segment = file.segment();
        let begun = Instant::now();
        let completed = file.complete(spare);
        self.context.status.meters().wal_flushed(begun.elapsed());
        let (durable, next) = self.close_if_full(completed)?;
        self.durable = durable;
        self.open = next;
        self.sealer.completed(segment);
        self.poll();
        self.prepare_spare();
        Ok(())
    }

    /// Whether written bytes are not synced yet.
    pub(super) fn is_dirty(&self) -> bool {
        self.open.as_ref().is_some_and(SegmentFile::is_dirty)
    }

    /// Syncs what was written.
    pub(super) fn sync(&mut self) -> Result<()> {
        if !self.is_dirty() {
            return Ok(());
        }
        if self.last_checked.elapsed() >= CHECK_INTERVAL {
            self.check_paths()?;
        }
        if let Some(file) = &mut self.open {
            let begun = Instant::now();
            let durable = file.sync();
            self.context.status.meters().wal_flushed(begun.elapsed());
            let durable = self.close_if_full(durable)?;
            if std::mem::take(&mut self.wal_start_allowed) {
                self.repository.clear_wal_start()?;
            }
            if self.position >= self.resent_until {
                self.durable = durable;
            }
        }
        Ok(())
    }

    /// The end of the WAL on stable storage.
    pub(super) fn durable(&self) -> Durable<Lsn> {
        self.durable
    }

    /// Drives sealing, and looks for room. Does not wait.
    pub(super) fn poll(&mut self) {
        self.sealer.poll();
        self.spare.poll();
    }

    /// Schedules a gap check for when the next segment is opened: there will be a gap before it.
    pub(super) fn expect_gap(&mut self) {
        self.gap_expected = true;
    }

    /// The spare segment, if ready. Where sealing lacks room it is removed: sealing makes more.
    fn take_spare(&mut self) -> Option<SpareSegment> {
        self.sealer.poll();
        let spare = self.spare.take();
        spare.filter(|_| !self.sealer.lacks_room())
    }

    /// Prepares a spare segment for the next segment switch, unless sealing lacks room.
    fn prepare_spare(&mut self) {
        if !self.sealer.lacks_room() {
            self.spare.prepare();
        }
    }

    /// Opens a segment. If there is no room for a whole one, after sealing has made some, it grows
    /// as it is written.
    fn open_segment(
        &mut self,
        segment: Segment,
        spare: Option<SpareSegment>,
    ) -> Result<SegmentFile> {
        let size = self.directory.segment_size();
        let path = self.directory.path();
        if self.sealer.lacks_room() {
            self.sealer.finish();
        }
        match SegmentFile::open(path, segment, size, spare) {
            Err(failure) if failure.kind() == ErrorKind::NoSpace => {}
            result => return result,
        }
        let spare = self.spare.wait();
        self.sealer.finish();
        match SegmentFile::open(path, segment, size, spare) {
            Err(failure) if failure.kind() == ErrorKind::NoSpace => {
                self.spare.has_no_room(&failure);
                SegmentFile::open_growing(path, segment, size)
            }
            result => result,
        }
    }

    /// Closes the open segment if there was no room for what was written or synced. It is opened
    /// again as after a restart, so that nothing counts as durable that is not validated.
    fn close_if_full<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(failure) = &result
            && failure.kind() == ErrorKind::NoSpace
        {
            self.spare.has_no_room(failure);
            if let Some(file) = self.open.take() {
                file.abandon()?;
            }
        }
        result
    }
}

/// Logs files in the directory that are no WAL: they are ignored, and not restored.
fn report_stray_files(server: &ServerName, directory: &WalDirectory) -> Result<()> {
    for path in directory.foreign_files()? {
        log::warn!(
            "server {server}: {} is not a file of a WAL archive and is ignored",
            path.display()
        );
    }
    Ok(())
}
