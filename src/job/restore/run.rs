//! Runs a restore, from the first check to the rename of the control file.

use std::path::Path;
use std::sync::Arc;

use super::access;
use super::cluster_files::CONTROL_FILE;
use super::contents::{write_directories, write_recovery};
use super::output::Output;
use super::plan::{Plan, plan};
use super::restore_dirs::RestoreDirs;
use super::source::Source;
use super::write::{FileTask, Writer};
use super::{Options, Outcome, RecoveryTarget, choice, in_place_tablespaces};
use crate::error::Result;
use crate::job::context::ServerContext;
use crate::pool::for_each;
use crate::status::{Activity, Scope};
use crate::unit::{Lsn, SegmentSize};

/// The temporary name of `global/pg_control`, until everything else is durable.
const CONTROL_FILE_TEMPORARY: &str = "global/pg_control.pgmoneta";

/// Restores a backup of `server`, ready for PostgreSQL to recover to the target. Nothing is written
/// unless the recovery target can be reached, the directories are empty and there is enough space;
/// on a later failure everything that was written is removed, and nothing else.
/// [`crate::error::ErrorKind::Unreachable`] has the range that can be reached.
pub fn run(context: &ServerContext, options: &Options) -> Result<Outcome> {
    let guard = context.status.begin(Activity::Restore, Scope::ReadAny)?;
    let mut choice = choice::find(context, &options.backup, &options.target)?;
    guard.read_only_from(&choice.backup.label);
    let name = format!("{}-{}", context.server.name, choice.backup.label);
    let dirs = RestoreDirs::new(
        options,
        &context.daemon.config.base_dir,
        &name,
        &in_place_tablespaces::tablespaces(&choice.manifest),
    )?;
    let mut plan = plan(context, options, (&name, dirs), &mut choice)?;
    plan.space.check()?;
    access::check_directories(&plan)?;
    let wal_end = choice.recovery_end.wal_end;
    let source = Arc::new(Source::new(context, choice, guard.progress()));
    access::check_stored(&source, &plan)?;
    let (backup, summary) = (source.backup.clone(), plan.summary.clone());
    if options.dry_run {
        guard.uncounted();
        return Ok(Outcome { backup, summary });
    }
    let writer = Arc::new(Writer {
        tasks: tasks(&mut plan, source.segments.size(), wal_end),
        source,
    });
    let bytes = plan.summary.bytes.saturating_add(plan.summary.wal_bytes);
    guard.progress().set_total(bytes);
    log::info!(
        "restore backup {} of server {} to {}, recovery to {}",
        backup.label,
        context.server.name,
        plan.summary.data_directory.display(),
        plan.summary.stops_at
    );
    for warning in &plan.summary.warnings {
        log::warn!("restore of server {}: {warning}", context.server.name);
    }
    let text = format!(
        "restore of backup {} of server {} by process {}\n",
        backup.label,
        context.server.name,
        std::process::id()
    );
    let mut output = Output::default();
    let written = output
        .create_directories(&plan.dirs, &text)
        .and_then(|()| fill(context, &plan, &writer, &mut output))
        .and_then(|()| complete(&plan, &writer, &options.target, &mut output));
    match written {
        Ok(()) => output.finish()?,
        Err(error) => return Err(output.roll_back(error)),
    }
    guard.succeeded();
    Ok(Outcome { backup, summary })
}

/// The files of the backup and of the WAL, which ends at `wal_end`, large ones first, so that all
/// threads finish at about the same time.
fn tasks(plan: &mut Plan, size: SegmentSize, wal_end: Lsn) -> Vec<FileTask> {
    let data = &plan.dirs.data;
    let wal = plan.segments.iter().map(|&(segment, file)| {
        let path = data.join("pg_wal").join(segment.name(size));
        FileTask::wal(file, path, wal_end)
    });
    let files = std::mem::take(&mut plan.files)
        .into_iter()
        .map(|(file, path)| {
            if file.path == Path::new(CONTROL_FILE) {
                FileTask::file(file, data.join(CONTROL_FILE_TEMPORARY))
            } else {
                FileTask::file(file, path)
            }
        });
    let mut tasks: Vec<FileTask> = files.chain(wal).collect();
    tasks.sort_by_key(|task| std::cmp::Reverse(task.size(size.bytes())));
    tasks
}

/// Writes directories, links, files and WAL.
fn fill(
    context: &ServerContext,
    plan: &Plan,
    writer: &Arc<Writer>,
    output: &mut Output,
) -> Result<()> {
    write_directories(plan, output)?;
    output.set_writer(writer.clone());
    let tasks = (0..writer.tasks.len()).collect();
    let writer = writer.clone();
    for_each(
        &context.daemon.pool,
        context.server.threads(),
        tasks,
        move |&index, cancelled| writer.write(index, cancelled),
    )
}

/// Writes links, history files and configuration, makes everything durable, and renames the control
/// file.
fn complete(
    plan: &Plan,
    writer: &Writer,
    target: &RecoveryTarget,
    output: &mut Output,
) -> Result<()> {
    let data = &plan.dirs.data;
    write_recovery(plan, &writer.source, target, output)?;
    output.sync()?;
    writer.source.stop.check()?;
    output.rename(&data.join(CONTROL_FILE_TEMPORARY), &data.join(CONTROL_FILE))
}
