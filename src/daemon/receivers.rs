//! The threads that receive WAL.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use super::jobs::join;
use crate::config::Server;
use crate::error::{Context as _, Result};
use crate::job;
use crate::job::context::Context;
use crate::sys::Stop;

/// How long to wait before a receiver that ended is started again. It reconnects by itself, so it ends by bugs only.
const PAUSE: Duration = Duration::from_secs(5);

/// The threads `wal/<server>`. They stop before the jobs do, so they have a request of their own.
pub(super) struct Receivers {
    threads: Vec<JoinHandle<()>>,
    stop: Stop,
}

impl Receivers {
    /// Starts one for each server. If one cannot be started, those that were are stopped.
    pub(super) fn start(context: &Context) -> Result<Receivers> {
        let mut receivers = Receivers {
            threads: Vec::new(),
            stop: Stop::new()?,
        };
        for server in &context.config.servers {
            let (context, server) = (
                Context {
                    stop: receivers.stop.clone(),
                    ..context.clone()
                },
                server.clone(),
            );
            let name = format!("wal/{}", server.name);
            let thread = std::thread::Builder::new().name(name.clone());
            match thread.spawn(move || keep(&context, &server)) {
                Ok(thread) => receivers.threads.push(thread),
                Err(error) => {
                    receivers.stop();
                    return Err(error).with_context(|| format!("start thread {name}"));
                }
            }
        }
        Ok(receivers)
    }

    /// Lets all sync what they have, report it, and leave.
    pub(super) fn stop(self) {
        self.stop.request();
        self.threads.into_iter().for_each(join);
    }
}

/// Runs the receiver of a server until the daemon stops.
fn keep(context: &Context, server: &Server) {
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
        let (name, seconds) = (&server.name, PAUSE.as_secs());
        log::error!(
            "the WAL receiver of server {name} {how}, which is a bug; starting again in {seconds} s"
        );
        if context.stop.pause(PAUSE).is_err() {
            return;
        }
    }
}
