//! `delete`: removes a backup.

use super::authentic::{self, Assessment};
use super::retention::{self, FollowedPath};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::repository::{Backup, Origin};
use crate::status::{Activity, Scope};
use crate::unit::Label;

/// Removes a backup, of this or of the C program; returns its label. [`ErrorKind::Busy`] while it
/// is read. Without `force` one that is retained, or the last valid one, is [`ErrorKind::Usage`].
/// One on which another depends is [`ErrorKind::Unsupported`].
pub fn run(context: &ServerContext, identifier: &str, force: bool) -> Result<Label> {
    let repository = context.repository()?;
    let label = repository.find(identifier).map_err(not_found)?.label;
    let scope = Scope::Change(label.clone());
    let guard = context.status.begin(Activity::Delete, scope)?;
    // Another request may have changed or removed it meanwhile, or one of the others.
    let backups = repository.backups()?;
    let backup = Backup::select(backups.clone(), label.as_str())?;
    check_independent(&backup, &backups)?;
    if !force {
        let path = FollowedPath::of(&repository)?;
        let verified = repository.verification();
        let is_on_path = path.contains(&backup);
        let usable = |other: &Backup| {
            let assessed = authentic::assess_verified(context, &verified, other);
            assessed == Assessment::Restorable && (path.contains(other) || !is_on_path)
        };
        check_retained(context, &backup)?;
        check_not_last(&backup, &backups, usable)?;
    }
    let server = &context.server.name;
    repository
        .remove_backup(&backup, &context.stop)
        .with_context(|| format!("delete backup {label} of server {server}"))?;
    guard.succeeded();
    log::info!("backup {label} of server {server} was deleted");
    if let Err(failure) = retention::prune_wal(context) {
        let failure = failure.message_with_hint();
        log::warn!("remove WAL of server {server}: {failure}; retention will do it");
    }
    Ok(label)
}

/// A prefix of several labels names no backup; the code of the management protocol for a request
/// that cannot be carried out is that of a retained backup.
fn not_found(failure: Error) -> Error {
    match failure.kind() {
        ErrorKind::Usage => Error::new(ErrorKind::NotFound, failure.message()),
        _ => failure,
    }
}

/// Fails if another backup depends on this one, or may do so.
fn check_independent(backup: &Backup, backups: &[Backup]) -> Result<()> {
    let label = &backup.label;
    let child = backups.iter().find(|other| {
        let parent = other.info.parent.as_deref();
        parent == Some(label.as_str()) && other.label != *label
    });
    if let Some(child) = child {
        let child = &child.label;
        let message = format!("the incremental backup {child} depends on the backup {label}");
        return Err(
            Error::new(ErrorKind::Unsupported, message).with_hint(format!("delete {child} first"))
        );
    }
    // Only the C program takes incremental backups.
    let unknown = backups.iter().find(|other| {
        let origins = [backup.origin, other.origin];
        other.is_unreadable() && origins == [Origin::C; 2] && other.label > *label
    });
    if let Some(unknown) = unknown {
        let why = unknown.damage().unwrap_or_default();
        let message = format!("it is unknown whether a newer one depends on backup {label}: {why}");
        return Err(Error::new(ErrorKind::Unsupported, message)
            .with_hint("give its files back to the user of the daemon: chown and chmod"));
    }
    Ok(())
}

/// Fails if the backup is retained or may be so.
fn check_retained(context: &ServerContext, backup: &Backup) -> Result<()> {
    let label = &backup.label;
    let unknown = |why: &str| {
        let message = format!("it is unknown whether the backup {label} is retained: {why}");
        Err(Error::new(ErrorKind::Usage, message).with_hint("--force deletes it all the same"))
    };
    if backup.is_unreadable() {
        return unknown(&backup.damage().unwrap_or_default());
    }
    if authentic::assess(context, backup) == Assessment::Untrusted {
        return unknown("its backup.info is damaged, was changed, or has another master key");
    }
    if backup.info.keep {
        let message = format!("the backup {label} is retained");
        return Err(
            Error::new(ErrorKind::Usage, message).with_hint("expunge it first, or use --force")
        );
    }
    Ok(())
}

/// Fails if no other backup is usable: it is the last valid one, or the last one on the way to the
/// timeline of the server.
fn check_not_last(
    backup: &Backup,
    backups: &[Backup],
    is_usable: impl Fn(&Backup) -> bool,
) -> Result<()> {
    let label = &backup.label;
    let mut others = backups.iter().filter(|other| other.label != *label);
    if backup.info.valid && !others.any(is_usable) {
        let message = format!(
            "the backup {label} is the last valid one from which the server can be recovered"
        );
        return Err(Error::new(ErrorKind::Usage, message)
            .with_hint("take another backup first, or use --force"));
    }
    Ok(())
}
