//! Runs one verification.

use std::sync::Arc;

use super::files;
use super::proof::Proof;
use super::reading::{PacedReading, Reading};
use super::{FileReport, Options, Outcome, wal};
use crate::error::{ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::job::{authentic, info_check};
use crate::repository::{Backup, MANIFEST, Manifest, Origin, Repository};
use crate::status::{Activity, Progress, Scope};
use crate::storage;
use crate::sys::drop_page_cache;
use crate::unit::{Label, Timestamp};

/// Verifies a backup of `server`; its problems are in the outcome. Fails if there is no such
/// backup, or on errors that are not of the backup.
pub fn run(context: &ServerContext, options: &Options) -> Result<Outcome> {
    let guard = context.status.begin(Activity::Verify, Scope::ReadAny)?;
    let repository = context.repository()?;
    // Damage below the file system does not change the times of a file.
    let backup = repository.find(&options.backup)?.read_again();
    guard.read_only_from(&backup.label);
    let outcome = verify(
        context,
        (&repository, &backup),
        &Reading::Pool { all: options.all },
        guard.progress(),
    )?;
    log_outcome(&backup, &outcome);
    if outcome.failed.is_empty() {
        record(&repository, &backup.label);
        guard.succeeded();
    }
    Ok(outcome)
}

/// Verifies the backup `label` of a server by the schedule; `None` if there is no such backup.
/// [`crate::error::ErrorKind::Busy`] while it is being removed.
pub(crate) fn run_paced(
    context: &ServerContext,
    label: &Label,
    reading: &Arc<PacedReading>,
) -> Result<Option<(Backup, Outcome)>> {
    let scope = Scope::Verify(Some(label.clone()));
    let guard = context.status.begin(Activity::Verify, scope)?;
    let repository = context.repository()?;
    let mut backups = repository.backups()?.into_iter();
    let Some(backup) = backups.find(|backup| backup.label == *label) else {
        guard.uncounted();
        return Ok(None);
    };
    let backup = backup.read_again();
    let reading = Reading::Paced(reading.clone());
    let outcome = verify(context, (&repository, &backup), &reading, guard.progress());
    if outcome
        .as_ref()
        .is_ok_and(|outcome| !outcome.failed.is_empty())
    {
        drop(guard);
    } else {
        guard.end_with(&outcome);
    }
    let outcome = outcome?;
    log_outcome(&backup, &outcome);
    Ok(Some((backup, outcome)))
}

/// Records that a backup is good, which counts for the schedule.
fn record(repository: &Repository, label: &Label) {
    let now = Timestamp::now().seconds();
    let recorded = repository.update_verification(|info| info.set_backup(label, now, None));
    if let Err(failure) = recorded {
        log::warn!("record the verification of backup {label}: {failure}");
    }
}

/// Verifies a backup as it is on the disk.
fn verify(
    context: &ServerContext,
    (repository, backup): (&Repository, &Backup),
    reading: &Reading,
    progress: &Arc<Progress>,
) -> Result<Outcome> {
    let mut outcome = Outcome {
        label: backup.label.clone(),
        warnings: Vec::new(),
        failed: Vec::new(),
        good: Vec::new(),
    };
    backup.check_readable()?;
    match authentic::check(context, backup) {
        Ok(warning) => outcome.warnings.extend(warning),
        Err(failure) => outcome
            .failed
            .push(failed_file("backup.info", failure.message())),
    }
    let manifest = match backup.manifest(&context.daemon.key) {
        Ok(manifest) => manifest,
        Err(failure) => {
            context.stop.check()?;
            let mut report = failed_file("backup.manifest", failure.message());
            report.proven = is_damaged(context, (repository, backup), reading);
            outcome.failed.push(report);
            return Ok(outcome);
        }
    };
    let info = check_info(context, backup, &manifest)?;
    outcome.failed.extend(info);
    progress.set_total(plain_size(&manifest));
    outcome
        .failed
        .extend(files::check_lists(backup, &manifest)?);
    let pace = match reading {
        Reading::Pool { .. } => None,
        Reading::Paced(paced) => Some(paced.pace.clone()),
    };
    let wal = wal::check(context, repository, backup, &manifest, pace)?;
    outcome.failed.extend(wal);
    let results = files::check(context, (repository, backup), manifest, (progress, reading))?;
    outcome.failed.extend(results.failed);
    outcome.good = results.good;
    let path = |one: &FileReport, other: &FileReport| one.path.cmp(&other.path);
    outcome.failed.sort_by(path);
    outcome.good.sort_by(path);
    if outcome.failed.is_empty() && !backup.info.valid {
        make_valid(context, repository, backup)?;
        let label = &backup.label;
        outcome.warnings.push(format!(
            "backup {label} was marked as not valid, and is valid again: all of it is good"
        ));
    }
    Ok(outcome)
}

/// Whether a good verification makes the backup valid: one of this program is complete before it
/// is listed, and becomes invalid by a verification only. Its disk may have been mended since.
pub(crate) fn may_become_valid(backup: &Backup) -> bool {
    backup.origin == Origin::Own && backup.has_readable_info()
}

fn make_valid(context: &ServerContext, repository: &Repository, backup: &Backup) -> Result<()> {
    let made = repository.change_info(backup, &context.daemon.key, |metadata| {
        metadata.valid = true;
        Ok(())
    });
    made.map(drop)
}

/// Whether it is proven that the manifest of a backup of this program, which could not be read, is
/// missing or damaged: it is read once more, from the disk.
fn is_damaged(
    context: &ServerContext,
    (repository, backup): (&Repository, &Backup),
    reading: &Reading,
) -> bool {
    let Reading::Paced(paced) = reading else {
        return false;
    };
    let proof = Proof {
        repository,
        backup,
        pace: &paced.pace,
        stop: &context.stop,
    };
    if let Ok(file) = storage::open_file_nofollow(&backup.path.join(MANIFEST)) {
        drop_page_cache(&file);
    }
    let again = backup.manifest(&context.daemon.key).err();
    let is_damage = again
        .is_some_and(|failure| matches!(failure.kind(), ErrorKind::Corrupt | ErrorKind::NotFound));
    is_damage && backup.origin == Origin::Own && proof.is_there()
}

/// The report if `backup.info` is not valid, or contradicts the files of the backup.
fn check_info(
    context: &ServerContext,
    backup: &Backup,
    manifest: &Manifest,
) -> Result<Option<FileReport>> {
    let reason = if !backup.info.valid && !may_become_valid(backup) {
        "it cannot be read or says that the backup is not valid".to_owned()
    } else {
        match info_check::differences(context, backup, manifest) {
            Ok(None) => return Ok(None),
            Ok(Some(differences)) => differences,
            Err(failure) => {
                context.stop.check()?;
                format!("it cannot be compared with the files of the backup: {failure}")
            }
        }
    };
    Ok(Some(failed_file("backup.info", &reason)))
}

fn plain_size(manifest: &Manifest) -> u64 {
    let sizes = manifest.all_files().map(|file| file.size);
    sizes.fold(0, u64::saturating_add)
}

fn log_outcome(backup: &Backup, outcome: &Outcome) {
    let label = &backup.label;
    if outcome.failed.is_empty() {
        log::info!("backup {label} is good");
        for warning in &outcome.warnings {
            log::warn!("{warning}");
        }
    } else {
        let count = outcome.failed.len();
        log::error!("backup {label} is damaged: {count} files failed");
    }
}

fn failed_file(path: &str, reason: &str) -> FileReport {
    FileReport::without_digests(path, "SHA256", reason)
}
