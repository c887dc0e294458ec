//! The main thread: starts all others, hands requests out, and ends everything in order.

use std::sync::Arc;
use std::time::Instant;

use super::dispatch::Services;
use super::events::{EventLoop, TEND};
use super::jobs::Jobs;
use super::prepare::{Held, Prepared};
use super::receivers::Receivers;
use crate::config::Config;
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::job::context::Context;
use crate::pool::Pool;
use crate::protocol::VERSION;
use crate::repository::BaseDirectory;
use crate::status::Board;
use crate::sys::{Stop, notify};

/// Who runs everything else: the threads, and what they are told.
pub(super) struct Supervisor {
    events: EventLoop,
    jobs: Jobs,
    services: Services,
    receivers: Receivers,
    held: Held,
}

impl Supervisor {
    /// Clears what crashes left, and starts the threads. To be called in the process that stays. Nothing stays behind
    /// when it fails.
    pub(super) fn start(prepared: Prepared) -> Result<Supervisor> {
        let Prepared {
            config,
            key,
            vault,
            base,
            listener,
            mut held,
        } = prepared;
        std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
        let started = held.write_pid().and_then(|()| {
            let events = EventLoop::new(listener)?;
            sweep(&config, &base, &key);
            let context = Context {
                board: Board::new(),
                pool: Arc::new(Pool::new(config.workers)?),
                stop: Stop::new()?,
                config,
                base,
                vault,
                key,
            };
            let receivers = Receivers::start(&context)?;
            Ok((events, context, receivers))
        });
        match started {
            Ok((events, context, receivers)) => Ok(Supervisor {
                jobs: Jobs::new(events.wake()),
                services: Services {
                    context,
                    wake: events.wake(),
                },
                events,
                receivers,
                held,
            }),
            Err(failure) => {
                held.release();
                Err(failure)
            }
        }
    }

    /// Serves until a signal or a client ends it.
    pub(super) fn run(mut self) -> Result<()> {
        self.say_started();
        let result = self.serve();
        if let Err(failure) = &result {
            log::error!("{failure}");
        }
        self.stop();
        result
    }

    fn say_started(&self) {
        let config = &self.services.context.config;
        for text in &config.not_yet {
            log::warn!("{text}");
        }
        log::info!(
            "pgmoneta {VERSION} started, configuration {}",
            config.path.display()
        );
        for server in &config.servers {
            let (name, host, port) = (&server.name, &server.host, server.port);
            log::info!(
                "server {name}: {host}, port {port}, slot {}",
                server.wal_slot
            );
        }
        notify(&format!(
            "READY=1\nSTATUS=Running\nMAINPID={}",
            std::process::id()
        ));
    }

    fn serve(&mut self) -> Result<()> {
        let mut tended = Instant::now();
        while self.events.wait()? {
            self.jobs.reap();
            let hang_up = self.events.take_hang_up();
            if hang_up {
                self.jobs.refresh(&self.services.context);
            }
            if hang_up || tended.elapsed() >= TEND {
                tended = Instant::now();
                if let Some(listener) = self.held.tend(&self.services.context.config) {
                    self.events.listen(listener)?;
                }
            }
            while let Some(socket) = self.events.accept() {
                self.jobs.start(socket, &self.services);
            }
        }
        Ok(())
    }

    /// Ends everything: no new requests, then the receivers, then the jobs, then the pool.
    fn stop(self) {
        notify("STOPPING=1");
        drop(self.events);
        self.receivers.stop();
        self.services.context.stop.request();
        self.jobs.join();
        drop(self.services);
        self.held.release();
        log::info!("stopped");
    }
}

/// Puts the backups of version 0.1.0 where they belong now. What a crash left is no backup and no WAL; if it cannot be
/// removed now, it is no harm but the room it takes.
fn sweep(config: &Config, base: &BaseDirectory, key: &MasterKey) {
    for server in &config.servers {
        let name = &server.name;
        let swept = base.repository(name).and_then(|repository| {
            repository.adopt(key)?;
            repository.sweep()
        });
        match swept {
            Ok(0) => {}
            Ok(count) => log::info!("server {name}: removed {count} left-overs of an earlier run"),
            Err(failure) => log::warn!("server {name}: {}", failure.told()),
        }
    }
}
