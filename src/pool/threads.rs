//! The threads of the pool and their queues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};

use crate::error::{Context, Error, ErrorKind, Result};

type Work = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that run the submitted closures in order. Dropping the pool runs what
/// is queued and joins its threads.
pub struct Pool {
    sender: Option<Sender<Work>>,
    unbounded: Option<Sender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

/// A handle to wait for the result of a submitted closure.
pub struct TaskHandle<T>(Receiver<std::thread::Result<T>>);

impl Pool {
    /// Starts `workers` threads named `pool/0` and so on, at least one. [`Pool::submit`] blocks
    /// while four closures for each thread are queued.
    pub fn new(workers: usize) -> Result<Pool> {
        let workers = workers.max(1);
        let (sender, receiver) = bounded::<Work>(workers * 4);
        let (unbounded_sender, unbounded_receiver) = unbounded::<Work>();
        let mut pool = Pool {
            sender: Some(sender),
            unbounded: Some(unbounded_sender),
            threads: Vec::with_capacity(workers),
        };
        for number in 0..workers {
            let (receiver, unbounded) = (receiver.clone(), unbounded_receiver.clone());
            let thread = std::thread::Builder::new().name(format!("pool/{number}"));
            let thread = thread
                .spawn(move || run(&receiver, &unbounded))
                .context("start a pool thread")?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// The number of threads.
    pub fn workers(&self) -> usize {
        self.threads.len()
    }

    /// Queues a closure. A panic in it becomes an error of its handle; the thread goes on.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> TaskHandle<T> {
        Pool::enqueue(self.sender.as_ref(), work)
    }

    /// Queues a closure without blocking, for the few callers that must not wait. Its queue has
    /// the same priority as that of [`Pool::submit`].
    pub fn submit_unbounded<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> TaskHandle<T> {
        Pool::enqueue(self.unbounded.as_ref(), work)
    }

    fn enqueue<T: Send + 'static>(
        queue: Option<&Sender<Work>>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> TaskHandle<T> {
        let (sender, receiver) = bounded(1);
        let boxed: Work = Box::new(move || {
            // It fails only if the handle was dropped.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
        });
        if let Some(queue) = queue {
            // It fails only if all threads have ended; then waiting for the handle fails.
            let _ = queue.send(boxed);
        }
        TaskHandle(receiver)
    }
}

/// Runs closures from both queues, at random where both have some, until both are closed and empty.
fn run(bounded: &Receiver<Work>, unbounded: &Receiver<Work>) {
    loop {
        let (work, other) = select! {
            recv(bounded) -> work => (work, unbounded),
            recv(unbounded) -> work => (work, bounded),
        };
        match work {
            Ok(work) => work(),
            // This queue is closed and empty; the other one may have some left.
            Err(_) => return other.iter().for_each(|work| work()),
        }
    }
}

impl<T> TaskHandle<T> {
    /// Waits for the result. Fails if the closure panicked.
    pub fn wait(self) -> Result<T> {
        match self.0.recv() {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(Error::new(ErrorKind::Internal, "a pool thread panicked")),
            Err(_) => Err(Error::new(ErrorKind::Internal, "the pool has ended")),
        }
    }

    /// Whether [`TaskHandle::wait`] would return at once.
    pub fn is_done(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.sender = None;
        self.unbounded = None;
        for thread in self.threads.drain(..) {
            // Panics are caught in the closures, so joining does not fail.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_returned_and_a_panic_is_an_error() {
        let pool = Pool::new(2).unwrap();
        let handles: Vec<_> = (0..100).map(|n| pool.submit(move || n * 2)).collect();
        let sum: i32 = handles
            .into_iter()
            .map(|handle| handle.wait().unwrap())
            .sum();
        assert_eq!(sum, 9900);
        assert!(pool.submit(|| panic!("on purpose")).wait().is_err());
        assert_eq!(pool.submit(|| 1).wait().unwrap(), 1);
    }

    #[test]
    fn unbounded_submission_never_blocks_and_is_run_before_the_end() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};
        let pool = Pool::new(1).unwrap();
        let (started, is_started) = bounded::<()>(0);
        let (go, wait) = bounded::<()>(0);
        let busy = pool.submit(move || started.send(()).is_ok() && wait.recv().is_ok());
        is_started.recv().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let count = count.clone();
            pool.submit_unbounded(move || count.fetch_add(1, Ordering::SeqCst));
        }
        assert_eq!(count.load(Ordering::SeqCst), 0);
        go.send(()).unwrap();
        assert!(busy.wait().unwrap());
        drop(pool);
        assert_eq!(count.load(Ordering::SeqCst), 100);
    }
}
