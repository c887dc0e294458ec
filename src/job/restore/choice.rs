//! Chooses the backup to restore.

use super::recovery_end::{
    Reachability, RecoverableRange, RecoveryEnd, TargetSearch, lsn_lies_before_end,
};
use super::recovery_target::{RecoveryTarget, TargetKind};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::format::TimelineHistory;
use crate::job::context::ServerContext;
use crate::job::replay::{
    Segments, TimelineChoice, choose_path, contains_backup, followed_history, target_history,
};
use crate::job::{authentic, info_check};
use crate::repository::{Backup, Manifest, Repository};
use crate::unit::Lsn;

/// The chosen backup, and where recovery from it will end.
pub(super) struct Choice {
    pub backup: Backup,
    pub manifest: Manifest,
    pub segments: Segments,
    pub recovery_end: RecoveryEnd,
    /// Warnings about the backup, for the user.
    pub warnings: Vec<String>,
}

impl Choice {
    /// Adds a warning if a newer backup was excluded because it is on another branch. Fails if its
    /// `backup.info` is wrong.
    fn warn_of_newer(&mut self, context: &ServerContext, excluded: Option<Backup>) -> Result<()> {
        let Some(newer) = excluded.filter(|left| left.label > self.backup.label) else {
            return Ok(());
        };
        info_check::check_passed_over(context, &newer)?;
        self.warnings.push(format!(
            "the backup {} is newer, but on another branch, on timeline {}; specify its label to \
             restore it",
            newer.label, newer.info.end.timeline
        ));
        Ok(())
    }
}

/// A search among the backups of a server.
struct BackupSearch<'a> {
    context: &'a ServerContext,
    target: &'a RecoveryTarget,
    segments: Segments,
    system_identifier: Option<u64>,
    /// The history of the target timeline, where that does not depend on the backup.
    target_history: Option<TimelineHistory>,
    /// Warnings about the backup that was searched last.
    warnings: Vec<String>,
}

/// Chooses the backup: the one that `identifier` names, or for `newest` the newest one that ends
/// before the target. Backups of branches that the server has left are excluded from `newest`.
/// Fails if the target cannot be reached.
pub(super) fn find(
    context: &ServerContext,
    identifier: &str,
    target: &RecoveryTarget,
) -> Result<Choice> {
    let repository = context.repository()?;
    let newest = matches!(identifier, "newest" | "latest");
    let named = repository.find(identifier)?;
    if !newest {
        named.check_readable()?;
    }
    if !named.info.valid {
        let message = format!("the backup {} is not valid", named.label);
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint("choose another one"));
    }
    let mut search = BackupSearch::new(context, &repository, &named, target)?;
    let mut others = repository.backups()?;
    others.retain(|backup| backup.info.valid && backup.label < named.label);
    if newest {
        others.push(named);
        return search.newest(others, None);
    }
    let kind = &target.kind;
    let start = named.info.start.lsn;
    let path = choose_path(
        &search.segments,
        &named.info,
        target.timeline,
        &context.stop,
    );
    let searched = path.ok().map(|path| (path, start));
    match search.search_backup(named, None)? {
        (backup, manifest, Reachability::Reachable(recovery_end)) => {
            search.build_choice(backup, manifest, recovery_end)
        }
        (_, _, Reachability::TooEarly(range)) => {
            let fits = search.newest(others, None).ok();
            let fits = fits.map(|choice| choice.backup.label);
            Err(range.too_early(kind, fits.as_ref()))
        }
        (_, _, Reachability::TooLate(range)) => {
            // A restore point or transaction may lie before the backup.
            let fits = is_found_in_wal_only(kind).then(|| search.newest(others, searched));
            match fits {
                Some(Ok(older)) => Err(range.too_early(kind, Some(&older.backup.label))),
                _ => Err(range.too_late(kind)),
            }
        }
    }
}

/// Whether the position of the target is unknown until it is found in WAL.
fn is_found_in_wal_only(target: &TargetKind) -> bool {
    matches!(target, TargetKind::Name(_) | TargetKind::Xid(_))
}

/// Why the target cannot be reached from any backup searched so far; `early` or `late` is of the
/// oldest one.
#[derive(Default)]
struct SearchErrors {
    early: Option<RecoverableRange>,
    late: Option<RecoverableRange>,
    other: Option<Error>,
}

impl SearchErrors {
    fn into_error(self, target: &TargetKind) -> Error {
        match (self.early, self.late, self.other) {
            (Some(early), _, _) => early.too_early(target, None),
            (None, Some(late), _) => late.too_late(target),
            (None, None, Some(failure)) => failure,
            (None, None, None) => Error::new(ErrorKind::NotFound, "there is no valid backup"),
        }
    }
}

impl<'a> BackupSearch<'a> {
    fn new(
        context: &'a ServerContext,
        repository: &Repository,
        named: &Backup,
        target: &'a RecoveryTarget,
    ) -> Result<BackupSearch<'a>> {
        let archive = repository.wal_for_backup(named, &context.daemon.key)?;
        let segments = Segments::new(archive, context.daemon.key.clone())
            .context("list the WAL archive")?
            .with_followed_timeline(repository.followed_timeline()?);
        Ok(BackupSearch {
            context,
            target,
            system_identifier: repository.system()?.map(|system| system.system_identifier),
            target_history: target_history(&segments, target.timeline, &context.stop)?,
            warnings: Vec::new(),
            segments,
        })
    }

    /// Whether the history of the target timeline contains a backup; `true` if that history is
    /// unknown.
    fn is_on_path(&self, backup: &Backup) -> bool {
        let history = self.target_history.as_ref();
        history.is_none_or(|history| contains_backup(history, &backup.info))
    }

    /// Removes the backups of other branches, unless there are no others. Returns the newest one
    /// removed.
    fn exclude_branches(&self, backups: &mut Vec<Backup>) -> Option<Backup> {
        if !backups.iter().any(|backup| self.is_on_path(backup)) {
            return None;
        }
        let left = backups.extract_if(.., |backup| !self.is_on_path(backup));
        left.last()
    }

    /// The newest of `backups`, which are sorted, from which the target can be reached. On the
    /// timeline path in `searched` the target is known not to lie after the position there.
    fn newest(
        mut self,
        mut backups: Vec<Backup>,
        mut searched: Option<(TimelineHistory, Lsn)>,
    ) -> Result<Choice> {
        let mut errors = SearchErrors::default();
        let excluded = self.exclude_branches(&mut backups);
        while let Some(backup) = backups.pop() {
            if !backups.is_empty() && lsn_lies_before_end(&backup, &self.target.kind) {
                continue;
            }
            if let Err(failure) = backup.check_readable() {
                if self.target.kind == TargetKind::Immediate {
                    // The end of an older backup is earlier.
                    return Err(failure);
                }
                errors.other.get_or_insert(failure);
                continue;
            }
            let (timeline, stop) = (self.target.timeline, &self.context.stop);
            let path = match choose_path(&self.segments, &backup.info, timeline, stop) {
                Ok(path) => path,
                Err(failure) => {
                    info_check::check_passed_over(self.context, &backup)?;
                    errors.other.get_or_insert(failure);
                    continue;
                }
            };
            if !backups.is_empty() && self.time_lies_before_end(&backup, &path)? {
                continue;
            }
            let same_path = searched.as_ref().filter(|(other, _)| *other == path);
            let until = same_path.map(|(_, lsn)| *lsn);
            let start = backup.info.start.lsn;
            match self.search_backup(backup, until)? {
                (backup, manifest, Reachability::Reachable(recovery_end)) => {
                    let context = self.context;
                    let mut choice = self.build_choice(backup, manifest, recovery_end)?;
                    choice.warn_of_newer(context, excluded)?;
                    return Ok(choice);
                }
                (_, _, Reachability::TooEarly(range)) => {
                    errors.late = None;
                    errors.early = Some(range);
                }
                (_, _, Reachability::TooLate(range)) => {
                    errors.early = None;
                    errors.late = Some(match errors.late.take() {
                        Some(newer) => newer.extended_to(range),
                        None => range,
                    });
                    // WAL ends at the same position for an older backup; but a restore point or a
                    // transaction may lie before this backup.
                    if !is_found_in_wal_only(&self.target.kind) {
                        break;
                    }
                    searched = Some((path, start));
                }
            }
        }
        Err(errors.into_error(&self.target.kind))
    }

    /// Whether the archived WAL proves that the target time lies before the end of a backup.
    fn time_lies_before_end(&mut self, backup: &Backup, path: &TimelineHistory) -> Result<bool> {
        self.segments.set_backup(backup, &[]);
        let over = self
            .target_search()
            .time_lies_before_end(backup, self.target, path);
        Ok(over.context("read the archived WAL")? == Some(true))
    }

    fn target_search(&self) -> TargetSearch<'_> {
        TargetSearch {
            segments: &self.segments,
            system_identifier: self.system_identifier,
            stop: &self.context.stop,
        }
    }

    fn search_backup(
        &mut self,
        backup: Backup,
        until: Option<Lsn>,
    ) -> Result<(Backup, Manifest, Reachability)> {
        self.warnings = authentic::check(self.context, &backup)?
            .into_iter()
            .collect();
        let manifest = backup
            .manifest(&self.context.daemon.key)
            .with_context(|| format!("open the backup {}", backup.label))?;
        info_check::check(self.context, &backup, &manifest)?;
        self.segments.set_backup(&backup, &manifest.wal);
        let reachability = self
            .target_search()
            .search(&backup, self.target, until)
            .context("read the archived WAL")?;
        Ok((backup, manifest, reachability))
    }

    fn build_choice(
        mut self,
        backup: Backup,
        manifest: Manifest,
        recovery_end: RecoveryEnd,
    ) -> Result<Choice> {
        if let Some(path) = &self.target_history
            && !self.is_on_path(&backup)
        {
            self.warnings.push(format!(
                "timeline {} does not descend from the backup {}: recovery ends on another branch, \
                 on timeline {}",
                path.timeline(),
                backup.label,
                recovery_end.history.timeline()
            ));
        }
        if let Some(failure) = self.cannot_follow_primary(&backup, &recovery_end)? {
            if self.target.has_fixed_timeline() {
                self.warnings.push(failure.message().to_owned());
            } else {
                return Err(failure);
            }
        }
        let beyond = self.beyond_switch_point(&backup, &recovery_end)?;
        self.warnings.extend(beyond);
        Ok(Choice {
            backup,
            manifest,
            segments: self.segments,
            recovery_end,
            warnings: self.warnings,
        })
    }

    /// A warning if recovery continues after the position where the server left the timeline,
    /// because no WAL of the next timeline was received.
    fn beyond_switch_point(
        &self,
        backup: &Backup,
        recovery_end: &RecoveryEnd,
    ) -> Result<Option<String>> {
        if self.target.timeline != TimelineChoice::Followed {
            return Ok(None);
        }
        let server = followed_history(&self.segments)?;
        let Some(server) = server.filter(|server| contains_backup(server, &backup.info)) else {
            return Ok(None);
        };
        let last = recovery_end.history.timeline();
        let left = server
            .end_of(last)
            .filter(|left| recovery_end.wal_end > *left);
        Ok(left.map(|left| {
            format!(
                "the server left timeline {last} at {left}, and of its timeline {} no WAL was \
                 received: recovery continues after that position, where lsn={left},inclusive=off \
                 would end",
                server.timeline()
            )
        }))
    }

    /// The error if a standby could not follow the server after the replay of the received WAL: the
    /// timeline of the server does not descend from the end of recovery.
    fn cannot_follow_primary(
        &self,
        backup: &Backup,
        recovery_end: &RecoveryEnd,
    ) -> Result<Option<Error>> {
        if !self.target.follows_primary() {
            return Ok(None);
        }
        let Some(server) = followed_history(&self.segments)? else {
            return Ok(None);
        };
        let last = recovery_end.history.timeline();
        let left = server.end_of(last);
        let descends = contains_backup(&server, &backup.info) && server.contains(last);
        let other_timeline = self.target.has_fixed_timeline() && server.timeline() != last;
        if descends && !other_timeline && left.is_none_or(|left| recovery_end.wal_end <= left) {
            return Ok(None);
        }
        let message = format!(
            "a standby from the backup {} cannot follow the server, which is on timeline {}: \
             recovery would end at {} of timeline {last}",
            backup.label,
            server.timeline(),
            recovery_end.wal_end,
        );
        Ok(Some(Error::new(ErrorKind::Unreachable, message).with_hint(
            "choose a backup that the timeline of the server descends from, as `newest` does; with \
             timeline=NUMBER the standby stays on that timeline",
        )))
    }
}
