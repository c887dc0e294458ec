//! The main thread: starts all others, dispatches requests, and shuts down in order.

use std::sync::Arc;
use std::time::Instant;

use super::dispatch::Services;
use super::events::{CHECK_INTERVAL, EventLoop};
use super::jobs::Jobs;
use super::ports::Ports;
use super::receivers::Receivers;
use super::schedule::{Schedule, TASKS};
use super::startup::{Locks, Startup};
use crate::VERSION;
use crate::config::Config;
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::job::context::{DaemonContext, ServerContext};
use crate::job::pace::Pace;
use crate::pool::Pool;
use crate::repository::BaseDirectory;
use crate::sys::{Stop, notify};

/// Owns the threads, the event loop and the locks.
pub(super) struct Supervisor {
    events: EventLoop,
    jobs: Jobs,
    services: Services,
    receivers: Receivers,
    schedule: Schedule<ServerContext>,
    ports: Ports,
    locks: Locks,
}

impl Supervisor {
    /// Removes what crashes left, and starts the threads. To be called after detaching. Leaves no
    /// file behind when it fails.
    pub(super) fn start(startup: Startup) -> Result<Supervisor> {
        let Startup {
            config: config_handle,
            key,
            vault,
            base,
            listener,
            ports,
            mut locks,
        } = startup;
        std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
        let started = locks.write_pid().and_then(|()| {
            let events = EventLoop::new(listener)?;
            let config = config_handle.current();
            sweep(&config, &base, &key);
            let daemon = DaemonContext {
                pool: Arc::new(Pool::new(config.server_defaults.threads())?),
                pace: Arc::new(Pace::new(config.verification_rate.0)),
                disks: Arc::default(),
                stop: Stop::new()?,
                config,
                config_handle,
                base,
                vault,
                key,
            };
            let servers: Arc<[ServerContext]> = daemon.servers()?.into();
            let mut receivers = Receivers::default();
            for server in servers.iter() {
                receivers.start(server)?;
            }
            let schedule = Schedule::new(TASKS, &servers, Instant::now());
            let services = Services {
                daemon,
                servers,
                waker: events.waker(),
            };
            let ports = Ports::start(ports, &services)?;
            Ok((events, services, schedule, receivers, ports))
        });
        match started {
            Ok((events, services, schedule, receivers, ports)) => Ok(Supervisor {
                schedule,
                jobs: Jobs::new(events.waker()),
                services,
                events,
                receivers,
                ports,
                locks,
            }),
            Err(failure) => {
                locks.release();
                Err(failure)
            }
        }
    }

    /// Serves until a signal or a client stops the daemon.
    pub(super) fn run(mut self) -> Result<()> {
        self.log_startup();
        let result = self.serve();
        if let Err(failure) = &result {
            log::error!("{failure}");
        }
        self.stop();
        result
    }

    fn log_startup(&self) {
        let config = &self.services.daemon.config;
        for text in &config.not_implemented {
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
        let mut checked = Instant::now();
        while self.events.wait(self.schedule.timeout(Instant::now()))? {
            self.jobs.reap();
            for due in self.schedule.take_due(Instant::now()) {
                self.jobs.run_task(due);
            }
            let sighup = self.events.take_sighup();
            if sighup {
                self.jobs.refresh(&self.services.servers);
                self.ports.reload(&self.services);
            }
            if sighup || checked.elapsed() >= CHECK_INTERVAL {
                checked = Instant::now();
                if let Some(listener) = self.locks.recreate_missing(&self.services.daemon.config) {
                    self.events.listen(listener)?;
                }
            }
            while let Some(socket) = self.events.accept() {
                self.jobs.start(socket, &self.services);
            }
        }
        Ok(())
    }

    /// Ends in this order: new requests, the receivers, the jobs of local and of remote clients,
    /// the pool. All of them are told to stop first: a receiver waits for its tasks in the pool,
    /// which the tasks of a job may fill.
    fn stop(mut self) {
        notify("STOPPING=1");
        drop(self.events);
        self.ports.close();
        self.services.daemon.stop.request();
        self.receivers.stop_all();
        self.jobs.join();
        self.ports.join();
        // The last users of the pool and of the lock of the repository.
        drop(self.schedule);
        drop(self.services);
        self.locks.release();
        log::info!("stopped");
    }
}

/// Moves the backups of version 0.1.0 to the current layout, and removes what crashes left. An
/// error is only logged: such files are neither backups nor WAL, they just take disk space.
fn sweep(config: &Config, base: &BaseDirectory, key: &MasterKey) {
    for server in &config.servers {
        let name = &server.name;
        let swept = base.repository(name).and_then(|repository| {
            repository.move_backups_of_0_1_0(key)?;
            repository.sweep()
        });
        match swept {
            Ok(0) => {}
            Ok(count) => {
                log::info!("server {name}: removed {count} temporary files of an earlier run")
            }
            Err(failure) => log::warn!("server {name}: {}", failure.message_with_hint()),
        }
    }
}
