//! Which way of timelines recovery takes from a backup.

use std::ops::ControlFlow;

use super::walk::{Ending, Walk};
use super::{Segments, Walked};
use crate::error::{Failure, Kind, Result};
use crate::format::TimelineHistory;
use crate::repository::BackupInfo;
use crate::sys::Stop;
use crate::unit::{Lsn, Segment, Timeline};

/// Which way recovery takes where timelines part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimelineChoice {
    /// To the newest timeline on the way of the one that the archive follows, if that way comes from the backup; else
    /// as `Latest`.
    #[default]
    Followed,
    /// To the highest timeline that comes from the backup's.
    Latest,
    /// It stays on the backup's timeline.
    Current,
    /// To this one.
    Number(Timeline),
}

/// Finds the way from a backup. `Followed` and `Latest` pass over timelines without a record behind their beginning:
/// there the timeline before has more. PostgreSQL's `latest` looks at the numbers alone (`findNewestTimeLine`,
/// `timeline.c`) and then refuses what is no descendant.
pub fn choose(
    segments: &Segments,
    backup: &BackupInfo,
    choice: TimelineChoice,
    stop: &Stop,
) -> Result<TimelineHistory> {
    let chosen = match choice {
        TimelineChoice::Current => None,
        TimelineChoice::Number(timeline) => return number(segments, backup, timeline),
        TimelineChoice::Latest => latest(segments, backup, stop)?,
        TimelineChoice::Followed => match followed(segments, backup, stop)? {
            None => latest(segments, backup, stop)?,
            way => way,
        },
    };
    if let Some(way) = chosen {
        return Ok(way);
    }
    let own = known(segments, backup, backup.end.0)?;
    Ok(own.unwrap_or_else(|| TimelineHistory::alone(backup.end.0)))
}

/// The way that the backup is to lie on: to the newest timeline with WAL of its own among the one that the archive follows
/// and those before it, or to the highest one. `None` if it is not known, or the choice says by itself which backups fit.
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
            let way = newest_begun(segments, &history, |_| true, stop)?;
            Ok(Some(way.unwrap_or(history)))
        }
        TimelineChoice::Latest => highest_begun(segments, None, |_| true, stop),
    }
}

/// The way to the timeline that the archive follows; `None` if that is not known.
pub fn followed_history(segments: &Segments) -> Result<Option<TimelineHistory>> {
    match segments.followed() {
        Some(timeline) => archived(segments, timeline),
        None => Ok(None),
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

/// The way to the newest timeline with WAL of its own among the one that the archive follows and those before it;
/// `None` if that one is not known or does not come from the backup.
fn followed(
    segments: &Segments,
    backup: &BackupInfo,
    stop: &Stop,
) -> Result<Option<TimelineHistory>> {
    let Some(timeline) = segments.followed() else {
        return Ok(None);
    };
    let history = known(segments, backup, timeline)?;
    let Some(history) = history.filter(|history| holds(history, backup)) else {
        return Ok(None);
    };
    let later = |way: &TimelineHistory| way.timeline() > backup.end.0 && holds(way, backup);
    let way = newest_begun(segments, &history, later, stop)?;
    Ok(Some(way.unwrap_or_else(|| history.to(backup.end.0))))
}

/// The way to the newest timeline of a history with WAL of its own, of those that `fits` takes.
fn newest_begun(
    segments: &Segments,
    history: &TimelineHistory,
    fits: impl Fn(&TimelineHistory) -> bool,
    stop: &Stop,
) -> Result<Option<TimelineHistory>> {
    for timeline in history.timelines().rev() {
        let way = history.to(timeline);
        if counts(history, timeline) && fits(&way) && has_begun(segments, &way, stop)? {
            return Ok(Some(way));
        }
    }
    Ok(None)
}

/// The way to the highest timeline with WAL of its own that comes from that of the backup, left after the backup's end;
/// `None` if there is none.
fn latest(
    segments: &Segments,
    backup: &BackupInfo,
    stop: &Stop,
) -> Result<Option<TimelineHistory>> {
    let fits = |way: &TimelineHistory| holds(way, backup);
    highest_begun(segments, Some(backup.end.0), fits, stop)
}

/// The way to the highest timeline with WAL of its own, of those above `above` that `fits` takes.
fn highest_begun(
    segments: &Segments,
    above: Option<Timeline>,
    fits: impl Fn(&TimelineHistory) -> bool,
    stop: &Stop,
) -> Result<Option<TimelineHistory>> {
    let newest_first = segments.timelines().into_iter().rev();
    for timeline in newest_first.take_while(|timeline| Some(*timeline) > above) {
        if let Some(way) = archived(segments, timeline)?.filter(|way| fits(way))
            && has_begun(segments, &way, stop)?
        {
            return Ok(Some(way));
        }
    }
    Ok(None)
}

/// Whether anything of a timeline counts on the way: it had begun before it was left.
fn counts(history: &TimelineHistory, timeline: Timeline) -> bool {
    let end = history.end_of(timeline);
    end.is_none_or(|end| {
        let begin = history.begin_of(timeline);
        begin.is_some_and(|begin| begin < end)
    })
}

/// Whether there is WAL behind the beginning of the last timeline of a way: a record, or what was one before it was
/// damaged or lost. What lies before that, its first segment has from the timeline before.
fn has_begun(segments: &Segments, way: &TimelineHistory, stop: &Stop) -> Result<bool> {
    let Some(switch) = way.switches().last() else {
        return Ok(true);
    };
    let first = Segment::containing(way.timeline(), switch.end, segments.size());
    if segments.goes_on(first) {
        return Ok(true);
    }
    let walk = Walk {
        segments,
        history: way,
        system_identifier: None,
        stop,
    };
    let Walked { ending, .. } = walk.run(switch.end, &mut |_, _| ControlFlow::Break(()))?;
    Ok(!matches!(ending, Ending::Received(_)))
}

/// The history of a timeline; without a file there is none to know but of the first and of the backup's own.
fn known(
    segments: &Segments,
    backup: &BackupInfo,
    timeline: Timeline,
) -> Result<Option<TimelineHistory>> {
    let history = archived(segments, timeline)?;
    let own = timeline == backup.end.0;
    Ok(history.or_else(|| own.then(|| TimelineHistory::alone(timeline))))
}

/// The history of a timeline; without a file there is none to know but of the first.
fn archived(segments: &Segments, timeline: Timeline) -> Result<Option<TimelineHistory>> {
    if let Some(content) = segments.history(timeline)? {
        return TimelineHistory::parse(timeline, &content).map(Some);
    }
    let first = timeline == Timeline::FIRST;
    Ok(first.then(|| TimelineHistory::alone(timeline)))
}

/// Whether the backup lies on the way, from its beginning to its end.
pub fn holds(history: &TimelineHistory, backup: &BackupInfo) -> bool {
    let on = |(timeline, position): (Timeline, Lsn)| {
        history.contains(timeline) && history.end_of(timeline).is_none_or(|left| position <= left)
    };
    on(backup.start) && on(backup.end)
}
