//! The threads that serve requests.

use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::connection;
use super::dispatch::Services;
use super::events::Wake;
use crate::job;
use crate::job::context::Context;

/// How many requests are served at a time.
const MOST: usize = 64;

/// How long to wait for jobs that were told to stop before saying which ones are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The threads `job/<n>`.
pub(super) struct Jobs {
    threads: Vec<JoinHandle<()>>,
    next: u64,
    wake: Wake,
}

/// Wakes the main thread when a job ends, however it ends.
struct Ended(Wake);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl Jobs {
    pub(super) fn new(wake: Wake) -> Jobs {
        Jobs {
            threads: Vec::new(),
            next: 0,
            wake,
        }
    }

    /// Serves one client in a thread of its own; tells the client so if that cannot be.
    pub(super) fn start(&mut self, socket: UnixStream, services: &Services) {
        self.reap();
        if self.threads.len() >= MOST {
            let busy = format!("{MOST} requests are being served, and that is the most");
            return connection::overloaded(socket, &busy);
        }
        self.next += 1;
        let (services, ended) = (services.clone(), Ended(self.wake.clone()));
        let second = socket.try_clone();
        let thread = std::thread::Builder::new().name(format!("job/{}", self.next));
        let thread = thread.spawn(move || {
            let _ended = ended;
            connection::serve(socket, &services);
        });
        match (thread, second) {
            (Ok(thread), _) => self.threads.push(thread),
            (Err(error), Ok(socket)) => {
                log::error!("start a thread for a request: {error}");
                connection::overloaded(socket, "no thread can be started");
            }
            (Err(error), Err(_)) => log::error!("start a thread for a request: {error}"),
        }
    }

    /// Reads again what is known of each server, in threads of their own: a server may take its time.
    pub(super) fn refresh(&mut self, context: &Context) {
        self.reap();
        for server in &context.config.servers {
            let (context, server, ended) =
                (context.clone(), server.clone(), Ended(self.wake.clone()));
            let thread = std::thread::Builder::new().name(format!("refresh/{}", server.name));
            let thread = thread.spawn(move || {
                let _ended = ended;
                if let Err(failure) = job::refresh::run(&context, &server) {
                    log::warn!(
                        "server {}: read its state again: {}",
                        server.name,
                        failure.told()
                    );
                }
            });
            match thread {
                Ok(thread) => self.threads.push(thread),
                Err(error) => log::error!("start a thread to read the state of servers: {error}"),
            }
        }
    }

    /// Joins those that have ended.
    pub(super) fn reap(&mut self) {
        let (ended, running) = self.threads.drain(..).partition(JoinHandle::is_finished);
        self.threads = running;
        let ended: Vec<JoinHandle<()>> = ended;
        ended.into_iter().for_each(join);
    }

    /// Waits for the end of all.
    pub(super) fn join(mut self) {
        let begun = Instant::now();
        let mut said = false;
        while !self.threads.is_empty() {
            self.reap();
            if !said && begun.elapsed() > PATIENCE {
                said = true;
                let threads = self.threads.iter();
                let names: Vec<_> = threads
                    .filter_map(|thread| thread.thread().name())
                    .collect();
                log::warn!("still waiting for {}", names.join(", "));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Joins a thread; a panic that it did not catch is logged.
pub(super) fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or("a thread").to_owned();
    if thread.join().is_err() {
        log::error!("{name} panicked, which is a bug");
    }
}
