//! Runs one verification.

use super::files;
use super::{FileReport, Options, Outcome, wal};
use crate::error::Result;
use crate::job::context::ServerContext;
use crate::job::{authentic, info_check};
use crate::repository::{Backup, Manifest};
use crate::status::{Activity, Scope};

/// Verifies a backup of `server`; its problems are in the outcome. Fails if there is no such
/// backup, or on errors that are not of the backup.
pub fn run(context: &ServerContext, options: &Options) -> Result<Outcome> {
    let guard = context.status.begin(Activity::Verify, Scope::ReadAny)?;
    let repository = context.repository()?;
    // Damage below the file system does not change the times of a file.
    let backup = repository.find(&options.backup)?.read_again();
    guard.read_only_from(&backup.label);
    let mut outcome = Outcome {
        label: backup.label.clone(),
        warnings: Vec::new(),
        failed: Vec::new(),
        good: Vec::new(),
    };
    backup.check_readable()?;
    match authentic::check(context, &backup) {
        Ok(warning) => outcome.warnings.extend(warning),
        Err(failure) => outcome
            .failed
            .push(failed_file("backup.info", failure.message())),
    }
    let manifest = match backup.manifest(&context.daemon.key) {
        Ok(manifest) => manifest,
        Err(failure) => {
            context.stop.check()?;
            outcome
                .failed
                .push(failed_file("backup.manifest", failure.message()));
            return Ok(outcome);
        }
    };
    let info = check_info(context, &backup, &manifest)?;
    outcome.failed.extend(info);
    guard.progress().set_total(plain_size(&manifest));
    outcome
        .failed
        .extend(files::check_lists(&backup, &manifest)?);
    outcome
        .failed
        .extend(wal::check(context, &repository, &backup, &manifest)?);
    let progress = (guard.progress(), options.all);
    let results = files::check(context, &backup, manifest, progress)?;
    outcome.failed.extend(results.failed);
    outcome.good = results.good;
    let path = |one: &FileReport, other: &FileReport| one.path.cmp(&other.path);
    outcome.failed.sort_by(path);
    outcome.good.sort_by(path);
    log_outcome(&backup, &outcome);
    Ok(outcome)
}

/// The report if `backup.info` is not valid, or contradicts the files of the backup.
fn check_info(
    context: &ServerContext,
    backup: &Backup,
    manifest: &Manifest,
) -> Result<Option<FileReport>> {
    let reason = if !backup.info.valid {
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
    FileReport {
        path: path.to_owned(),
        algorithm: "SHA256".to_owned(),
        expected: String::new(),
        found: String::new(),
        reason: reason.to_owned(),
    }
}
