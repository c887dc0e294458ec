//! Runs a restore, from the first check to the rename of the control file.

use std::path::Path;
use std::sync::Arc;

use super::access;
use super::choice::{self, Choice};
use super::cluster_files::CONTROL_FILE;
use super::external_effects::comment_out;
use super::output::Output;
use super::plan::{Plan, plan};
use super::recovery_files::RecoveryFiles;
use super::write::{FileTask, Writer};
use super::{Options, Outcome, RecoveryTarget};
use crate::error::Result;
use crate::job::context::ServerContext;
use crate::pool::for_each;
use crate::status::{Activity, Scope};

/// The temporary name of `global/pg_control`, until everything else is durable.
const CONTROL_FILE_TEMPORARY: &str = "global/pg_control.pgmoneta";

/// Restores a backup of `server`, ready for PostgreSQL to recover to the target. Nothing is written
/// unless the recovery target can be reached, the directories are empty and there is enough space;
/// on a later failure everything that was written is removed, and nothing else.
/// [`crate::error::ErrorKind::Unreachable`] has the range that can be reached.
pub fn run(context: &ServerContext, options: &Options) -> Result<Outcome> {
    let target = &options.target;
    let guard = context.status.begin(Activity::Restore, Scope::ReadAny)?;
    let mut choice = choice::find(context, &options.backup, target)?;
    guard.read_only_from(&choice.backup.label);
    let mut plan = plan(context, options, target, &mut choice)?;
    access::check_directories(&plan)?;
    let (backup, summary) = (choice.backup.clone(), plan.summary.clone());
    let writer = Arc::new(Writer {
        tasks: tasks(&mut plan, &choice),
        backup: choice.backup,
        key: context.daemon.key.clone(),
        segments: choice.segments,
        progress: guard.progress().clone(),
        stop: context.stop.clone(),
    });
    access::check_stored(&writer, &plan)?;
    if options.dry_run {
        return Ok(Outcome { backup, summary });
    }
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
        .and_then(|()| complete(&plan, &writer, target, &mut output));
    match written {
        Ok(()) => output.finish()?,
        Err(error) => return Err(output.roll_back(error)),
    }
    Ok(Outcome { backup, summary })
}

/// The files of the backup and of the WAL, large ones first.
fn tasks(plan: &mut Plan, choice: &Choice) -> Vec<FileTask> {
    let data = &plan.dirs.data;
    let size = choice.segments.size();
    let wal = plan.segments.iter().map(|&(segment, file)| {
        let path = data.join("pg_wal").join(segment.name(size));
        FileTask::wal(file, path, choice.recovery_end.wal_end)
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
    let data = &plan.dirs.data;
    for name in ["global", "pg_tblspc", "pg_wal", "pg_wal/archive_status"] {
        output.create_directory(&data.join(name), 0o700)?;
    }
    for (path, mode) in &plan.directories {
        output.create_directory(path, *mode)?;
    }
    for (tablespace, dir) in &plan.dirs.tablespaces {
        let link = data.join("pg_tblspc").join(tablespace.oid.to_string());
        output.create_link(dir, &link)?;
    }
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
    for (path, text) in &plan.links {
        output.create_link(text, path)?;
    }
    let wal = data.join("pg_wal");
    for (timeline, content) in &plan.histories {
        output.write_file(&wal.join(timeline.history_name()), content, 0o600)?;
    }
    // Segments from the archive are not archived again, except the one in which recovery ends.
    let complete = plan.summary.wal.iter().enumerate();
    for (index, name) in complete {
        if index + 1 != plan.segments.len() {
            output.write_file(&wal.join(format!("archive_status/{name}.done")), b"", 0o600)?;
        }
    }
    for (file, path, lines) in &plan.edited {
        let content = comment_out(&writer.content(file)?, lines);
        output.write_file(path, &content, file.mode)?;
    }
    let (old, mode) = match &plan.auto_conf {
        Some(file) => (writer.content(file)?, file.mode),
        None => (Vec::new(), 0o600),
    };
    let files = RecoveryFiles {
        label: &writer.backup.label,
        role: target.role,
        stops_at: &plan.summary.stops_at,
        recovery: &plan.config_changes.recovery,
        permanent: &plan.config_changes.permanent,
    };
    files.write(output, data, (&old, mode))?;
    if let Some(lists) = &plan.combined {
        lists.write(writer, output, data)?;
    }
    writer.stop.check()?;
    output.sync()?;
    writer.stop.check()?;
    output.rename(&data.join(CONTROL_FILE_TEMPORARY), &data.join(CONTROL_FILE))
}
