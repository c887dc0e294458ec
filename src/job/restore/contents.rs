//! What a restore writes around the files of the backup and the WAL, into directories or into an
//! archive: directories and links, history files, and the configuration for recovery.

use std::path::Path;

use super::destination::Destination;
use super::external_effects::comment_out;
use super::plan::Plan;
use super::recovery_files::RecoveryFiles;
use super::recovery_target::RecoveryTarget;
use super::source::Source;
use crate::error::Result;

/// Writes the directories, parents first, and the links to tablespaces.
pub(super) fn write_directories(plan: &Plan, output: &mut dyn Destination) -> Result<()> {
    for (path, mode) in &plan.directories {
        output.create_directory(path, *mode)?;
    }
    for (tablespace, dir) in &plan.dirs.tablespaces {
        let link = plan.dirs.data.join("pg_tblspc");
        let link = link.join(tablespace.oid.to_string());
        output.create_link(&plan.dirs.link_to(dir), &link)?;
    }
    Ok(())
}

/// Writes the other links, history files and configuration, and what depends on the files that were
/// read before.
pub(super) fn write_recovery(
    plan: &Plan,
    source: &Source,
    target: &RecoveryTarget,
    output: &mut dyn Destination,
) -> Result<()> {
    for (path, text) in &plan.links {
        output.create_link(text, path)?;
    }
    write_wal_state(plan, output)?;
    for (file, path, lines) in &plan.edited {
        let content = comment_out(&source.content(file)?, lines);
        output.write_file(path, &content, file.mode)?;
    }
    let (old, mode) = match &plan.auto_conf {
        Some(file) => (source.content(file)?, file.mode),
        None => (Vec::new(), 0o600),
    };
    let files = RecoveryFiles {
        label: &source.backup.label,
        role: target.role,
        stops_at: &plan.summary.stops_at,
        recovery: &plan.config_changes.recovery,
        permanent: &plan.config_changes.permanent,
    };
    files.write(output, &plan.dirs.data, (&old, mode))?;
    if let Some(lists) = &plan.combined {
        lists.write(source, output, &plan.dirs.data)?;
    }
    source.stop.check()
}

/// Writes the history files, and which segments are archived already.
fn write_wal_state(plan: &Plan, output: &mut dyn Destination) -> Result<()> {
    let wal = plan.dirs.data.join(Path::new("pg_wal"));
    for (timeline, content) in &plan.histories {
        output.write_file(&wal.join(timeline.history_name()), content, 0o600)?;
    }
    // Segments from the archive are not archived again, except the one in which recovery ends.
    for (index, name) in plan.summary.wal.iter().enumerate() {
        if index + 1 != plan.segments.len() {
            output.write_file(&wal.join(format!("archive_status/{name}.done")), b"", 0o600)?;
        }
    }
    Ok(())
}
