//! Which way of timelines recovery takes from a backup.

use super::Segments;
use crate::error::{Failure, Kind, Result};
use crate::format::TimelineHistory;
use crate::repository::BackupInfo;
use crate::unit::{Lsn, Timeline};

/// Which way recovery takes where timelines part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimelineChoice {
    /// To the newest timeline that comes from the backup's.
    #[default]
    Latest,
    /// It stays on the backup's timeline.
    Current,
    /// To this one.
    Number(Timeline),
}

/// Finds the way from a backup. `Latest` is the highest timeline of which there is WAL and which comes from that of the
/// backup, left after the backup's end; PostgreSQL's `latest` looks at the numbers alone (`findNewestTimeLine`) and then
/// refuses what is no descendant.
pub fn choose(
    segments: &Segments,
    backup: &BackupInfo,
    choice: TimelineChoice,
) -> Result<TimelineHistory> {
    match choice {
        TimelineChoice::Current => known(segments, backup, backup.end.0)
            .map(|history| history.unwrap_or_else(|| TimelineHistory::alone(backup.end.0))),
        TimelineChoice::Number(timeline) => number(segments, backup, timeline),
        TimelineChoice::Latest => latest(segments, backup),
    }
}

fn number(segments: &Segments, backup: &BackupInfo, timeline: Timeline) -> Result<TimelineHistory> {
    let history = known(segments, backup, timeline)?.ok_or_else(|| {
        let name = timeline.history_name();
        let message = format!("timeline {timeline} is not known: {name} is not in the WAL archive");
        Failure::new(Kind::Unreachable, message)
    })?;
    if holds(&history, backup) {
        return Ok(history);
    }
    let (of, end) = backup.end;
    let message = format!(
        "timeline {timeline} does not come from the backup, which ends at {end} of timeline {of}"
    );
    Err(Failure::new(Kind::Unreachable, message)
        .hint("choose a backup of that timeline, or timeline=latest"))
}

fn latest(segments: &Segments, backup: &BackupInfo) -> Result<TimelineHistory> {
    let own = backup.end.0;
    for timeline in segments.timelines().into_iter().rev() {
        if timeline <= own {
            break;
        }
        let history = known(segments, backup, timeline)?;
        if let Some(history) = history.filter(|history| holds(history, backup)) {
            return Ok(history);
        }
    }
    choose(segments, backup, TimelineChoice::Current)
}

/// The history of a timeline; without a file there is none to know but of the first and of the backup's own.
fn known(
    segments: &Segments,
    backup: &BackupInfo,
    timeline: Timeline,
) -> Result<Option<TimelineHistory>> {
    if let Some(content) = segments.archive().history(timeline)? {
        return TimelineHistory::parse(timeline, &content).map(Some);
    }
    let alone = timeline == Timeline::FIRST || timeline == backup.end.0;
    Ok(alone.then(|| TimelineHistory::alone(timeline)))
}

/// Whether the backup lies on the way, from its beginning to its end.
fn holds(history: &TimelineHistory, backup: &BackupInfo) -> bool {
    let on = |(timeline, position): (Timeline, Lsn)| {
        let left = history.end_of(timeline);
        history.contains(timeline) && left.is_none_or(|left| position <= left)
    };
    on(backup.start) && on(backup.end)
}
