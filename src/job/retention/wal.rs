//! Removes WAL that no backup needs.

use std::fs;

use super::followed_path::FollowedPath;
use super::pass::Pass;
use super::policy::{Clock, days_before};
use crate::error::{ErrorKind, Result};
use crate::job::authentic::Assessment;
use crate::repository::{BACKUP_WAL_DIRECTORY, Backup, NeededWal, Origin, PrunePlan, WalDirectory};
use crate::status::{Activity, Scope};
use crate::unit::{Lsn, Segment, SegmentSize, Timeline, WalPosition};

/// What became of the archived WAL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WalOutcome {
    /// How many files were removed, or are due in a dry run.
    pub files: usize,
    /// Why none, or not all of them, were removed.
    pub postponed: Option<String>,
    /// The timelines of which all WAL is kept, because what they descend from is not known.
    pub unknown: Vec<Timeline>,
}

/// Which WAL is not needed.
enum WalPlan {
    Prune(WalDirectory, PrunePlan),
    /// None is removed, for this reason; empty if there is no archive.
    Keep(String),
}

impl Pass<'_> {
    /// Removes the WAL that no backup needs, unless a backup is being taken or read. Ends early
    /// when another operation waits for it.
    pub(super) fn prune_wal(&self) -> Result<WalOutcome> {
        let guard = match self.status.begin(Activity::Retention, Scope::PruneWal) {
            Ok(guard) => guard,
            Err(failure) if failure.kind() == ErrorKind::Busy => {
                return Ok(WalOutcome::keep(failure.message().to_owned()));
            }
            Err(failure) => return Err(failure),
        };
        let (wal, plan) = match self.plan_wal(None)? {
            WalPlan::Prune(wal, plan) => (wal, plan),
            WalPlan::Keep(why) => return Ok(WalOutcome::keep(why)),
        };
        let mut delayed = false;
        let files = wal.prune(&plan, || {
            self.stop.check()?;
            delayed = guard.delays_others();
            Ok(!delayed)
        })?;
        Ok(WalOutcome {
            files,
            postponed: delayed.then(|| "another operation began".to_owned()),
            unknown: plan.unknown,
        })
    }

    /// What [`Pass::prune_wal`] would do if there were only the backups `kept`.
    pub(super) fn preview_wal(&self, kept: &[Backup]) -> Result<WalOutcome> {
        Ok(match self.plan_wal(Some(kept))? {
            WalPlan::Prune(_, plan) => WalOutcome {
                files: plan.files.len(),
                postponed: None,
                unknown: plan.unknown,
            },
            WalPlan::Keep(why) => WalOutcome::keep(why),
        })
    }

    fn plan_wal(&self, kept: Option<&[Backup]>) -> Result<WalPlan> {
        let Some(wal) = self.repository.wal()? else {
            return Ok(WalPlan::Keep(String::new()));
        };
        // Before the followed timeline is determined, see `plan_pruning`.
        let files = wal.files()?;
        let backups = match kept {
            Some(kept) => kept.to_vec(),
            None => self.repository.backups()?,
        };
        let needed = match self.needed(&wal, &backups)? {
            Ok(needed) => needed,
            Err(why) => return Ok(WalPlan::Keep(why)),
        };
        let plan = wal.plan_pruning(files, &needed)?;
        Ok(WalPlan::Prune(wal, plan))
    }

    /// The WAL that backups need; or why that is not known.
    fn needed(
        &self,
        wal: &WalDirectory,
        backups: &[Backup],
    ) -> Result<std::result::Result<NeededWal, String>> {
        if let Some(unreadable) = backups.iter().find(|backup| backup.is_unreadable()) {
            let label = &unreadable.label;
            return Ok(Err(format!(
                "the backup {label} cannot be read now, so that the WAL that it needs is not known"
            )));
        }
        let valid = backups
            .iter()
            .filter(|backup| (self.assess)(backup) == Assessment::Restorable);
        let valid: Vec<&Backup> = valid.collect();
        if valid.is_empty() {
            return Ok(Err("there is no valid backup".to_owned()));
        }
        let mut followed: Vec<Timeline> =
            self.repository.followed_timeline()?.into_iter().collect();
        followed.extend(self.status.receiver().timeline);
        let window = self.window(&valid, &FollowedPath::of(self.repository)?);
        let mut needed = NeededWal {
            followed,
            ..NeededWal::default()
        };
        for backup in backups {
            let Some(start) = start(backup, wal.segment_size()) else {
                if (self.assess)(backup) == Assessment::NotRestorable {
                    continue;
                }
                let label = &backup.label;
                return Ok(Err(format!(
                    "the WAL that the backup {label} needs is not known"
                )));
            };
            if window.is_none_or(|window| backup.label >= window.label) {
                needed.from.push(start);
            } else if !has_own_wal(backup) {
                needed.ranges.push((start, backup.info.end));
            }
        }
        Ok(Ok(needed))
    }

    /// The oldest backup of `valid` from which any later point in time can be recovered: the newest
    /// one before the last `wal_retention` days that is on the path to the timeline of the server.
    /// `None` if that is the oldest one of all, or not known.
    fn window<'b>(&self, valid: &[&'b Backup], path: &FollowedPath) -> Option<&'b Backup> {
        let (now, clock) = self.now;
        let is_future = |backup: &&Backup| backup.label.time().is_some_and(|time| time > now);
        let unsure = clock == Clock::Jumped || !path.is_known() || valid.iter().any(is_future);
        if self.wal_retention == 0 || unsure {
            return None;
        }
        let begin = days_before(now, self.wal_retention)?;
        let mut newest_first = valid.iter().rev();
        let found = newest_first.find(|backup| {
            let time = backup.label.time();
            time.is_some_and(|time| time < begin) && path.contains(backup)
        });
        found.copied()
    }
}

impl WalOutcome {
    /// Why WAL is kept that no backup may need, if some is.
    pub(crate) fn reason(&self) -> Option<String> {
        let postponed = self.postponed.clone();
        postponed.or_else(|| self.unknown_timelines())
    }

    /// Why all WAL of some timelines is kept, if it is.
    pub(super) fn unknown_timelines(&self) -> Option<String> {
        let names = self.unknown.iter().map(|timeline| timeline.history_name());
        let names: Vec<String> = names.collect();
        let names = Some(names.join(", ")).filter(|names| !names.is_empty())?;
        Some(format!(
            "all WAL of the timelines of {names} is kept: these files are missing or damaged"
        ))
    }

    fn keep(why: String) -> WalOutcome {
        WalOutcome {
            postponed: Some(why).filter(|why| !why.is_empty()),
            ..WalOutcome::default()
        }
    }
}

/// Where the WAL begins that a backup needs; `None` if unknown.
fn start(backup: &Backup, size: SegmentSize) -> Option<WalPosition> {
    let info = &backup.info;
    let first = Segment::parse(&info.wal, size);
    let first = first.map(|first| first.timeline.at(first.start(size)));
    if info.start.lsn == Lsn::ZERO {
        return first;
    }
    let same_timeline = first.filter(|first| first.timeline == info.start.timeline);
    Some(match same_timeline {
        Some(first) => info.start.timeline.at(first.lsn.min(info.start.lsn)),
        None => info.start,
    })
}

/// Whether the WAL that makes a backup consistent is stored with it. Not known for a backup of the
/// C program.
fn has_own_wal(backup: &Backup) -> bool {
    let stored = || fs::read_dir(backup.path.join(BACKUP_WAL_DIRECTORY));
    backup.origin == Origin::Own && stored().is_ok_and(|mut entries| entries.next().is_some())
}
