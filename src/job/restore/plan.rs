//! What is written where: decided before the first byte.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::adapt::{Adapted, adapt};
use super::choice::Choice;
use super::config_files::{self, Offer};
use super::places::{Demand, Places};
use super::position::{Position, Role, Target};
use super::recovery_files::AUTO_CONF;
use super::{Options, Plan, replayed};
use crate::config::Server;
use crate::error::{Context as _, Result};
use crate::job::context::Context;
use crate::job::replay::WayFile;
use crate::repository::ManifestFile;
use crate::unit::{Encryption, Segment, SegmentSize, Timeline};

/// Files of a backup that must not be in what is restored: signals and mappings of the old server.
pub(super) const LEFT_OUT: [&str; 7] = [
    "tablespace_map",
    "recovery.signal",
    "standby.signal",
    "promote",
    "postmaster.pid",
    "postmaster.opts",
    "backup_label.old",
];

/// The file that gets its name last: without it PostgreSQL starts nothing.
pub(super) const CONTROL_FILE: &str = "global/pg_control";

/// A history file of which nothing is known but that its number is taken; PostgreSQL only looks whether there is one.
const TAKEN: &[u8] = b"# pgmoneta: another server has this timeline\n";

/// How many of them are written at most.
const MOST_TAKEN: usize = 10_000;

/// Everything that a restore writes.
pub(super) struct Work {
    pub places: Places,
    /// The files of the backup, and where they go.
    pub files: Vec<(ManifestFile, PathBuf)>,
    /// `postgresql.auto.conf`, if the backup has one.
    pub auto_conf: Option<ManifestFile>,
    /// The directories and their permission bits, parents first.
    pub directories: Vec<(PathBuf, u32)>,
    /// Symbolic links and their texts, other than those of tablespaces.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// The segments for `pg_wal`, in order, and where their bytes are.
    pub segments: Vec<(Segment, WayFile)>,
    /// The history files for `pg_wal`.
    pub histories: Vec<(Timeline, Vec<u8>)>,
    /// Files of which lines become comments: where they go, and the numbers of the lines.
    pub edited: Vec<(ManifestFile, PathBuf, Vec<usize>)>,
    /// The settings.
    pub adapted: Adapted,
    /// What the person is told.
    pub plan: Plan,
}

/// Plans a restore, and checks that there is room for it.
pub(super) fn plan(
    context: &Context,
    server: &Server,
    options: &Options,
    position: &Position,
    choice: &mut Choice,
) -> Result<Work> {
    let name = format!("{}-{}", server.name, choice.backup.label);
    let places = Places::new(
        options,
        &context.config.base_dir,
        &name,
        &choice.manifest.tablespaces,
    )?;
    let open = open_segment(context, server, choice.segments.size());
    let mut warnings = warnings(choice, &places, open)?;
    let adapted = adapt(context, server, options, position, choice, &name)?;
    warnings.extend(adapted.warnings.iter().cloned());
    let mut work = Work {
        files: Vec::with_capacity(choice.manifest.files.len()),
        auto_conf: None,
        directories: Vec::with_capacity(choice.manifest.directories.len()),
        links: Vec::new(),
        segments: segments(choice),
        histories: histories(choice, position.role).context("read the timeline histories")?,
        plan: Plan {
            target: places.data.clone(),
            tablespaces: places.tablespaces.clone(),
            position: describe(position, choice),
            settings: adapted.settings(),
            warnings,
            ..Plan::default()
        },
        edited: Vec::new(),
        adapted,
        places,
    };
    let unknown = choice.reach.not_known.map(replayed::unknown);
    work.plan.warnings.extend(unknown);
    let mut demand = Demand::default();
    let offer = config_files::offer(choice, &work.places, &mut demand);
    work.take_files(choice, &mut demand);
    work.take_offer(offer);
    work.take_wal(choice, &mut demand);
    demand.check()?;
    Ok(work)
}

impl Work {
    fn take_files(&mut self, choice: &mut Choice, demand: &mut Demand) {
        // Taken, not copied: of a cluster with a million files there is one list.
        for (path, mode) in std::mem::take(&mut choice.manifest.directories) {
            let (place, path) = self.places.locate(&path);
            demand.add(place, 1);
            self.directories.push((path, mode));
        }
        for (path, text) in &choice.manifest.links {
            // WAL goes into the new data directory, wherever the old server had it.
            if path != Path::new("pg_wal") {
                self.links.push((self.places.locate(path).1, text.clone()));
            }
        }
        for file in std::mem::take(&mut choice.manifest.files) {
            if LEFT_OUT.iter().any(|name| Path::new(name) == file.path) {
                continue;
            }
            let (place, path) = self.places.locate(&file.path);
            demand.add(place, file.size);
            self.plan.files += 1;
            self.plan.bytes = self.plan.bytes.saturating_add(file.size);
            let comments = self.adapted.comments_of(&file.path);
            if file.path == Path::new(AUTO_CONF) {
                self.auto_conf = Some(file);
            } else if comments.is_empty() {
                self.files.push((file, path));
            } else {
                self.edited.push((file, path, comments));
            }
        }
        // Large files first: in the end all threads have something small to do.
        self.files
            .sort_by_key(|(file, _)| std::cmp::Reverse(file.size));
    }

    fn take_offer(&mut self, offer: Offer) {
        let directories = offer.directories.into_iter();
        self.directories
            .extend(directories.map(|path| (path, 0o700)));
        self.files.extend(offer.files);
        self.plan.warnings.extend(offer.warnings);
    }

    fn take_wal(&mut self, choice: &Choice, demand: &mut Demand) {
        let size = choice.segments.size();
        for (segment, _) in &self.segments {
            demand.add(&self.places.data, size.bytes());
            self.plan.wal.push(segment.name(size));
            self.plan.wal_bytes = self.plan.wal_bytes.saturating_add(size.bytes());
        }
        for (timeline, content) in &self.histories {
            let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
            demand.add(&self.places.data, bytes);
            self.plan.wal.push(timeline.history_name());
            self.plan.wal_bytes = self.plan.wal_bytes.saturating_add(bytes);
        }
    }
}

/// The segments from the beginning of the backup to the end of what is replayed, named as recovery looks for them.
/// Their bytes may come from the file of another timeline: up to where timelines part, these are the same.
fn segments(choice: &Choice) -> Vec<(Segment, WayFile)> {
    let size = choice.segments.size().bytes();
    let last = choice.reach.needed.0.saturating_sub(1) / size;
    let files = choice.reach.files.iter();
    let files = files.take_while(|file| file.segment.number <= last);
    let named = |file: &WayFile| {
        let number = file.segment.number;
        let segment = choice.segments.on_way(&choice.reach.history, number);
        (segment, *file)
    };
    files.map(named).collect()
}

/// The segment that is being received, which the daemon itself has open.
fn open_segment(context: &Context, server: &Server, size: SegmentSize) -> Option<Segment> {
    let state = context.board.receiver(&server.name);
    let timeline = state.timeline.filter(|_| state.is_streaming())?;
    Some(Segment::containing(timeline, state.flushed, size))
}

/// What a person must know.
fn warnings(choice: &mut Choice, places: &Places, open: Option<Segment>) -> Result<Vec<String>> {
    let mut warnings = std::mem::take(&mut choice.warnings);
    warnings.extend(unproven(choice, &segments(choice), open));
    warnings.extend(replayed::check(&choice.reach.tablespaces, places)?);
    Ok(warnings)
}

/// What to say of WAL that is not encrypted, as the backup is: it was archived while the configuration did not encrypt, it
/// was received last and is not sealed, or somebody else has put it there. Not of the segment that is `open`.
fn unproven(
    choice: &Choice,
    files: &[(Segment, WayFile)],
    open: Option<Segment>,
) -> Option<String> {
    if choice.backup.info.encryption == Encryption::None {
        return None;
    }
    let size = choice.segments.size();
    let mut plain = files
        .iter()
        .filter(|(_, file)| Some(file.segment) != open && choice.segments.is_unproven(file));
    let first = plain.next()?.1.segment.name(size);
    let last = plain.next_back().map_or(String::new(), |(_, file)| {
        format!(" and others up to {}", file.segment.name(size))
    });
    Some(format!(
        "the WAL segment {first}{last} in the archive is not encrypted, although the backup is: that nobody has changed it is \
         not proven"
    ))
}

/// The history files: for a server of its own all there are, since it takes for its new timeline the first number
/// after those that it knows; for a standby none of a number higher than that of its way, since it would go over to the
/// highest. Both count from one number to the next and end where one is missing (`findNewestTimeLine`, PostgreSQL
/// `timeline.c`): a standby begins with the timeline of the backup.
fn histories(choice: &Choice, role: Role) -> Result<Vec<(Timeline, Vec<u8>)>> {
    let segments = &choice.segments;
    let last = choice.reach.history.timeline();
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
        Role::Replica => choice.backup.info.start.0,
    };
    let taken: Vec<Timeline> = taken(from, &found).collect();
    histories.extend(taken.into_iter().map(|timeline| (timeline, TAKEN.to_vec())));
    histories.sort_by_key(|(timeline, _)| *timeline);
    Ok(histories)
}

/// The numbers between `from` and the highest history that are in none: PostgreSQL would take the first of them for the
/// new timeline, and another server has it, since a later number was taken.
fn taken(from: Timeline, found: &BTreeSet<Timeline>) -> impl Iterator<Item = Timeline> {
    let highest = found.last().map_or(0, |timeline| timeline.number());
    let numbers = (from.number().saturating_add(1)..highest).take(MOST_TAKEN);
    let timelines = numbers.filter_map(Timeline::new);
    timelines.filter(|timeline| !found.contains(timeline))
}

/// Where recovery will end, in words.
fn describe(position: &Position, choice: &Choice) -> String {
    use super::scan::Side;
    let reach = &choice.reach;
    let target = &position.target;
    let timeline = reach.history.timeline();
    let at = match reach.hit {
        Some(hit) if hit.side == Side::Before => hit.start,
        Some(hit) => hit.end,
        None => reach.needed,
    };
    let mut text = match target {
        Target::Lsn(lsn) if *lsn == at => format!("{target} of timeline {timeline}"),
        _ => format!("{target}: position {at} of timeline {timeline}"),
    };
    let time = reach
        .hit
        .filter(|hit| hit.side == Side::After)
        .and_then(|hit| hit.time);
    if let Some(time) = time.or(reach.time) {
        text.push_str(&format!(", last transaction {time}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_timelines_that_others_have_are_not_free() {
        let of = |number| Timeline::new(number).unwrap();
        let free = |last, found: &[u32]| {
            let found = found.iter().map(|number| of(*number)).collect();
            taken(of(last), &found)
                .map(Timeline::number)
                .collect::<Vec<u32>>()
        };
        assert_eq!(free(1, &[]), [0; 0]);
        assert_eq!(free(1, &[2, 3]), [0; 0]);
        assert_eq!(free(1, &[3, 6]), [2, 4, 5]);
        assert_eq!(free(3, &[2, 3, 5]), [4]);
        assert_eq!(free(7, &[2, 5]), [0; 0]);
    }
}
