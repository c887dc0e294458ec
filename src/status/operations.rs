//! How the operations of a server ended.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Activity;
use crate::unit::Timestamp;

/// How an operation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// By an error or a panic.
    #[default]
    Failed,
    Succeeded,
    /// It gave way to another one, or is a part of an operation: it does not count.
    Uncounted,
}

/// The operations of one type that have ended since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndedOperations {
    /// How many succeeded.
    pub succeeded: u64,
    /// How many failed.
    pub failed: u64,
    /// When the last one succeeded.
    pub last_success: Option<Timestamp>,
    /// When the last one failed.
    pub last_failure: Option<Timestamp>,
    /// How many bytes the last one that succeeded has processed, and in which time.
    pub last_work: Option<(u64, Duration)>,
}

/// The ended operations of a server by type.
pub type OperationCounts = BTreeMap<Activity, EndedOperations>;

/// Counts one that ended.
pub(super) fn count(
    counts: &mut OperationCounts,
    activity: Activity,
    ending: Ending,
    work: (u64, Duration),
) {
    let now = Some(Timestamp::now());
    match ending {
        Ending::Failed => {
            let ended = counts.entry(activity).or_default();
            ended.failed += 1;
            ended.last_failure = now;
        }
        Ending::Succeeded => {
            let ended = counts.entry(activity).or_default();
            ended.succeeded += 1;
            (ended.last_success, ended.last_work) = (now, Some(work));
        }
        Ending::Uncounted => {}
    }
}
