//! One restore from the first check to the name of the control file.

use std::path::Path;
use std::sync::Arc;

use super::access;
use super::choice::{self, Choice};
use super::outside::comment_out;
use super::plan::{CONTROL_FILE, Work, plan};
use super::position::Position;
use super::recovery_files::RecoveryFiles;
use super::target::Target;
use super::write::{Piece, Writer};
use super::{Options, Outcome};
use crate::config::Server;
use crate::error::Result;
use crate::job::context::Context;
use crate::job::lanes;
use crate::status::Activity;

/// The name of `global/pg_control` until everything else is on stable storage.
const CONTROL_FILE_UNNAMED: &str = "global/pg_control.pgmoneta";

/// Restores a backup of `server`, ready for PostgreSQL to recover to the position. Nothing is written unless the
/// position can be reached, the target is empty and there is room; when it fails later, what it wrote is removed, and
/// nothing else.
/// [`crate::error::Kind::Unreachable`] names the interval that can be reached.
pub fn run(context: &Context, server: &Server, options: &Options) -> Result<Outcome> {
    let position = Position::parse(options.position.as_deref())?;
    let guard = context.board.begin(&server.name, Activity::Restore)?;
    let mut choice = choice::find(context, server, &options.backup, &position)?;
    let mut work = plan(context, server, options, &position, &mut choice)?;
    access::check_places(&work)?;
    let (backup, outcome_plan) = (choice.backup.clone(), work.plan.clone());
    let writer = Arc::new(Writer {
        pieces: pieces(&mut work, &choice),
        backup: choice.backup,
        key: context.key.clone(),
        segments: choice.segments,
        progress: guard.progress().clone(),
        stop: context.stop.clone(),
    });
    access::check_stored(&writer, work.auto_conf.as_ref())?;
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
    for warning in &work.plan.warnings {
        log::warn!("restore of server {}: {warning}", server.name);
    }
    let text = format!(
        "restore of backup {} of server {} by process {}\n",
        backup.label,
        server.name,
        std::process::id()
    );
    let mut target = Target::default();
    let written = target
        .make(&work.places, &text)
        .and_then(|()| fill(context, server, &work, &writer, &mut target))
        .and_then(|()| complete(&work, &writer, &position, &mut target));
    match written {
        Ok(()) => target.finish()?,
        Err(failure) => return Err(target.give_up(failure)),
    }
    Ok(Outcome {
        backup,
        plan: outcome_plan,
    })
}

/// The files of the backup and of the WAL, large ones first.
fn pieces(work: &mut Work, choice: &Choice) -> Vec<Piece> {
    let data = &work.places.data;
    let size = choice.segments.size();
    let wal = work.segments.iter().map(|&(segment, file)| {
        let path = data.join("pg_wal").join(segment.name(size));
        Piece::wal(file, path, choice.reach.needed)
    });
    let files = std::mem::take(&mut work.files)
        .into_iter()
        .map(|(file, path)| {
            if file.path == Path::new(CONTROL_FILE) {
                Piece::file(file, data.join(CONTROL_FILE_UNNAMED))
            } else {
                Piece::file(file, path)
            }
        });
    let mut pieces: Vec<Piece> = files.chain(wal).collect();
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.size(size.bytes())));
    pieces
}

/// Writes directories, links, files and WAL.
fn fill(
    context: &Context,
    server: &Server,
    work: &Work,
    writer: &Arc<Writer>,
    target: &mut Target,
) -> Result<()> {
    let data = &work.places.data;
    for name in ["global", "pg_tblspc", "pg_wal", "pg_wal/archive_status"] {
        target.directory(&data.join(name), 0o700)?;
    }
    for (path, mode) in &work.directories {
        target.directory(path, *mode)?;
    }
    for (tablespace, place) in &work.places.tablespaces {
        let link = data.join("pg_tblspc").join(tablespace.oid.to_string());
        target.link(place, &link)?;
    }
    target.writes(writer.clone());
    let pieces = (0..writer.pieces.len()).collect();
    let writer = writer.clone();
    lanes::run(
        &context.pool,
        server.workers,
        pieces,
        move |&index, cancelled| writer.write(index, cancelled),
    )
}

/// Writes what is our own, makes everything durable, and names the control file.
fn complete(work: &Work, writer: &Writer, position: &Position, target: &mut Target) -> Result<()> {
    let data = &work.places.data;
    for (path, text) in &work.links {
        target.link(text, path)?;
    }
    let wal = data.join("pg_wal");
    for (timeline, content) in &work.histories {
        target.put(&wal.join(timeline.history_name()), content, 0o600)?;
    }
    // What came out of an archive need not go into one again, but for the segment in which recovery ends.
    let complete = work.plan.wal.iter().enumerate();
    for (index, name) in complete {
        if index + 1 != work.segments.len() {
            target.put(&wal.join(format!("archive_status/{name}.done")), b"", 0o600)?;
        }
    }
    for (file, path, lines) in &work.edited {
        let content = comment_out(&writer.content(file)?, lines);
        target.put(path, &content, file.mode)?;
    }
    let (old, mode) = match &work.auto_conf {
        Some(file) => (writer.content(file)?, file.mode),
        None => (Vec::new(), 0o600),
    };
    let files = RecoveryFiles {
        label: &writer.backup.label,
        role: position.role,
        position: &work.plan.position,
        recovery: &work.adapted.recovery,
        lasting: &work.adapted.lasting,
    };
    files.write(target, data, (&old, mode))?;
    writer.stop.check()?;
    target.sync()?;
    writer.stop.check()?;
    target.rename(&data.join(CONTROL_FILE_UNNAMED), &data.join(CONTROL_FILE))
}
