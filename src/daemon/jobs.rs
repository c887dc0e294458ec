//! Threads that serve requests, one for each.

use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::connection;
use super::dispatch::Services;
use super::events::Waker;
use super::schedule::DueTask;
use crate::job;
use crate::job::context::ServerContext;

/// The names of the threads that serve requests begin with this.
const REQUEST_PREFIX: &str = "job/";

/// How many requests may be served at a time.
const MAX_REQUESTS: usize = 64;

/// How long to wait for the jobs at shutdown before logging which ones still run.
const WARN_AFTER: Duration = Duration::from_secs(5);

/// The threads `job/<n>`, `refresh/<server>` and `<scheduled task>/<server>`.
pub(super) struct Jobs {
    threads: Vec<JoinHandle<()>>,
    next: u64,
    waker: Waker,
}

/// Wakes the main thread when a job ends, also by a panic.
struct WakeOnDrop(Waker);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl Jobs {
    pub(super) fn new(waker: Waker) -> Jobs {
        Jobs {
            threads: Vec::new(),
            next: 0,
            waker,
        }
    }

    /// Serves one client in a thread of its own, or refuses it if there are too many.
    pub(super) fn start(&mut self, socket: UnixStream, services: &Services) {
        self.reap();
        let names = self
            .threads
            .iter()
            .filter_map(|thread| thread.thread().name());
        let requests = names.filter(|name| name.starts_with(REQUEST_PREFIX));
        if requests.count() >= MAX_REQUESTS {
            let busy = format!("{MAX_REQUESTS} requests are being served, which is the maximum");
            return connection::refuse_overload(socket, &busy);
        }
        self.next += 1;
        let (services, guard) = (services.current(), WakeOnDrop(self.waker.clone()));
        let second = socket.try_clone();
        let thread = std::thread::Builder::new().name(format!("{REQUEST_PREFIX}{}", self.next));
        let thread = thread.spawn(move || {
            let _guard = guard;
            connection::serve(socket, &services);
        });
        match (thread, second) {
            (Ok(thread), _) => self.threads.push(thread),
            (Err(error), Ok(socket)) => {
                log::error!("start a thread for a request: {error}");
                connection::refuse_overload(socket, "no thread can be started");
            }
            (Err(error), Err(_)) => log::error!("start a thread for a request: {error}"),
        }
    }

    /// Runs [`job::refresh`] for each server, in threads of their own: a server may be slow.
    pub(super) fn refresh(&mut self, servers: &[ServerContext]) {
        for context in servers {
            let context = context.current();
            self.spawn(format!("refresh/{}", context.server.name), move || {
                if let Err(failure) = job::refresh::run(&context) {
                    let (name, why) = (&context.server.name, failure.message_with_hint());
                    log::warn!("server {name}: refresh its state: {why}");
                }
            });
        }
    }

    /// Runs a scheduled task in a thread of its own.
    pub(super) fn run_task(&mut self, due: DueTask<ServerContext>) {
        let name = format!("{}/{}", due.task.name, due.server.server.name);
        self.spawn(name, move || {
            if let Err(failure) = (due.task.run)(&due.server.current()) {
                let (server, why) = (&due.server.server.name, failure.message_with_hint());
                log::error!("server {server}: {}: {why}", due.task.name);
            }
        });
    }

    fn spawn(&mut self, name: String, work: impl FnOnce() + Send + 'static) {
        self.reap();
        let guard = WakeOnDrop(self.waker.clone());
        let thread = std::thread::Builder::new().name(name.clone());
        let thread = thread.spawn(move || {
            let _guard = guard;
            work();
        });
        match thread {
            Ok(thread) => self.threads.push(thread),
            Err(error) => log::error!("start thread {name}: {error}"),
        }
    }

    /// Joins the threads that have ended.
    pub(super) fn reap(&mut self) {
        let (ended, running) = self.threads.drain(..).partition(JoinHandle::is_finished);
        self.threads = running;
        let ended: Vec<JoinHandle<()>> = ended;
        ended.into_iter().for_each(join);
    }

    /// Waits until all threads have ended.
    pub(super) fn join(mut self) {
        let begun = Instant::now();
        let mut warned = false;
        while !self.threads.is_empty() {
            self.reap();
            if !warned && begun.elapsed() > WARN_AFTER {
                warned = true;
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

/// Joins a thread; logs a panic that it did not catch.
pub(super) fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or("a thread").to_owned();
    if thread.join().is_err() {
        log::error!("{name} panicked, which is a bug");
    }
}
