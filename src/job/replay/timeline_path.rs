//! Chooses the timeline path: the timelines that recovery follows from a backup, each up to its
//! switch point.

use std::ops::ControlFlow;

use super::reader::{Stopped, WalReader};
use super::{ReadResult, Segments};
use crate::error::{Error, ErrorKind, Result};
use crate::format::TimelineHistory;
use crate::repository::BackupInfo;
use crate::sys::Stop;
use crate::unit::{Segment, Timeline, WalPosition};

/// Which timeline recovery goes to, as `recovery_target_timeline` says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimelineChoice {
    /// The newest with WAL of the timeline that the archive follows and its ancestors, if that
    /// history contains the backup; else as `Latest`.
    #[default]
    Followed,
    /// The highest timeline that descends from the backup's.
    Latest,
    /// The backup's timeline.
    Current,
    /// This timeline.
    Number(Timeline),
}

/// Chooses the timeline path from a backup. `Followed` and `Latest` skip timelines without a record
/// after their switch point: their parent has more WAL. PostgreSQL's `latest` looks at the numbers
/// alone (`findNewestTimeLine`, `timeline.c`) and then refuses a timeline that is not a descendant.
pub fn choose_path(
    segments: &Segments,
    backup: &BackupInfo,
    choice: TimelineChoice,
    stop: &Stop,
) -> Result<TimelineHistory> {
    let chosen = match choice {
        TimelineChoice::Current => None,
        TimelineChoice::Number(timeline) => return numbered_path(segments, backup, timeline),
        TimelineChoice::Latest => latest_path(segments, backup, stop)?,
        TimelineChoice::Followed => match followed_path(segments, backup, stop)? {
            None => latest_path(segments, backup, stop)?,
            path => path,
        },
    };
    if let Some(path) = chosen {
        return Ok(path);
    }
    let own = known_history(segments, backup, backup.end.timeline)?;
    Ok(own.unwrap_or_else(|| TimelineHistory::without_ancestors(backup.end.timeline)))
}

/// The timeline path that must contain the backup: to the newest with WAL of the timeline that the
/// archive follows and its ancestors, or to the highest timeline. `None` if it is unknown, or if
/// any backup is possible with this choice.
pub fn target_history(
    segments: &Segments,
    choice: TimelineChoice,
    stop: &Stop,
) -> Result<Option<TimelineHistory>> {
    match choice {
        TimelineChoice::Number(_) => Ok(None),
        TimelineChoice::Followed | TimelineChoice::Current => {
            let Some(history) = followed_history(segments)? else {
                return Ok(None);
            };
            let path = newest_with_wal(segments, &history, |_| true, stop)?;
            Ok(Some(path.unwrap_or(history)))
        }
        TimelineChoice::Latest => highest_with_wal(segments, None, |_| true, stop),
    }
}

/// The history of the timeline that the archive follows; `None` if that is unknown.
pub fn followed_history(segments: &Segments) -> Result<Option<TimelineHistory>> {
    match segments.followed_timeline() {
        Some(timeline) => archived_history(segments, timeline),
        None => Ok(None),
    }
}

fn numbered_path(
    segments: &Segments,
    backup: &BackupInfo,
    timeline: Timeline,
) -> Result<TimelineHistory> {
    let history = known_history(segments, backup, timeline)?.ok_or_else(|| {
        let name = timeline.history_name();
        let message = format!("timeline {timeline} is not known: {name} is not in the WAL archive");
        Error::new(ErrorKind::Unreachable, message)
    })?;
    if contains_backup(&history, backup) {
        return Ok(history);
    }
    let WalPosition { timeline: of, lsn } = backup.end;
    let message = format!(
        "timeline {timeline} does not descend from the backup, which ends at {lsn} of timeline {of}"
    );
    Err(Error::new(ErrorKind::Unreachable, message)
        .with_hint("choose a backup of that timeline, or timeline=latest"))
}

/// The path to the newest with WAL of the timeline that the archive follows and its ancestors;
/// `None` if that timeline is unknown or does not descend from the backup.
fn followed_path(
    segments: &Segments,
    backup: &BackupInfo,
    stop: &Stop,
) -> Result<Option<TimelineHistory>> {
    let Some(timeline) = segments.followed_timeline() else {
        return Ok(None);
    };
    if timeline > backup.end.timeline
        && let Some(why) = segments.history_problem(timeline)?
    {
        let name = timeline.history_name();
        let message = format!(
            "the WAL archive follows timeline {timeline}, and whether that descends from the \
             backup is not known: {name}: {why}"
        );
        return Err(Error::new(ErrorKind::Unreachable, message).with_hint(format!(
            "correct the file, or copy it from the server; timeline={timeline} follows it as it \
             is, timeline={} ends where the backup's timeline does",
            backup.end.timeline
        )));
    }
    let history = known_history(segments, backup, timeline)?;
    let Some(history) = history.filter(|history| contains_backup(history, backup)) else {
        return Ok(None);
    };
    let later = |path: &TimelineHistory| {
        path.timeline() > backup.end.timeline && contains_backup(path, backup)
    };
    let path = newest_with_wal(segments, &history, later, stop)?;
    Ok(Some(
        path.unwrap_or_else(|| history.up_to(backup.end.timeline)),
    ))
}

/// The path to the newest timeline of a history that has WAL and that `accept` accepts.
fn newest_with_wal(
    segments: &Segments,
    history: &TimelineHistory,
    accept: impl Fn(&TimelineHistory) -> bool,
    stop: &Stop,
) -> Result<Option<TimelineHistory>> {
    for timeline in history.timelines().rev() {
        let path = history.up_to(timeline);
        if has_wal_range(history, timeline) && accept(&path) && has_wal(segments, &path, stop)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The path to the highest timeline that has WAL and descends from the backup; `None` if there is
/// none.
fn latest_path(
    segments: &Segments,
    backup: &BackupInfo,
    stop: &Stop,
) -> Result<Option<TimelineHistory>> {
    let accept = |path: &TimelineHistory| contains_backup(path, backup);
    highest_with_wal(segments, Some(backup.end.timeline), accept, stop)
}

/// The path to the highest timeline above `above` that has WAL and that `accept` accepts.
fn highest_with_wal(
    segments: &Segments,
    above: Option<Timeline>,
    accept: impl Fn(&TimelineHistory) -> bool,
    stop: &Stop,
) -> Result<Option<TimelineHistory>> {
    let newest_first = segments.timelines().into_iter().rev();
    for timeline in newest_first.take_while(|timeline| Some(*timeline) > above) {
        if let Some(path) = archived_history(segments, timeline)?.filter(|path| accept(path))
            && has_wal(segments, &path, stop)?
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Whether a history includes any WAL of a timeline: it begins before its switch point.
fn has_wal_range(history: &TimelineHistory, timeline: Timeline) -> bool {
    let end = history.end_of(timeline);
    end.is_none_or(|end| {
        let begin = history.begin_of(timeline);
        begin.is_some_and(|begin| begin < end)
    })
}

/// Whether there is WAL after the switch point to the last timeline of a path: a record, or a
/// damaged or missing one. Its first segment begins with a copy of the WAL of the parent timeline.
fn has_wal(segments: &Segments, path: &TimelineHistory, stop: &Stop) -> Result<bool> {
    let Some(switch) = path.switches().last() else {
        return Ok(true);
    };
    let first = Segment::containing(path.timeline(), switch.end, segments.size());
    if segments.has_later(first) {
        return Ok(true);
    }
    let reader = WalReader {
        segments,
        history: path,
        system_identifier: None,
        strict: false,
        stop,
    };
    let ReadResult { stopped, .. } = reader.read(switch.end, &mut |_, _| ControlFlow::Break(()))?;
    Ok(!matches!(stopped, Stopped::EndOfWal(_)))
}

/// The history of a timeline from its file; without a file only that of timeline 1 and of the
/// backup's timeline.
fn known_history(
    segments: &Segments,
    backup: &BackupInfo,
    timeline: Timeline,
) -> Result<Option<TimelineHistory>> {
    let history = archived_history(segments, timeline)?;
    let own = timeline == backup.end.timeline;
    Ok(history.or_else(|| own.then(|| TimelineHistory::without_ancestors(timeline))))
}

/// The history of a timeline from its file; without a file only that of timeline 1.
fn archived_history(segments: &Segments, timeline: Timeline) -> Result<Option<TimelineHistory>> {
    if let Some(content) = segments.history(timeline)? {
        return TimelineHistory::parse(timeline, &content).map(Some);
    }
    let first = timeline == Timeline::FIRST;
    Ok(first.then(|| TimelineHistory::without_ancestors(timeline)))
}

/// Whether the backup, from its start to its end, is part of the history.
pub fn contains_backup(history: &TimelineHistory, backup: &BackupInfo) -> bool {
    let on = |position: WalPosition| {
        let left = history.end_of(position.timeline);
        history.contains(position.timeline) && left.is_none_or(|left| position.lsn <= left)
    };
    on(backup.start) && on(backup.end)
}
