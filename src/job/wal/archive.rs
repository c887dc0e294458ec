//! The writing end of a WAL archive.

use std::time::{Duration, Instant};

use super::gaps::GapWatch;
use super::proof::Proof;
use super::sealer::Sealer;
use crate::error::{Failure, Kind, Result};
use crate::format::TimelineHistory;
use crate::job::context::Context;
use crate::job::replay::Segments;
use crate::pool::Ticket;
use crate::repository::{Repository, WalDirectory, WalEnd, WalFile};
use crate::storage::{Durable, SegmentFile, Spare, nothing_durable, prove_end};
use crate::unit::{Lsn, Segment, SegmentSize, ServerName, Timeline};

/// How old the last look at whether the archive is in its place may be when something is acknowledged.
const LOOK: Duration = Duration::from_secs(1);

/// The WAL archive of a server as its receiver holds it, over all connections: the open segment, the one prepared to
/// follow it, and those that are being sealed. There is one writer of an archive.
pub(super) struct Archive {
    context: Context,
    server: ServerName,
    directory: WalDirectory,
    timeline: Timeline,
    open: Option<SegmentFile>,
    spare: Option<Ticket<Result<Spare>>>,
    durable: Durable<Lsn>,
    /// Where the next byte of the stream belongs.
    position: Lsn,
    /// Up to here the stream repeats what is on stable storage already. It may come from a server that does not have the
    /// same: nothing is acknowledged to it before it has sent that.
    repeats: Lsn,
    sealer: Sealer,
    gaps: GapWatch,
    /// Whether to look for gaps when the next segment is begun.
    gap_expected: bool,
    repository: Repository,
    /// Whether it is noted that the archive may begin, which it does with the first bytes on stable storage.
    beginning: bool,
    /// When the archive was in its place.
    looked: Instant,
}

impl Archive {
    /// Takes the archive over: clears what a crash left, sees to unsealed segments, looks for gaps.
    pub(super) fn open(
        context: &Context,
        server: &ServerName,
        repository: &Repository,
        size: SegmentSize,
    ) -> Result<Archive> {
        let directory = repository.wal_of(size);
        directory.sweep()?;
        tell_strays(server, &directory)?;
        let mut archive = Archive {
            context: context.clone(),
            server: server.clone(),
            gaps: GapWatch::new(context, server, repository, &directory),
            sealer: Sealer::new(context, server, &directory),
            directory,
            timeline: Timeline::FIRST,
            open: None,
            spare: None,
            durable: nothing_durable(),
            position: Lsn::ZERO,
            repeats: Lsn::ZERO,
            gap_expected: false,
            repository: repository.clone(),
            beginning: true,
            looked: Instant::now(),
        };
        archive.sealer.recover()?;
        archive.gaps.tend();
        Ok(archive)
    }

    /// Whether it is still the archive of that repository, the very directories.
    pub(super) fn is_of(&self, repository: &Repository) -> bool {
        self.repository.places().same(repository.places())
    }

    /// Checks that what is written next gets to where the rest is.
    pub(super) fn check_place(&mut self) -> Result<()> {
        self.directory.check_place()?;
        self.looked = Instant::now();
        Ok(())
    }

    /// As [`Archive::check_place`], and that the open segment is in it too.
    pub(super) fn check_open(&mut self) -> Result<()> {
        self.check_place()?;
        let open = self.open.as_mut();
        open.map_or(Ok(()), SegmentFile::check_there)
    }

    /// Where the next byte of the stream belongs.
    pub(super) fn position(&self) -> Lsn {
        self.position
    }

    pub(super) fn directory(&self) -> &WalDirectory {
        &self.directory
    }

    /// The start of the segment in which a position lies.
    pub(super) fn segment_start(&self, position: Lsn) -> Lsn {
        let size = self.directory.segment_size();
        Segment::containing(self.timeline, position, size).start(size)
    }

    /// Lets go of the open segment when its timeline has ended: it stays partial.
    pub(super) fn leave_timeline(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), SegmentFile::leave)
    }

    /// Where the archive ends on the way that `history` describes. An open segment that is there from before is taken over
    /// first, and what is in it proven.
    pub(super) fn end_along(&mut self, history: &TimelineHistory) -> Result<Option<WalEnd>> {
        let Some(mut end) = self.directory.end_along(history)? else {
            return Ok(None);
        };
        let segment = end.file.segment;
        let is_open = |file: &SegmentFile| file.segment() == segment;
        if end.file.partial && !self.open.as_ref().is_some_and(is_open) {
            self.take_over(segment, &history.to(segment.timeline))?;
        }
        if let Some(file) = self.open.as_ref().filter(|file| is_open(file)) {
            end.received = file.known();
        }
        Ok(Some(end))
    }

    /// Opens a segment that is there from before. What is in it need not be received again as far as it proves itself.
    fn take_over(&mut self, segment: Segment, history: &TimelineHistory) -> Result<()> {
        self.check_place()?;
        if let Some(other) = self.open.take() {
            other.leave()?;
        }
        let size = self.directory.segment_size();
        let mut file = SegmentFile::open(self.directory.path(), segment, size, None)?;
        let received = file.received();
        if received > segment.start(size) {
            file.prove(|| self.proven_end(segment, received, history))?;
        }
        self.open = Some(file);
        Ok(())
    }

    /// Up to where a segment holds what the server wrote, if that can be told.
    fn proven_end(
        &self,
        segment: Segment,
        received: Lsn,
        history: &TimelineHistory,
    ) -> Result<Option<Lsn>> {
        let (server, name) = (&self.server, segment.name(self.directory.segment_size()));
        let segments = Segments::new(self.directory.clone(), self.context.key.clone())?;
        let proof = Proof {
            segments: &segments,
            history,
            segment,
            stop: &self.context.stop,
        };
        match proof.run() {
            Ok(proven) => {
                let proven = proven.as_ref();
                if let Some((end, (why, page_end))) =
                    proven.and_then(|proven| Some((proven.end, proven.ending.as_ref()?)))
                    && received > *page_end
                {
                    log::warn!(
                        "server {server}: WAL segment {name} is damaged behind {end}, it is received again from there: {why}"
                    );
                }
                Ok(proven.map(|proven| proven.end))
            }
            Err(failure) if failure.kind() == Kind::Stopped => Err(failure),
            Err(failure) => {
                log::warn!(
                    "server {server}: WAL segment {name} is received again, since what is there cannot be proven: {failure}"
                );
                Ok(None)
            }
        }
    }

    /// Gets ready to receive from `position`, the start of a segment, on `timeline`, which the server has `left` there if
    /// it has; where to begin really, which is later where enough of the segment is proven already.
    pub(super) fn begin(
        &mut self,
        timeline: Timeline,
        position: Lsn,
        left: Option<Lsn>,
    ) -> Result<Lsn> {
        self.check_place()?;
        self.beginning = self.repository.may_begin();
        self.tend();
        self.timeline = timeline;
        let segment = Segment::containing(timeline, position, self.directory.segment_size());
        if let Some(other) = self.open.take_if(|file| file.segment() != segment) {
            other.leave()?;
        }
        let before = self.prove_before(segment)?;
        (self.position, self.repeats) = match &mut self.open {
            Some(file) => {
                if file.has_failed() {
                    file.start_over()?;
                }
                file.rewind(left)
            }
            None => (position, position),
        };
        // Behind a gap what is there before proves nothing.
        self.durable = if self.position < self.repeats || self.gap_expected {
            nothing_durable()
        } else {
            before
        };
        self.prepare_spare();
        Ok(self.position)
    }

    /// Proves all that comes before a segment.
    fn prove_before(&mut self, segment: Segment) -> Result<Durable<Lsn>> {
        let (timeline, before) = (segment.timeline, segment.number.checked_sub(1));
        let last = match before.map(|number| Segment { timeline, number }) {
            Some(before) => self.directory.find(before)?,
            None => None,
        };
        let last = last.filter(|file| !file.partial);
        let path = last.as_ref().map(|file| file.path.as_path());
        let start = segment.start(self.directory.segment_size());
        let durable = prove_end(self.directory.path(), path, start)?;
        if let Some(file) = last.filter(WalFile::is_plain) {
            // It may have got its name at the moment when something failed.
            self.sealer.completed(file.segment);
        }
        Ok(durable)
    }

    /// Writes bytes of the stream, which must go on where it was. Segments that get full on the way are completed.
    pub(super) fn write(&mut self, at: Lsn, bytes: &[u8]) -> Result<()> {
        if at != self.position {
            let expected = self.position;
            let message = format!("the server sent WAL from {at} on, not from {expected}");
            return Err(Failure::new(Kind::Protocol, message));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = self.position;
            let file = self.segment_for(at)?;
            let count = file.append(at, rest)?;
            let full = file.is_full();
            self.position = at.advance(u64::try_from(count).unwrap_or(u64::MAX));
            rest = rest.get(count..).unwrap_or_default();
            if full {
                self.complete()?;
            }
        }
        Ok(())
    }

    fn segment_for(&mut self, at: Lsn) -> Result<&mut SegmentFile> {
        let file = match self.open.take() {
            Some(file) => file,
            None => {
                self.check_place()?;
                let size = self.directory.segment_size();
                let segment = Segment::containing(self.timeline, at, size);
                let spare = self.take_spare();
                let file = SegmentFile::open(self.directory.path(), segment, size, spare)?;
                self.prepare_spare();
                if std::mem::take(&mut self.gap_expected) {
                    self.gaps.hurry();
                    self.gaps.tend();
                }
                file
            }
        };
        Ok(self.open.insert(file))
    }

    /// Ends the open segment, which is full.
    fn complete(&mut self) -> Result<()> {
        self.check_place()?;
        let spare = self.take_spare();
        let Some(file) = &mut self.open else {
            return Ok(());
        };
        let segment = file.segment();
        let (durable, next) = file.complete(spare)?;
        self.durable = durable;
        self.open = next;
        self.prepare_spare();
        self.sealer.completed(segment);
        self.tend();
        Ok(())
    }

    /// Whether bytes wait for a sync.
    pub(super) fn is_dirty(&self) -> bool {
        self.open.as_ref().is_some_and(SegmentFile::is_dirty)
    }

    /// Brings what was written to stable storage.
    pub(super) fn sync(&mut self) -> Result<()> {
        if !self.is_dirty() {
            return Ok(());
        }
        if self.looked.elapsed() >= LOOK {
            self.check_place()?;
        }
        if let Some(file) = &mut self.open {
            let durable = file.sync()?;
            if std::mem::take(&mut self.beginning) {
                self.repository.end_beginning()?;
            }
            if self.position >= self.repeats {
                self.durable = durable;
            }
        }
        Ok(())
    }

    /// The proof for what is on stable storage.
    pub(super) fn durable(&self) -> Durable<Lsn> {
        self.durable
    }

    /// Does what needs to be done now and then.
    pub(super) fn tend(&mut self) {
        self.sealer.poll();
        self.gaps.tend();
    }

    /// Looks for missing segments once more when the next one is begun: there will be a gap before it.
    pub(super) fn expect_gap(&mut self) {
        self.gap_expected = true;
    }

    /// Has a spare segment made by the pool, so that the next switch finds it ready.
    fn prepare_spare(&mut self) {
        if self.spare.is_none() {
            let directory = self.directory.clone();
            let make = move || {
                directory.check_place()?;
                Spare::prepare(directory.path(), directory.segment_size())
            };
            self.spare = Some(self.context.pool.post(make));
        }
    }

    /// The spare segment if it is ready.
    fn take_spare(&mut self) -> Option<Spare> {
        if !self.spare.as_ref()?.is_done() {
            return None;
        }
        let result = self.spare.take()?.wait().and_then(|result| result);
        // Where this failed, making the segment itself fails as well, and that is reported.
        result
            .inspect_err(|failure| log::debug!("server {}: {failure}", self.server))
            .ok()
    }
}

/// Names what lies in the directory and is no WAL: it is left alone, and not restored.
fn tell_strays(server: &ServerName, directory: &WalDirectory) -> Result<()> {
    for path in directory.strays()? {
        log::warn!(
            "server {server}: {} is no file of a WAL archive: it is left alone, and nothing is done with it",
            path.display()
        );
    }
    Ok(())
}
