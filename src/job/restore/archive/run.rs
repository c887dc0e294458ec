//! Writes the archive of one backup.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::access::{check_stored, check_writable};
use super::super::cluster_files::CONTROL_FILE;
use super::super::contents::{write_directories, write_recovery};
use super::super::destination::Destination as _;
use super::super::plan::{Plan, plan};
use super::super::restore_dirs::{RestoreDirs, check_path, nearest_existing};
use super::super::source::Source;
use super::super::{Options, RecoveryTarget, Summary, choice, in_place_tablespaces};
use super::room;
use super::stream_encoder::StreamEncoder;
use super::tar_output::TarOutput;
use crate::codec::{Digests, EncodeOptions};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::repository::Backup;
use crate::status::{Activity, Scope};
use crate::storage::{self, AtomicFile, Filesystem};
use crate::unit::Lsn;

/// The result of an archive or of a dry run.
#[derive(Clone, Debug)]
pub struct Archived {
    /// The backup that was chosen.
    pub backup: Backup,
    /// The file.
    pub file: PathBuf,
    /// Its size in bytes and its SHA-256; `None` after a dry run.
    pub written: Option<(u64, [u8; 32])>,
    /// What is in it; paths are those in the archive.
    pub summary: Summary,
}

/// Writes an archive of what a restore with these options would write to the directory of the
/// options, whose parents may be missing. On an error nothing is left of it.
pub fn run(context: &ServerContext, options: &Options) -> Result<Archived> {
    let guard = context.status.begin(Activity::Archive, Scope::ReadAny)?;
    let directory = options.directory.as_path();
    check_path(directory, &context.daemon.config.base_dir)?;
    check_writable(directory)?;
    let mut choice = choice::find(context, &options.backup, &options.target)?;
    guard.read_only_from(&choice.backup.label);
    let name = format!("{}-{}", context.server.name, choice.backup.label);
    let tablespaces = in_place_tablespaces::tablespaces(&choice.manifest);
    let dirs = RestoreDirs::in_archive(&name, &tablespaces);
    let mut plan = plan(context, options, (&name, dirs), &mut choice)?;
    let wal_end = choice.recovery_end.wal_end;
    let source = Source::new(context, choice, guard.progress());
    check_stored(&source, &plan)?;
    let coding = context.daemon.encode_options();
    let file = directory.join(format!("archive-{name}.tar{}", coding.stored().suffix()));
    check_free(&file)?;
    let size = room::plain_size(&plan, source.segments.size().bytes());
    let space = Filesystem::space(nearest_existing(directory).unwrap_or(Path::new("/")))?;
    let room = room::check(size, &coding, space);
    plan.summary
        .warnings
        .extend(room.with_context(|| format!("write {}", file.display()))?);
    plan.summary.warnings.extend(relative_links(&plan));
    let mut outcome = Archived {
        backup: source.backup.clone(),
        summary: plan.summary.clone(),
        written: None,
        file,
    };
    if options.dry_run {
        guard.uncounted();
        return Ok(outcome);
    }
    let bytes = plan.summary.bytes.saturating_add(plan.summary.wal_bytes);
    guard.progress().set_total(bytes);
    log::info!(
        "archive backup {} of server {} as {}, recovery to {}",
        outcome.backup.label,
        context.server.name,
        outcome.file.display(),
        plan.summary.stops_at
    );
    let written = write(
        context,
        &plan,
        (&source, wal_end),
        options,
        &outcome.file,
        &coding,
    )
    .with_context(|| format!("write {}", outcome.file.display()))?;
    let sha256 = written.stored_sha256();
    guard.succeeded();
    outcome.written = sha256.map(|sha256| (written.stored_size, sha256));
    Ok(outcome)
}

fn check_free(file: &Path) -> Result<()> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("{} exists already", file.display());
    Err(Error::new(ErrorKind::Usage, message)
        .with_hint("move it away, or choose another directory"))
}

/// A warning about tablespaces: PostgreSQL follows a relative link from `pg_tblspc`, but a base
/// backup looks for its target from the data directory, and takes a missing one for a tablespace
/// that was dropped (`sendTablespace`, PostgreSQL 13 to 18 `basebackup.c`).
fn relative_links(plan: &Plan) -> Option<String> {
    let (tablespace, directory) = plan.dirs.tablespaces.first()?;
    Some(format!(
        "the links to tablespaces in the archive are relative, so that it can be extracted \
         anywhere, but base backups of such a server lack its tablespaces: after the extraction \
         replace each by an absolute one, such as ln -sfn $PWD/{} {}/pg_tblspc/{}",
        directory.display(),
        plan.dirs.data.display(),
        tablespace.oid
    ))
}

/// Writes the file; it gets its name when it is complete and durable.
fn write(
    context: &ServerContext,
    plan: &Plan,
    (source, wal_end): (&Source, Lsn),
    options: &Options,
    file: &Path,
    coding: &EncodeOptions,
) -> Result<Digests> {
    storage::create_directories(&options.directory)?;
    let output = AtomicFile::create(file)?;
    let daemon = &context.daemon;
    let encoder = StreamEncoder::new(&daemon.pool, context.server.threads(), output, coding)?;
    let mut tar = TarOutput::new(encoder, now());
    add_all(plan, (source, wal_end), &options.target, &mut tar)?;
    let (output, digests) = tar.finish()?.finish()?;
    source.stop.check()?;
    output.commit_exclusively()?;
    Ok(digests)
}

/// Adds everything, the control file last: without it a data directory cannot be started.
fn add_all<W: Write>(
    plan: &Plan,
    (source, wal_end): (&Source, Lsn),
    target: &RecoveryTarget,
    tar: &mut TarOutput<W>,
) -> Result<()> {
    for directory in plan.dirs.all() {
        tar.create_directory(directory, 0o700)?;
    }
    write_directories(plan, tar)?;
    let is_control = |path: &Path| path == Path::new(CONTROL_FILE);
    let (last, files): (Vec<_>, Vec<_>) = plan
        .files
        .iter()
        .partition(|(file, _)| is_control(&file.path));
    for (file, path) in files {
        tar.add_file(source, file, path)
            .with_context(|| format!("archive {}", file.path.display()))?;
    }
    let size = source.segments.size();
    for (segment, file) in &plan.segments {
        let name = segment.name(size);
        let path = plan.dirs.data.join("pg_wal").join(&name);
        tar.add_segment(source, (*file, wal_end), &path)
            .with_context(|| format!("archive WAL segment {name}"))?;
    }
    write_recovery(plan, source, target, tar)?;
    let [(control, path)] = last.as_slice() else {
        let message = format!("the backup has no {CONTROL_FILE}");
        return Err(Error::new(ErrorKind::Corrupt, message));
    };
    tar.add_file(source, control, path)
        .with_context(|| format!("archive {CONTROL_FILE}"))
}

/// Seconds since 1970 UTC.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
