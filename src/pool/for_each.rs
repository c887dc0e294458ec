//! Processes a list of items, shared fairly with other jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};

use super::{Pool, TaskHandle};
use crate::error::Result;

/// After this time a task goes to the end of the pool's queue. An item that takes longer is not
/// interrupted.
const TIME_SLICE: Duration = Duration::from_millis(250);

/// Shared by the tasks of one [`for_each`].
struct Shared<T, F> {
    items: Vec<T>,
    next: AtomicUsize,
    stopped: AtomicBool,
    work: F,
}

/// Calls `work` for every item, in order, on at most `threads` threads of the pool. After an error
/// no further item is started; returns the first error when all calls have returned. The second
/// argument of `work` becomes true when another item has failed: `work` may then return early.
pub fn for_each<T, F>(pool: &Pool, threads: usize, items: Vec<T>, work: F) -> Result<()>
where
    T: Send + Sync + 'static,
    F: Fn(&T, &AtomicBool) -> Result<()> + Send + Sync + 'static,
{
    let threads = threads.clamp(1, items.len().max(1));
    let shared = Arc::new(Shared {
        items,
        next: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
        work,
    });
    let (sender, ended) = unbounded();
    let start = |index: usize| {
        let (shared, sender) = (shared.clone(), sender.clone());
        pool.submit(move || {
            let _guard = NotifyOnDrop(sender, index);
            shared.run_slice()
        })
    };
    let mut handles: Vec<Option<TaskHandle<Result<bool>>>> =
        (0..threads).map(|index| Some(start(index))).collect();
    let mut outcome = Ok(());
    let mut running = threads;
    while running > 0 {
        // Every task sends its index when it ends, also after a panic.
        let Ok(index) = ended.recv() else { break };
        let handle = handles.get_mut(index).and_then(Option::take);
        let Some(handle) = handle else { continue };
        running -= 1;
        match handle.wait().and_then(|more| more) {
            Ok(true) if outcome.is_ok() => {
                if let Some(handle) = handles.get_mut(index) {
                    *handle = Some(start(index));
                    running += 1;
                }
            }
            Ok(_) => {}
            Err(failure) => {
                shared.stopped.store(true, Ordering::SeqCst);
                outcome = outcome.and(Err(failure));
            }
        }
    }
    outcome
}

impl<T, F: Fn(&T, &AtomicBool) -> Result<()>> Shared<T, F> {
    /// Processes items for [`TIME_SLICE`]; returns whether more are left.
    fn run_slice(&self) -> Result<bool> {
        let begun = Instant::now();
        while !self.stopped.load(Ordering::SeqCst) {
            let Some(item) = self.items.get(self.next.fetch_add(1, Ordering::SeqCst)) else {
                return Ok(false);
            };
            let result = (self.work)(item, &self.stopped);
            if result.is_err() {
                self.stopped.store(true, Ordering::SeqCst);
            }
            result?;
            if begun.elapsed() >= TIME_SLICE {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Sends the index of a task when it ends, also by a panic.
struct NotifyOnDrop(Sender<usize>, usize);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        // It fails only if the receiver has returned early.
        let _ = self.0.send(self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use std::sync::Mutex;

    #[test]
    fn every_item_is_processed_once() {
        let pool = Pool::new(3).unwrap();
        let done = Arc::new(Mutex::new(Vec::new()));
        let inner = done.clone();
        for_each(&pool, 2, (0..500).collect(), move |item: &i32, _| {
            inner.lock().unwrap().push(*item);
            Ok(())
        })
        .unwrap();
        let mut done = done.lock().unwrap().clone();
        done.sort_unstable();
        assert_eq!(done, (0..500).collect::<Vec<_>>());
        for_each(&pool, 2, Vec::<i32>::new(), |_, _| Ok(())).unwrap();
    }

    #[test]
    fn an_error_or_a_panic_stops_it() {
        let pool = Pool::new(2).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let inner = count.clone();
        let failed = for_each(&pool, 2, (0..100_000).collect(), move |item: &i32, _| {
            inner.fetch_add(1, Ordering::SeqCst);
            match item {
                10 => Err(Error::new(ErrorKind::Corrupt, "item 10")),
                _ => Ok(()),
            }
        });
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(count.load(Ordering::SeqCst) < 100_000);
        let panicked = for_each(&pool, 2, vec![1, 2, 3], |item: &i32, _| {
            assert!(*item != 2, "on purpose");
            Ok(())
        });
        assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Internal);
    }
}
