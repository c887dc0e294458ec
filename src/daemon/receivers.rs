//! The WAL receiver threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use super::jobs::join;
use crate::config::Server;
use crate::error::{Context as _, Result};
use crate::job;
use crate::job::context::JobContext;
use crate::sys::Stop;

/// How long to wait before restarting a receiver. It reconnects by itself, so it ends only by a
/// bug.
const RESTART_DELAY: Duration = Duration::from_secs(5);

/// The threads `wal/<server>`. They stop before the jobs do, so they have a [`Stop`] of their own.
pub(super) struct Receivers {
    threads: Vec<JoinHandle<()>>,
    stop: Stop,
}

impl Receivers {
    /// Starts a receiver for each server. If one fails, the others are stopped.
    pub(super) fn start(context: &JobContext) -> Result<Receivers> {
        let mut receivers = Receivers {
            threads: Vec::new(),
            stop: Stop::new()?,
        };
        for server in &context.config.servers {
            let (context, server) = (
                JobContext {
                    stop: receivers.stop.clone(),
                    ..context.clone()
                },
                server.clone(),
            );
            let name = format!("wal/{}", server.name);
            let thread = std::thread::Builder::new().name(name.clone());
            match thread.spawn(move || run_until_stopped(&context, &server)) {
                Ok(thread) => receivers.threads.push(thread),
                Err(error) => {
                    receivers.stop();
                    return Err(error).with_context(|| format!("start thread {name}"));
                }
            }
        }
        Ok(receivers)
    }

    /// Stops all: they sync the WAL they have, report the position to the server, and end.
    pub(super) fn stop(self) {
        self.stop.request();
        self.threads.into_iter().for_each(join);
    }
}

/// Runs the WAL receiver of a server, and restarts it until the daemon stops.
fn run_until_stopped(context: &JobContext, server: &Server) {
    while !context.stop.requested() {
        let result = catch_unwind(AssertUnwindSafe(|| job::wal::run(context, server)));
        if context.stop.requested() {
            return;
        }
        let how = if result.is_ok() {
            "ended by itself"
        } else {
            "panicked"
        };
        let (name, seconds) = (&server.name, RESTART_DELAY.as_secs());
        log::error!(
            "the WAL receiver of server {name} {how}, which is a bug; starting again in {seconds} s"
        );
        if context.stop.pause(RESTART_DELAY).is_err() {
            return;
        }
    }
}
