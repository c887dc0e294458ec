//! Plans a restore: decides what is written where, before the first write.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::cluster_files::{AUTO_CONF, EXCLUDED_FILES};
use super::combined_lists::CombinedLists;
use super::config_changes::{ConfigChanges, config_changes};
use super::external_config::{self, ExternalConfig};
use super::recovery_target::{RecoveryTarget, Role, TargetKind};
use super::restore_dirs::{Place, RestoreDirs, SpaceNeeded};
use super::{Options, Summary, created_tablespaces, in_place_tablespaces};
use crate::error::{Context as _, Result};
use crate::job::context::ServerContext;
use crate::job::replay::SegmentFile;
use crate::repository::ManifestFile;
use crate::unit::{Encryption, Segment, SegmentSize, Timeline, to_u64};

/// The content of a history file that reserves a timeline number; PostgreSQL only checks whether
/// the file exists.
const PLACEHOLDER_HISTORY: &[u8] = b"# pgmoneta: another server has this timeline\n";

/// Directories of the data directory that are written to, even if the backup has none of them.
const REQUIRED_DIRECTORIES: [&str; 4] = ["global", "pg_tblspc", "pg_wal", "pg_wal/archive_status"];

/// Maximum number of such files that are written.
const MAX_PLACEHOLDERS: usize = 10_000;

/// Everything that a restore writes.
pub(super) struct Plan {
    pub dirs: RestoreDirs,
    /// The files of the backup, and their new paths.
    pub files: Vec<(ManifestFile, PathBuf)>,
    /// `postgresql.auto.conf`; `None` if the backup has none.
    pub auto_conf: Option<ManifestFile>,
    /// The new directories and their permission bits, parents first.
    pub directories: Vec<(PathBuf, u32)>,
    /// Symbolic links and their targets, without those of tablespaces.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// The segments for `pg_wal`, in order, and the files to read them from.
    pub segments: Vec<(Segment, SegmentFile)>,
    /// The contents of the history files for `pg_wal`.
    pub histories: Vec<(Timeline, Vec<u8>)>,
    /// Files with lines to comment out: the new path, and the line numbers, from 1 on.
    pub edited: Vec<(ManifestFile, PathBuf, Vec<usize>)>,
    /// Of an incremental backup: the files that say what it is, which are written anew.
    pub combined: Option<CombinedLists>,
    pub config_changes: ConfigChanges,
    /// The disk space for all of it.
    pub space: SpaceNeeded,
    /// What the user is told.
    pub summary: Summary,
}

/// Plans a restore to `dirs`, whose data directory has the name `name`.
pub(super) fn plan(
    context: &ServerContext,
    options: &Options,
    (name, dirs): (&str, RestoreDirs),
    choice: &mut Choice,
) -> Result<Plan> {
    let target = &options.target;
    let open = open_segment(context, choice.segments.size());
    let mut warnings = warnings(choice, &dirs, open)?;
    let mut config_changes = config_changes(context, options, target, choice, name)?;
    warnings.extend(config_changes.warnings.iter().cloned());
    config_changes
        .recovery
        .extend(in_place_tablespaces::setting(
            dirs.has_in_place_tablespaces,
            &choice.recovery_end.tablespaces,
            choice.backup.info.version,
        ));
    let mut plan = Plan {
        files: Vec::with_capacity(choice.manifest.files.len()),
        auto_conf: None,
        directories: Vec::with_capacity(choice.manifest.directories.len()),
        links: Vec::new(),
        segments: segments(choice),
        histories: histories(choice, target.role).context("read the timeline histories")?,
        summary: Summary {
            data_directory: dirs.data.clone(),
            tablespaces: dirs.tablespaces.clone(),
            stops_at: describe_end(target, choice),
            settings: config_changes.settings(),
            warnings,
            ..Summary::default()
        },
        edited: Vec::new(),
        combined: CombinedLists::take(&mut choice.manifest),
        config_changes,
        space: SpaceNeeded::default(),
        dirs,
    };
    let unknown = choice.recovery_end.unknown_magic;
    let unknown = unknown.map(created_tablespaces::unknown_version_warning);
    plan.summary.warnings.extend(unknown);
    let mut space = SpaceNeeded::default();
    let external = external_config::collect(choice, &plan.dirs, &mut space);
    plan.add_files(choice, &mut space);
    plan.add_external_config(external);
    plan.add_wal(choice, &mut space);
    plan.space = space;
    Ok(plan)
}

impl Plan {
    fn add_files(&mut self, choice: &mut Choice, space: &mut SpaceNeeded) {
        // Moved, not copied: the list of a cluster may have millions of files.
        for (path, mode) in std::mem::take(&mut choice.manifest.directories) {
            let (dir, path) = self.dirs.locate(&path);
            space.add(dir, 1);
            self.directories.push((path, mode));
        }
        for name in REQUIRED_DIRECTORIES {
            let path = self.dirs.data.join(name);
            if !self.directories.iter().any(|(found, _)| *found == path) {
                self.directories.push((path, 0o700));
            }
        }
        // The server sends the content of an in-place tablespace before the directory itself.
        self.directories.sort();
        for (path, text) in &choice.manifest.links {
            // WAL is written to the new data directory, even if pg_wal was a link.
            if path != Path::new("pg_wal") {
                self.links.push((self.dirs.locate(path).1, text.clone()));
            }
        }
        for file in std::mem::take(&mut choice.manifest.files) {
            if EXCLUDED_FILES
                .iter()
                .any(|name| Path::new(name) == file.path)
            {
                continue;
            }
            let (dir, path) = self.dirs.locate(&file.path);
            space.add(dir, file.size);
            self.summary.files += 1;
            self.summary.bytes = self.summary.bytes.saturating_add(file.size);
            let comments = self.config_changes.comments_in(&file.path);
            if file.path == Path::new(AUTO_CONF) {
                self.auto_conf = Some(file);
            } else if comments.is_empty() {
                self.files.push((file, path));
            } else {
                self.edited.push((file, path, comments));
            }
        }
    }

    fn add_external_config(&mut self, external: ExternalConfig) {
        let directories = external.directories.into_iter();
        self.directories
            .extend(directories.map(|path| (path, 0o700)));
        self.files.extend(external.files);
        self.summary.warnings.extend(external.warnings);
    }

    fn add_wal(&mut self, choice: &Choice, space: &mut SpaceNeeded) {
        let size = choice.segments.size();
        for (segment, _) in &self.segments {
            space.add(&self.dirs.data, size.bytes());
            self.summary.wal.push(segment.name(size));
            self.summary.wal_bytes = self.summary.wal_bytes.saturating_add(size.bytes());
        }
        for (timeline, content) in &self.histories {
            let bytes = to_u64(content.len());
            space.add(&self.dirs.data, bytes);
            self.summary.wal.push(timeline.history_name());
            self.summary.wal_bytes = self.summary.wal_bytes.saturating_add(bytes);
        }
    }
}

/// The segments from the start of the backup to the end of replay, with the names that recovery
/// looks for. The bytes may come from the file of another timeline: up to the switch point they are
/// the same.
fn segments(choice: &Choice) -> Vec<(Segment, SegmentFile)> {
    let size = choice.segments.size().bytes();
    let last = choice.recovery_end.wal_end.0.saturating_sub(1) / size;
    let files = choice.recovery_end.files.iter();
    let files = files.take_while(|file| file.segment.number <= last);
    let named = |file: &SegmentFile| {
        let number = file.segment.number;
        let segment = choice
            .segments
            .segment_on_path(&choice.recovery_end.history, number);
        (segment, *file)
    };
    files.map(named).collect()
}

/// The segment that the daemon is receiving.
fn open_segment(context: &ServerContext, size: SegmentSize) -> Option<Segment> {
    let state = context.status.receiver();
    let timeline = state.timeline.filter(|_| state.is_streaming())?;
    Some(Segment::containing(timeline, state.flushed, size))
}

/// The warnings about the backup, the WAL and the tablespaces.
fn warnings(choice: &mut Choice, dirs: &RestoreDirs, open: Option<Segment>) -> Result<Vec<String>> {
    let mut warnings = std::mem::take(&mut choice.warnings);
    warnings.extend(unencrypted_wal(choice, &segments(choice), open));
    let created = &choice.recovery_end.tablespaces;
    warnings.extend(match dirs.place {
        Place::Host => created_tablespaces::check(created, dirs)?,
        Place::Archive => created_tablespaces::warnings(created),
    });
    Ok(warnings)
}

/// A warning if WAL of an encrypted backup is not encrypted: it was archived under another
/// configuration, is not sealed yet, or comes from another source. The segment `open` is ignored.
fn unencrypted_wal(
    choice: &Choice,
    files: &[(Segment, SegmentFile)],
    open: Option<Segment>,
) -> Option<String> {
    if choice.backup.info.encryption == Encryption::None {
        return None;
    }
    let size = choice.segments.size();
    let mut plain = files
        .iter()
        .filter(|(_, file)| Some(file.segment) != open && choice.segments.is_unencrypted(file));
    let first = plain.next()?.1.segment.name(size);
    let last = plain.next_back().map_or(String::new(), |(_, file)| {
        format!(" and others up to {}", file.segment.name(size))
    });
    Some(format!(
        "the WAL segment {first}{last} in the archive is not encrypted, although the backup is: \
         changes to it cannot be detected"
    ))
}

/// The history files: for a primary all that exist, since its new timeline gets the first number
/// without a history file; for a standby none of a higher timeline than its target, since it would
/// switch to the highest. Both probe consecutive numbers up to the first missing one
/// (`findNewestTimeLine`, PostgreSQL `timeline.c`): a standby begins with the timeline of the
/// backup.
fn histories(choice: &Choice, role: Role) -> Result<Vec<(Timeline, Vec<u8>)>> {
    let segments = &choice.segments;
    let last = choice.recovery_end.history.timeline();
    let mut histories = Vec::new();
    for timeline in segments.histories()? {
        if role == Role::Primary || timeline <= last {
            let content = segments.history(timeline)?;
            histories.extend(content.map(|content| (timeline, content)));
        }
    }
    let found = histories.iter().map(|(timeline, _)| *timeline).collect();
    let from = match role {
        Role::Primary => last,
        Role::Replica => choice.backup.info.start.timeline,
    };
    let reserved: Vec<Timeline> = timelines_without_history(from, &found).collect();
    let reserved = reserved.into_iter();
    histories.extend(reserved.map(|timeline| (timeline, PLACEHOLDER_HISTORY.to_vec())));
    histories.sort_by_key(|(timeline, _)| *timeline);
    Ok(histories)
}

/// The timelines between `from` and the highest one in `found` that are not in `found`: PostgreSQL
/// would use the first of them for the new timeline, although another server has it.
fn timelines_without_history(
    from: Timeline,
    found: &BTreeSet<Timeline>,
) -> impl Iterator<Item = Timeline> {
    let highest = found.last().map_or(0, |timeline| timeline.number());
    let numbers = (from.number().saturating_add(1)..highest).take(MAX_PLACEHOLDERS);
    let timelines = numbers.filter_map(Timeline::new);
    timelines.filter(|timeline| !found.contains(timeline))
}

/// Where recovery will end, as text.
fn describe_end(target: &RecoveryTarget, choice: &Choice) -> String {
    use super::scan::Side;
    let recovery_end = &choice.recovery_end;
    let kind = &target.kind;
    let timeline = recovery_end.history.timeline();
    let at = match recovery_end.stop_point {
        Some(stop_point) if stop_point.side == Side::Before => stop_point.start,
        Some(stop_point) => stop_point.end,
        None => recovery_end.wal_end,
    };
    let mut text = match kind {
        TargetKind::Lsn(lsn) if *lsn == at => format!("{kind} of timeline {timeline}"),
        _ => format!("{kind}: position {at} of timeline {timeline}"),
    };
    let time = recovery_end
        .stop_point
        .filter(|stop_point| stop_point.side == Side::After)
        .and_then(|stop_point| stop_point.time);
    if let Some(time) = time.or(recovery_end.time) {
        text.push_str(&format!(", last transaction {time}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_timeline_numbers_below_the_highest_are_reserved() {
        let of = |number| Timeline::new(number).unwrap();
        let reserved = |last, found: &[u32]| {
            let found = found.iter().map(|number| of(*number)).collect();
            timelines_without_history(of(last), &found)
                .map(Timeline::number)
                .collect::<Vec<u32>>()
        };
        assert_eq!(reserved(1, &[]), [0; 0]);
        assert_eq!(reserved(1, &[2, 3]), [0; 0]);
        assert_eq!(reserved(1, &[3, 6]), [2, 4, 5]);
        assert_eq!(reserved(3, &[2, 3, 5]), [4]);
        assert_eq!(reserved(7, &[2, 5]), [0; 0]);
    }
}
