//! The WAL receiver threads.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use super::jobs::join;
use crate::error::{Context as _, Result};
use crate::job;
use crate::job::context::ServerContext;
use crate::sys::Stop;
use crate::unit::ServerName;

/// How long to wait before restarting a receiver. It reconnects by itself, so it ends only by a
/// bug.
const RESTART_DELAY: Duration = Duration::from_secs(5);

/// The threads `wal/<server>`, each with a stop of its own. Stopped on drop.
#[derive(Default)]
pub struct Receivers {
    running: BTreeMap<ServerName, (Stop, JoinHandle<()>)>,
}

impl Receivers {
    /// Starts the receiver of a server unless it is running.
    pub fn start(&mut self, context: &ServerContext) -> Result<()> {
        let name = &context.server.name;
        if self.running.contains_key(name) {
            return Ok(());
        }
        let context = context.with_own_stop()?;
        let stop = context.stop.clone();
        let title = format!("wal/{name}");
        let thread = std::thread::Builder::new().name(title.clone());
        let thread = thread.spawn(move || run_until_stopped(&context));
        let thread = thread.with_context(|| format!("start thread {title}"))?;
        self.running.insert(name.clone(), (stop, thread));
        Ok(())
    }

    /// Stops the receiver of a server, if it is running: it syncs the WAL that it has, reports the
    /// position to the server, and ends. It can be started again.
    pub fn stop(&mut self, server: &ServerName) {
        if let Some((stop, thread)) = self.running.remove(server) {
            stop.request();
            join(thread);
        }
    }

    /// Stops all receivers, at the same time.
    pub fn stop_all(&mut self) {
        let running = std::mem::take(&mut self.running);
        running.values().for_each(|(stop, _)| stop.request());
        running.into_values().for_each(|(_, thread)| join(thread));
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.stop_all();
    }
}

/// Runs the WAL receiver of a server, and restarts it until it is stopped.
fn run_until_stopped(context: &ServerContext) {
    while !context.stop.requested() {
        let result = catch_unwind(AssertUnwindSafe(|| job::wal::run(&context.current())));
        if context.stop.requested() {
            return;
        }
        let how = if result.is_ok() {
            "ended by itself"
        } else {
            "panicked"
        };
        let (name, seconds) = (&context.server.name, RESTART_DELAY.as_secs());
        log::error!(
            "the WAL receiver of server {name} {how}, which is a bug; starting again in {seconds} s"
        );
        if context.stop.pause(RESTART_DELAY).is_err() {
            return;
        }
    }
}
