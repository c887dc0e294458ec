//! One restore from the first check to the name of the control file.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::choice;
use super::plan::{AUTO_CONF, CONTROL_FILE, Work, plan};
use super::position::Position;
use super::settings;
use super::write::{Piece, Writer, put};
use super::{Options, Outcome};
use crate::config::Server;
use crate::error::{Context as _, Result};
use crate::job::context::Context;
use crate::job::lanes;
use crate::status::Activity;
use crate::storage::{self, Filesystem};

/// The name of `global/pg_control` until everything else is on stable storage.
const CONTROL_FILE_UNNAMED: &str = "global/pg_control.pgmoneta";

/// Restores a backup of `server`, ready for PostgreSQL to recover to the position. Nothing is written unless the
/// position can be reached, the target is empty and there is room; when it fails later, what it wrote is removed.
/// [`crate::error::Kind::Unreachable`] names the interval that can be reached.
pub fn run(context: &Context, server: &Server, options: &Options) -> Result<Outcome> {
    let position = Position::parse(options.position.as_deref())?;
    let guard = context.board.begin(&server.name, Activity::Restore)?;
    let mut choice = choice::find(context, server, &options.backup, &position)?;
    let mut work = plan(context, server, options, &position, &mut choice)?;
    let (backup, outcome_plan) = (choice.backup.clone(), work.plan.clone());
    if options.dry_run {
        return Ok(Outcome {
            backup,
            plan: outcome_plan,
        });
    }
    let bytes = work.plan.bytes.saturating_add(work.plan.wal_bytes);
    guard.progress().expect(bytes);
    log::info!(
        "restore backup {} of server {} to {}, to {}",
        backup.label,
        server.name,
        work.plan.target.display(),
        work.plan.position
    );
    let needed = choice.reach.needed;
    let writer = Arc::new(Writer {
        backup: choice.backup,
        key: context.key.clone(),
        segments: choice.segments,
        progress: guard.progress().clone(),
        stop: context.stop.clone(),
    });
    let mut target = Target::default();
    target.make(&work)?;
    fill(context, server, &mut work, &writer, needed)?;
    complete(&work, &writer, &position, &target)?;
    target.complete = true;
    Ok(Outcome {
        backup,
        plan: outcome_plan,
    })
}

/// The directories that were made or found empty. Unless all is complete, what was written is removed in the end,
/// whatever the reason.
#[derive(Default)]
struct Target {
    complete: bool,
    made: Vec<PathBuf>,
    found: Vec<PathBuf>,
    filesystems: Vec<Filesystem>,
}

impl Target {
    /// Makes the directories; what comes after is in them.
    fn make(&mut self, work: &Work) -> Result<()> {
        for place in work.places.all() {
            if place.is_dir() {
                self.found.push(place.to_owned());
            } else {
                if let Some(parent) = place.parent() {
                    storage::create_directories(parent)?;
                }
                storage::create_directory(place)?;
                self.made.push(place.to_owned());
            }
            set_mode(place, 0o700)?;
            self.filesystems.push(Filesystem::open(place)?);
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.complete {
            return;
        }
        let contents = self.found.iter().flat_map(|directory| {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.path())
        });
        for path in contents.chain(self.made.iter().cloned()) {
            let is_directory = path.symlink_metadata().is_ok_and(|found| found.is_dir());
            let removed = if is_directory {
                storage::remove_tree(&path)
            } else {
                storage::remove_file(&path)
            };
            if let Err(failure) = removed {
                log::error!("a restore failed and leaves something behind: {failure}");
            }
        }
    }
}

/// Writes directories, links, files and WAL.
fn fill(
    context: &Context,
    server: &Server,
    work: &mut Work,
    writer: &Arc<Writer>,
    needed: crate::unit::Lsn,
) -> Result<()> {
    let data = work.places.data.clone();
    for name in ["global", "pg_tblspc", "pg_wal", "pg_wal/archive_status"] {
        storage::create_directory(&data.join(name))?;
    }
    for (path, mode) in &work.directories {
        storage::create_directory(path)?;
        set_mode(path, *mode)?;
    }
    for (tablespace, place) in &work.places.tablespaces {
        let link = data.join("pg_tblspc").join(tablespace.oid.to_string());
        storage::link_relative(place, &link)?;
    }
    let size = writer.segments.size();
    let wal = work.segments.iter().map(|&(segment, file)| {
        let path = data.join("pg_wal").join(segment.name(size));
        Piece::Wal(file, path, needed)
    });
    let files = std::mem::take(&mut work.files)
        .into_iter()
        .map(|(file, path)| {
            if file.path == Path::new(CONTROL_FILE) {
                Piece::File(file, data.join(CONTROL_FILE_UNNAMED))
            } else {
                Piece::File(file, path)
            }
        });
    let mut pieces: Vec<Piece> = files.chain(wal).collect();
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.size(size.bytes())));
    let writer = writer.clone();
    lanes::run(
        &context.pool,
        server.workers,
        pieces,
        move |piece, cancelled| writer.write(piece, cancelled),
    )
}

/// Writes what is our own, makes everything durable, and names the control file.
fn complete(work: &Work, writer: &Writer, position: &Position, target: &Target) -> Result<()> {
    let data = &work.places.data;
    for (path, text) in &work.links {
        storage::link_relative(text, path)?;
    }
    let wal = data.join("pg_wal");
    for (timeline, content) in &work.histories {
        put(&wal.join(timeline.history_name()), content, 0o600)?;
    }
    // What came out of an archive need not go into one again, but for the segment in which recovery ends.
    let complete = work.plan.wal.iter().enumerate();
    for (index, name) in complete {
        if index + 1 != work.segments.len() {
            put(&wal.join(format!("archive_status/{name}.done")), b"", 0o600)?;
        }
    }
    let (old, mode) = match &work.auto_conf {
        Some(file) => (writer.content(file)?, file.mode),
        None => (Vec::new(), 0o600),
    };
    let new = settings::edit(
        &old,
        &writer.backup.label,
        &work.plan.position,
        &work.plan.settings,
    );
    put(&data.join(AUTO_CONF), &new, mode)?;
    put(&data.join(settings::signal_file(position.role)), b"", 0o600)?;
    writer.stop.check()?;
    for filesystem in &target.filesystems {
        filesystem.sync()?;
    }
    writer.stop.check()?;
    storage::rename(&data.join(CONTROL_FILE_UNNAMED), &data.join(CONTROL_FILE))?;
    for place in target.made.iter().filter_map(|place| place.parent()) {
        storage::sync_directory(place)?;
    }
    Ok(())
}

/// Sets the permission bits of a directory; ours alone is what it has already.
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    if mode & 0o7777 == 0o700
        && path
            .metadata()
            .is_ok_and(|found| found.permissions().mode() & 0o7777 == 0o700)
    {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o7777))
        .with_context(|| format!("set the mode of {}", path.display()))
}
