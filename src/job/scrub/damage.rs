//! Says what damaged WAL affects.

use crate::format::TimelineHistory;
use crate::job::replay::contains_backup;
use crate::repository::Backup;
use crate::unit::{Lsn, Segment, SegmentSize};

/// How many backups a message names.
const MAX_NAMED: usize = 5;

/// Damage in the WAL along a history.
pub(super) struct Damage<'a> {
    /// The valid ones, oldest first.
    pub backups: &'a [Backup],
    pub history: &'a TimelineHistory,
    pub size: SegmentSize,
}

impl Damage<'_> {
    /// What is wrong with damaged segments, and what that affects.
    pub(super) fn problem(
        &self,
        (first, last, between): (Segment, Segment, &str),
        why: &str,
        end: Lsn,
    ) -> String {
        let size = self.size;
        let names = match first == last {
            true => format!("WAL segment {} is damaged", first.name(size)),
            false => {
                let (first, last) = (first.name(size), last.name(size));
                format!("WAL segments {first}{between}{last} are damaged")
            }
        };
        let affected = self.affected(end, last.end(size));
        format!("{names}: {why}; {affected}")
    }

    /// Which backups and which interval damage affects: the WAL is good up to `end`, and after
    /// `after`.
    fn affected(&self, end: Lsn, after: Lsn) -> String {
        let on_path = |backup: &&Backup| contains_backup(self.history, &backup.info);
        let on_path: Vec<&Backup> = self.backups.iter().filter(on_path).collect();
        let (before, later): (Vec<&Backup>, Vec<&Backup>) = on_path
            .into_iter()
            .partition(|backup| backup.info.start.lsn < after);
        let labels = before.iter().map(|backup| backup.label.to_string());
        let mut names: Vec<String> = labels.take(MAX_NAMED).collect();
        if before.len() > MAX_NAMED {
            names.push(format!("{} more", before.len() - MAX_NAMED));
        }
        let backups = match names.as_slice() {
            [] => return "no backup needs it".to_owned(),
            [name] => format!("the backup {name}"),
            names => format!("the backups {}", names.join(", ")),
        };
        let next = later.iter().map(|backup| backup.info.end.lsn).min();
        let interval = match next {
            Some(next) => format!("no position from there to {next}, the end of the next backup,"),
            None => "no later position".to_owned(),
        };
        format!("{backups} can be recovered up to {end} only, and {interval} can be reached")
    }
}
