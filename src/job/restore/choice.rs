//! Which backup is restored.

use super::position::{Position, Target};
use super::reach::{Interval, Reach, Reader, Verdict, lies_before};
use crate::config::Server;
use crate::error::{Context as _, Failure, Kind, Result};
use crate::format::TimelineHistory;
use crate::job::authentic;
use crate::job::context::Context;
use crate::job::replay::{
    Segments, TimelineChoice, choose, followed_history, holds, target_history,
};
use crate::repository::{Backup, Manifest, Repository};
use crate::unit::Lsn;

/// A backup, and the proof that the target can be reached from it.
pub(super) struct Choice {
    pub backup: Backup,
    pub manifest: Manifest,
    pub segments: Segments,
    pub reach: Reach,
    /// What a person must know of the backup.
    pub warnings: Vec<String>,
}

impl Choice {
    /// Says which newer backup was left out because it lies on another branch.
    fn warn_of_newer(&mut self, left_out: Option<Backup>) {
        let newer = left_out.filter(|left| left.label > self.backup.label);
        self.warnings.extend(newer.map(|newer| {
            format!(
                "the backup {} is newer, but of another branch, on timeline {}; name it to restore it",
                newer.label, newer.info.end.0
            )
        }));
    }
}

/// What is known of the backups of a server.
struct Search<'a> {
    context: &'a Context,
    position: &'a Position,
    segments: Segments,
    system_identifier: Option<u64>,
    /// The way to the timeline that is to be reached, where that does not depend on the backup.
    target_history: Option<TimelineHistory>,
    /// Of the backup that was looked at last.
    warnings: Vec<String>,
}

/// Chooses the backup: the one that is named, or where the newest is asked for, the newest one whose end lies before the
/// target. One of a branch that the server has left is not the newest: its data were given up. Fails if the target cannot
/// be reached.
pub(super) fn find(
    context: &Context,
    server: &Server,
    identifier: &str,
    position: &Position,
) -> Result<Choice> {
    let repository = context.repository(&server.name)?;
    let newest = matches!(identifier, "newest" | "latest");
    let named = repository.find(identifier)?;
    if !newest {
        named.check_readable()?;
    }
    if !named.info.valid {
        let message = format!("the backup {} is not valid", named.label);
        return Err(Failure::new(Kind::Corrupt, message).hint("choose another one"));
    }
    let mut search = Search::new(context, &repository, &named, position)?;
    let mut others = repository.backups()?;
    others.retain(|backup| backup.info.valid && backup.label < named.label);
    if newest {
        others.push(named);
        return search.newest(others, None);
    }
    let target = &position.target;
    let start = named.info.start.1;
    let way = choose(
        &search.segments,
        &named.info,
        position.timeline,
        &context.stop,
    );
    let searched = way.ok().map(|way| (way, start));
    match search.look(named, None)? {
        (backup, manifest, Verdict::Reached(reach)) => search.chosen(backup, manifest, reach),
        (_, _, Verdict::TooEarly(interval)) => {
            let fits = search.newest(others, None).ok();
            let fits = fits.map(|choice| choice.backup.label);
            Err(interval.too_early(target, fits.as_ref()))
        }
        (_, _, Verdict::TooLate(interval)) => {
            // What has a name may be before the backup.
            let fits = is_named(target).then(|| search.newest(others, searched));
            match fits {
                Some(Ok(older)) => Err(interval.too_early(target, Some(&older.backup.label))),
                _ => Err(interval.too_late(target)),
            }
        }
    }
}

/// Whether only WAL can say where the target is.
fn is_named(target: &Target) -> bool {
    matches!(target, Target::Name(_) | Target::Xid(_))
}

/// Why the target cannot be reached from any backup so far; from the oldest of them, it is too early or too late.
#[derive(Default)]
struct Refusals {
    early: Option<Interval>,
    late: Option<Interval>,
    other: Option<Failure>,
}

impl Refusals {
    fn failure(self, target: &Target) -> Failure {
        match (self.early, self.late, self.other) {
            (Some(early), _, _) => early.too_early(target, None),
            (None, Some(late), _) => late.too_late(target),
            (None, None, Some(failure)) => failure,
            (None, None, None) => Failure::new(Kind::NotFound, "there is no valid backup"),
        }
    }
}

impl<'a> Search<'a> {
    fn new(
        context: &'a Context,
        repository: &Repository,
        named: &Backup,
        position: &'a Position,
    ) -> Result<Search<'a>> {
        let archive = repository.wal_for(named)?;
        let segments = Segments::new(archive, context.key.clone())
            .context("list the WAL archive")?
            .following(repository.followed_timeline()?);
        Ok(Search {
            context,
            position,
            system_identifier: repository.system()?.map(|system| system.system_identifier),
            target_history: target_history(&segments, position.timeline, &context.stop)?,
            warnings: Vec::new(),
            segments,
        })
    }

    /// Whether a backup lies on the way to the timeline that is to be reached, as far as that is known.
    fn is_on_the_way(&self, backup: &Backup) -> bool {
        let history = self.target_history.as_ref();
        history.is_none_or(|history| holds(history, &backup.info))
    }

    /// Leaves out the backups of other branches, unless there are no others. The newest that was left out.
    fn leave_out_branches(&self, backups: &mut Vec<Backup>) -> Option<Backup> {
        if !backups.iter().any(|backup| self.is_on_the_way(backup)) {
            return None;
        }
        let left = backups.extract_if(.., |backup| !self.is_on_the_way(backup));
        left.last()
    }

    /// The newest of `backups`, which are sorted, from which the target can be reached. On the way `searched` the target
    /// is known not to be behind that position.
    fn newest(
        mut self,
        mut backups: Vec<Backup>,
        mut searched: Option<(TimelineHistory, Lsn)>,
    ) -> Result<Choice> {
        let mut refusals = Refusals::default();
        let left_out = self.leave_out_branches(&mut backups);
        while let Some(backup) = backups.pop() {
            if !backups.is_empty() && lies_before(&backup, &self.position.target) {
                continue;
            }
            if let Err(failure) = backup.check_readable() {
                if self.position.target == Target::Immediate {
                    // An older one would end earlier.
                    return Err(failure);
                }
                refusals.other.get_or_insert(failure);
                continue;
            }
            let (timeline, stop) = (self.position.timeline, &self.context.stop);
            let way = match choose(&self.segments, &backup.info, timeline, stop) {
                Ok(way) => way,
                Err(failure) => {
                    refusals.other.get_or_insert(failure);
                    continue;
                }
            };
            if !backups.is_empty() && self.is_over(&backup, &way)? {
                continue;
            }
            let on_way = searched.as_ref().filter(|(other, _)| *other == way);
            let until = on_way.map(|(_, position)| *position);
            let start = backup.info.start.1;
            match self.look(backup, until)? {
                (backup, manifest, Verdict::Reached(reach)) => {
                    let mut choice = self.chosen(backup, manifest, reach)?;
                    choice.warn_of_newer(left_out);
                    return Ok(choice);
                }
                (_, _, Verdict::TooEarly(interval)) => {
                    refusals.late = None;
                    refusals.early = Some(interval);
                }
                (_, _, Verdict::TooLate(interval)) => {
                    refusals.early = None;
                    refusals.late = Some(match refusals.late.take() {
                        Some(newer) => newer.joined(interval),
                        None => interval,
                    });
                    // An older backup reaches no further; but what has a name may be further back.
                    if !is_named(&self.position.target) {
                        break;
                    }
                    searched = Some((way, start));
                }
            }
        }
        Err(refusals.failure(&self.position.target))
    }

    /// Whether the archive shows that the time that is the target lies before the end of a backup.
    fn is_over(&mut self, backup: &Backup, way: &TimelineHistory) -> Result<bool> {
        self.segments.keep(backup, &[]);
        let over = self.reader().is_over(backup, self.position, way);
        Ok(over.context("read the archived WAL")? == Some(true))
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            segments: &self.segments,
            system_identifier: self.system_identifier,
            stop: &self.context.stop,
        }
    }

    fn look(&mut self, backup: Backup, until: Option<Lsn>) -> Result<(Backup, Manifest, Verdict)> {
        self.warnings = authentic::check(self.context, &backup)?
            .into_iter()
            .collect();
        let manifest = backup
            .manifest()
            .with_context(|| format!("open the backup {}", backup.label))?;
        self.segments.keep(&backup, &manifest.wal);
        let verdict = self
            .reader()
            .look(&backup, self.position, until)
            .context("read the archived WAL")?;
        Ok((backup, manifest, verdict))
    }

    fn chosen(mut self, backup: Backup, manifest: Manifest, reach: Reach) -> Result<Choice> {
        if let Some(way) = &self.target_history
            && !self.is_on_the_way(&backup)
        {
            self.warnings.push(format!(
                "the backup {} does not lie on the way to timeline {}: recovery ends on another branch, on timeline {}",
                backup.label,
                way.timeline(),
                reach.history.timeline()
            ));
        }
        if let Some(failure) = self.cannot_follow(&backup, &reach)? {
            if self.position.stays() {
                self.warnings.push(failure.message().to_owned());
            } else {
                return Err(failure);
            }
        }
        let beyond = self.beyond(&backup, &reach)?;
        self.warnings.extend(beyond);
        Ok(Choice {
            backup,
            manifest,
            segments: self.segments,
            reach,
            warnings: self.warnings,
        })
    }

    /// What to say where recovery goes on beyond the place where the server left the timeline, since no WAL was received of
    /// the one that it went to.
    fn beyond(&self, backup: &Backup, reach: &Reach) -> Result<Option<String>> {
        if self.position.timeline != TimelineChoice::Followed {
            return Ok(None);
        }
        let server = followed_history(&self.segments)?;
        let Some(server) = server.filter(|server| holds(server, &backup.info)) else {
            return Ok(None);
        };
        let last = reach.history.timeline();
        let left = server.end_of(last).filter(|left| reach.needed > *left);
        Ok(left.map(|left| {
            format!(
                "the server left timeline {last} at {left}, and of its timeline {} no WAL was received: recovery goes on beyond \
                 that place, where lsn={left},inclusive=off would end",
                server.timeline()
            )
        }))
    }

    /// Why a standby that goes on when it has replayed what was received finds nothing to go on with: the server is on a
    /// timeline that does not come from there.
    fn cannot_follow(&self, backup: &Backup, reach: &Reach) -> Result<Option<Failure>> {
        if !self.position.goes_on() {
            return Ok(None);
        }
        let Some(server) = followed_history(&self.segments)? else {
            return Ok(None);
        };
        let last = reach.history.timeline();
        let left = server.end_of(last);
        let comes = holds(&server, &backup.info) && server.contains(last);
        let stays = self.position.stays() && server.timeline() != last;
        if comes && !stays && left.is_none_or(|left| reach.needed <= left) {
            return Ok(None);
        }
        let message = format!(
            "a standby from the backup {} cannot follow the server, which is on timeline {}: recovery would end at {} of timeline \
             {last}",
            backup.label,
            server.timeline(),
            reach.needed,
        );
        Ok(Some(Failure::new(Kind::Unreachable, message).hint(
            "choose a backup on the way to the timeline of the server, as `newest` does; with timeline=NUMBER a standby of that \
             timeline is made",
        )))
    }
}
