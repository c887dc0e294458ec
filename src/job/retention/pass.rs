//! Removes the backups of a server that the policy does not keep.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::followed_path::FollowedPath;
use super::policy::{BackupFacts, Clock, Decision, KeepReason, Policy, Validity, decide};
use crate::error::{ErrorKind, Result};
use crate::job::authentic::Assessment;
use crate::repository::{Backup, INFO, Repository};
use crate::status::{Activity, Scope, ServerState};
use crate::sys::Stop;
use crate::unit::Label;

/// What a run of retention works with.
pub(super) struct Pass<'a> {
    pub status: &'a Arc<ServerState>,
    pub repository: &'a Repository,
    pub policy: Policy,
    /// For how many days any point in time can be recovered; 0 is as long as the oldest backup is
    /// kept.
    pub wal_retention: u32,
    /// The local time, and whether it can be trusted.
    pub now: (DateTime, Clock),
    /// What is known of a backup without reading its files.
    pub assess: &'a dyn Fn(&Backup) -> Assessment,
    pub stop: &'a Stop,
}

/// A backup, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackupOutcome {
    pub label: Label,
    pub decision: Decision,
    pub removal: Removal,
}

/// Whether a backup was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is kept.
    Kept,
    /// It is to be removed.
    Due,
    /// It was removed.
    Removed,
    /// It is in use, and left for the next run.
    Postponed(String),
    /// It could not be removed.
    Failed(String),
}

/// A backup, the policy's decision on it, and what it is based on.
pub(super) struct Planned {
    pub backup: Backup,
    pub decision: Decision,
    parent: Option<Label>,
}

impl Planned {
    fn expires(&self) -> bool {
        matches!(self.decision, Decision::Expire(_))
    }
}

impl Pass<'_> {
    /// The decision on each backup, oldest first.
    pub(super) fn plan(&self) -> Result<Vec<Planned>> {
        let backups = self.repository.backups()?;
        let path = FollowedPath::of(self.repository)?;
        let facts = backups.iter().map(|one| self.facts(one, &path));
        let facts: Vec<BackupFacts> = facts.collect();
        let decisions = decide(&facts, self.now, &self.policy);
        let all = backups.into_iter().zip(facts).zip(decisions);
        let planned = all.map(|((backup, facts), decision)| Planned {
            backup,
            decision,
            parent: facts.parent,
        });
        Ok(planned.collect())
    }

    /// Removes all backups that are due, oldest first, but an incremental one before the one on
    /// which it is based. The policy decides anew before each removal: another backup may have
    /// become invalid, or been retained.
    pub(super) fn expire(&self) -> Result<Vec<BackupOutcome>> {
        let mut attempted: BTreeMap<Label, BackupOutcome> = BTreeMap::new();
        loop {
            self.stop.check()?;
            let plan = self.plan()?;
            let is_base = |label: &Label| {
                let mut parents = plan.iter().filter_map(|other| other.parent.as_ref());
                parents.any(|parent| parent == label)
            };
            let next = plan.iter().find(|one| {
                let label = &one.backup.label;
                one.expires() && !attempted.contains_key(label) && !is_base(label)
            });
            let Some(next) = next else {
                return Ok(outcomes(&plan, attempted));
            };
            let outcome = BackupOutcome {
                label: next.backup.label.clone(),
                decision: next.decision.clone(),
                removal: self.remove(&next.backup)?,
            };
            attempted.insert(outcome.label.clone(), outcome);
        }
    }

    fn facts(&self, backup: &Backup, path: &FollowedPath) -> BackupFacts {
        let info = &backup.info;
        let validity = match (backup.is_unreadable(), (self.assess)(backup)) {
            (true, _) => Validity::Unreadable,
            (false, Assessment::Restorable) => Validity::Valid,
            (false, Assessment::Untrusted) => Validity::Untrusted,
            (false, Assessment::Suspect) => Validity::Suspect,
            (false, Assessment::NotRestorable) => Validity::Invalid(changed(backup)),
        };
        BackupFacts {
            label: backup.label.clone(),
            validity,
            retained: info.keep,
            parent: info.parent.as_deref().and_then(|label| label.parse().ok()),
            on_path: path.contains(backup),
        }
    }

    fn remove(&self, backup: &Backup) -> Result<Removal> {
        let scope = Scope::Change(backup.label.clone());
        let removed = self
            .status
            .begin(Activity::Retention, scope)
            .and_then(|_guard| self.repository.remove_backup(backup, self.stop));
        match removed {
            Ok(()) => Ok(Removal::Removed),
            Err(failure) => match failure.kind() {
                ErrorKind::Stopped => Err(failure),
                ErrorKind::Busy => Ok(Removal::Postponed(failure.message().to_owned())),
                _ => Ok(Removal::Failed(failure.message_with_hint())),
            },
        }
    }
}

/// The backups of the last plan and those that were removed, oldest first.
fn outcomes(plan: &[Planned], mut attempted: BTreeMap<Label, BackupOutcome>) -> Vec<BackupOutcome> {
    for one in plan {
        let label = one.backup.label.clone();
        let removal = if one.expires() {
            Removal::Postponed("a backup that is based on it could not be removed".to_owned())
        } else {
            Removal::Kept
        };
        let outcome = BackupOutcome {
            label: label.clone(),
            decision: one.decision.clone(),
            removal,
        };
        attempted.entry(label).or_insert(outcome);
    }
    attempted.into_values().collect()
}

/// What a run would do.
pub(super) fn due(plan: &[Planned]) -> Vec<BackupOutcome> {
    let outcome = |one: &Planned| BackupOutcome {
        label: one.backup.label.clone(),
        decision: one.decision.clone(),
        removal: if one.expires() {
            Removal::Due
        } else {
            Removal::Kept
        },
    };
    plan.iter().map(outcome).collect()
}

impl BackupOutcome {
    /// Why nothing expires, if that is the clock.
    pub(super) fn clock_problem(&self) -> Option<&KeepReason> {
        match &self.decision {
            Decision::Keep(reason @ (KeepReason::FutureBackup(_) | KeepReason::ClockJumped)) => {
                Some(reason)
            }
            _ => None,
        }
    }
}

/// The local time of the last change of `backup.info`, or of the names in the directory.
fn changed(backup: &Backup) -> Option<DateTime> {
    let paths = [backup.path.join(INFO), backup.path.clone()];
    let found = paths.iter().filter_map(|path| path.symlink_metadata().ok());
    let changed = jiff::Timestamp::from_second(found.map(|found| found.mtime()).max()?).ok()?;
    Some(changed.to_zoned(TimeZone::system()).datetime())
}
