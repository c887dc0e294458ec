//! The timeline history files of a WAL archive, compared with each other.
//!
//! A history file has no checksum. But PostgreSQL copies that of the parent to the one of each new
//! timeline (`writeTimeLineHistory`, PostgreSQL 18 `timeline.c`): a file that was changed
//! contradicts those of the timelines that descend from it, and of its ancestors.

use std::collections::BTreeMap;

use super::WalDirectory;
use crate::error::Result;
use crate::format::TimelineHistory;
use crate::unit::Timeline;

/// The histories that have a file in the archive.
pub struct Histories(BTreeMap<Timeline, std::result::Result<TimelineHistory, String>>);

impl WalDirectory {
    /// Reads all history files.
    pub fn histories(&self) -> Result<Histories> {
        let timelines = self.history_timelines()?.into_iter();
        let read = timelines.map(|timeline| (timeline, self.read_history(timeline)));
        Ok(Histories(read.collect()))
    }

    fn read_history(&self, timeline: Timeline) -> std::result::Result<TimelineHistory, String> {
        let content = match self.history(timeline) {
            Ok(content) => content.unwrap_or_default(),
            Err(failure) => return Err(failure.message().to_owned()),
        };
        match TimelineHistory::parse(timeline, &content) {
            Ok(history) if history.switches().is_empty() => Err("it has no entries".to_owned()),
            Ok(history) => Ok(history),
            Err(failure) => Err(failure.message().to_owned()),
        }
    }
}

impl Histories {
    /// The history of a timeline; or why it is not known: its file is missing, damaged, or
    /// contradicts that of another timeline.
    pub fn get(&self, timeline: Timeline) -> std::result::Result<TimelineHistory, String> {
        if timeline == Timeline::FIRST {
            return Ok(TimelineHistory::first());
        }
        let Some(history) = self.0.get(&timeline) else {
            return Err("it is missing".to_owned());
        };
        let history = history.as_ref().map_err(Clone::clone)?;
        let mut others = self.0.values().flatten();
        match others.find(|other| !history.agrees_with(other)) {
            Some(other) => {
                let name = other.timeline().history_name();
                Err(format!("it contradicts {name}"))
            }
            None => Ok(history.clone()),
        }
    }
}
