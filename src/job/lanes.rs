//! Runs many pieces of work on the pool, so that one long piece holds nobody up and other jobs get their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};

use crate::error::Result;
use crate::pool::{Pool, Ticket};

/// After this long a lane goes back to the end of the pool's queue. A piece that takes longer is not interrupted.
const TURN: Duration = Duration::from_millis(250);

/// What the lanes share.
struct Shared<T, F> {
    items: Vec<T>,
    next: AtomicUsize,
    stopped: AtomicBool,
    work: F,
}

/// Calls `work` for every item, in order, in at most `lanes` threads of the pool at a time. After a failure nothing
/// more is begun; returns when all that was begun has ended, with the first failure. `work` is told by its second
/// argument whether to give up, since another piece failed.
pub(super) fn run<T, F>(pool: &Pool, lanes: usize, items: Vec<T>, work: F) -> Result<()>
where
    T: Send + Sync + 'static,
    F: Fn(&T, &AtomicBool) -> Result<()> + Send + Sync + 'static,
{
    let lanes = lanes.clamp(1, items.len().max(1));
    let shared = Arc::new(Shared {
        items,
        next: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
        work,
    });
    let (sender, ended) = unbounded();
    let start = |lane: usize| {
        let (shared, sender) = (shared.clone(), sender.clone());
        pool.submit(move || {
            let _told = Told(sender, lane);
            shared.turn()
        })
    };
    let mut tickets: Vec<Option<Ticket<Result<bool>>>> =
        (0..lanes).map(|lane| Some(start(lane))).collect();
    let mut outcome = Ok(());
    let mut running = lanes;
    while running > 0 {
        // Every lane tells its end, by a panic too.
        let Ok(lane) = ended.recv() else { break };
        let ticket = tickets.get_mut(lane).and_then(Option::take);
        let Some(ticket) = ticket else { continue };
        running -= 1;
        match ticket.wait().and_then(|turn| turn) {
            Ok(true) if outcome.is_ok() => {
                if let Some(place) = tickets.get_mut(lane) {
                    *place = Some(start(lane));
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
    /// Works for a while; whether there is more to do.
    fn turn(&self) -> Result<bool> {
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
            if begun.elapsed() >= TURN {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Tells the end of a lane, whatever ends it.
struct Told(Sender<usize>, usize);

impl Drop for Told {
    fn drop(&mut self) {
        // Nobody listens only if nobody cares.
        let _ = self.0.send(self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Failure, Kind};
    use std::sync::Mutex;

    #[test]
    fn every_item_is_done_once() {
        let pool = Pool::new(3).unwrap();
        let done = Arc::new(Mutex::new(Vec::new()));
        let inner = done.clone();
        run(&pool, 2, (0..500).collect(), move |item: &i32, _| {
            inner.lock().unwrap().push(*item);
            Ok(())
        })
        .unwrap();
        let mut done = done.lock().unwrap().clone();
        done.sort_unstable();
        assert_eq!(done, (0..500).collect::<Vec<_>>());
        run(&pool, 2, Vec::<i32>::new(), |_, _| Ok(())).unwrap();
    }

    #[test]
    fn a_failure_or_a_panic_ends_it() {
        let pool = Pool::new(2).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let inner = count.clone();
        let failed = run(&pool, 2, (0..100_000).collect(), move |item: &i32, _| {
            inner.fetch_add(1, Ordering::SeqCst);
            match item {
                10 => Err(Failure::new(Kind::Corrupt, "item 10")),
                _ => Ok(()),
            }
        });
        assert_eq!(failed.unwrap_err().kind(), Kind::Corrupt);
        assert!(count.load(Ordering::SeqCst) < 100_000);
        let panicked = run(&pool, 2, vec![1, 2, 3], |item: &i32, _| {
            assert!(*item != 2, "on purpose");
            Ok(())
        });
        assert_eq!(panicked.unwrap_err().kind(), Kind::Internal);
    }
}
