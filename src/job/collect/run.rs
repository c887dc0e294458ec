//! What is due, by the schedule.

use std::time::{Duration, Instant};

use super::{disk, server};
use crate::error::Result;
use crate::job::context::ServerContext;
use crate::status::{Inventory, Observation};

/// How often [`scheduled`] runs: so long after an operation has ended its result may be missing.
const INTERVAL: Duration = Duration::from_secs(2);

/// How often the disk is looked at where no operation has ended, and the server is asked.
const PERIOD: Duration = Duration::from_secs(60);

/// How often [`scheduled`] runs; `None` if neither the metrics nor the Nagios service is on.
pub(crate) fn interval(context: &ServerContext) -> Option<Duration> {
    let config = &context.daemon.config;
    (config.metrics != 0 || config.nagios != 0).then_some(INTERVAL)
}

/// Collects what is due for the metrics of a server.
pub(crate) fn scheduled(context: &ServerContext) -> Result<()> {
    let status = &context.status;
    let known = status.inventory();
    if is_due(known.tried_at) || known.changes != status.changes() {
        collect_disk(context, &known);
    }
    let known = status.observation();
    if is_due(known.tried_at) {
        observe(context, &known);
    }
    Ok(())
}

fn is_due(last: Option<Instant>) -> bool {
    last.is_none_or(|last| last.elapsed() >= PERIOD)
}

/// After an error the last inventory stays, and becomes older.
fn collect_disk(context: &ServerContext, known: &Inventory) {
    let begun = Instant::now();
    let changes = context.status.changes();
    let mut found = disk::collect(context, known).unwrap_or_else(|failure| {
        let (server, why) = (&context.server.name, failure.message_with_hint());
        // The receiver reports it too if it lasts.
        log::debug!("server {server}: what is stored cannot be collected: {why}");
        known.clone()
    });
    (found.tried_at, found.changes) = (Some(begun), changes);
    context.status.set_inventory(found);
}

/// After an error the last observation stays, and becomes older.
fn observe(context: &ServerContext, known: &Observation) {
    let begun = Instant::now();
    let mut found = server::observe(context).unwrap_or_else(|failure| {
        // The receiver reports a server that cannot be reached.
        let (server, why) = (&context.server.name, failure.message_with_hint());
        log::debug!("server {server}: its state cannot be queried: {why}");
        known.clone()
    });
    found.tried_at = Some(begun);
    context.status.set_observation(found);
}
