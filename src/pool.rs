//! Runs closures on a fixed number of named threads. Knows no word of what they do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};

use crate::error::{Context, Failure, Kind, Result};

type Work = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that run what is submitted, first come first served. Dropping the pool lets it finish
/// what was submitted and joins its threads.
pub struct Pool {
    sender: Option<Sender<Work>>,
    posted: Option<Sender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

/// The result of a piece of work that is yet to come.
pub struct Ticket<T>(Receiver<std::thread::Result<T>>);

impl Pool {
    /// Starts `workers` threads named `pool/0` and so on, at least one. Submitting blocks while four pieces of work
    /// a thread are waiting.
    pub fn new(workers: usize) -> Result<Pool> {
        let workers = workers.max(1);
        let (sender, receiver) = bounded::<Work>(workers * 4);
        let (post, posted) = unbounded::<Work>();
        let mut pool = Pool {
            sender: Some(sender),
            posted: Some(post),
            threads: Vec::with_capacity(workers),
        };
        for number in 0..workers {
            let (receiver, posted) = (receiver.clone(), posted.clone());
            let thread = std::thread::Builder::new().name(format!("pool/{number}"));
            let thread = thread
                .spawn(move || run(&receiver, &posted))
                .context("start a pool thread")?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// How many threads it has.
    pub fn workers(&self) -> usize {
        self.threads.len()
    }

    /// Hands in work. A panic in it becomes a failure of its ticket, not of the thread.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Ticket<T> {
        Pool::hand_in(self.sender.as_ref(), work)
    }

    /// Hands in work without ever blocking: for the few pieces of those who must not wait. It gets its turn beside what
    /// [`Pool::submit`] hands in, not after it.
    pub fn post<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Ticket<T> {
        Pool::hand_in(self.posted.as_ref(), work)
    }

    fn hand_in<T: Send + 'static>(
        queue: Option<&Sender<Work>>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Ticket<T> {
        let (sender, receiver) = bounded(1);
        let boxed: Work = Box::new(move || {
            // Who dropped the ticket does not want the result.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
        });
        if let Some(queue) = queue {
            // It fails only without threads; then the ticket says so.
            let _ = queue.send(boxed);
        }
        Ticket(receiver)
    }
}

/// What a thread of the pool does: takes work from both queues, at random where both have some, until both are closed.
fn run(submitted: &Receiver<Work>, posted: &Receiver<Work>) {
    loop {
        let (work, other) = select! {
            recv(submitted) -> work => (work, posted),
            recv(posted) -> work => (work, submitted),
        };
        match work {
            Ok(work) => work(),
            // Closed and empty: only the other one can have something left.
            Err(_) => return other.iter().for_each(|work| work()),
        }
    }
}

impl<T> Ticket<T> {
    /// Waits for the result. Fails if the work panicked.
    pub fn wait(self) -> Result<T> {
        match self.0.recv() {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(Failure::new(Kind::Internal, "a pool thread panicked")),
            Err(_) => Err(Failure::new(Kind::Internal, "the pool is gone")),
        }
    }

    /// Whether [`Ticket::wait`] would return at once.
    pub fn is_done(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.sender = None;
        self.posted = None;
        for thread in self.threads.drain(..) {
            // The closures catch their panics, so the threads end in order.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_back_and_a_panic_is_a_failure() {
        let pool = Pool::new(2).unwrap();
        let tickets: Vec<_> = (0..100).map(|n| pool.submit(move || n * 2)).collect();
        let sum: i32 = tickets
            .into_iter()
            .map(|ticket| ticket.wait().unwrap())
            .sum();
        assert_eq!(sum, 9900);
        assert!(pool.submit(|| panic!("on purpose")).wait().is_err());
        assert_eq!(pool.submit(|| 1).wait().unwrap(), 1);
    }
    #[test]
    fn posted_work_waits_for_nobody_and_is_done_before_the_end() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};
        let pool = Pool::new(1).unwrap();
        let (go, wait) = bounded::<()>(0);
        let busy = pool.submit(move || wait.recv().is_ok());
        let count = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let count = count.clone();
            pool.post(move || count.fetch_add(1, Ordering::SeqCst));
        }
        assert_eq!(count.load(Ordering::SeqCst), 0);
        go.send(()).unwrap();
        assert!(busy.wait().unwrap());
        drop(pool);
        assert_eq!(count.load(Ordering::SeqCst), 100);
    }
}
