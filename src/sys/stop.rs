//! The request to stop, which every blocking wait hears.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::{Context, Failure, Kind, Result};

/// A request to stop that many threads wait for while they wait for something else: once [`Stop::request`] was
/// called, its descriptor is readable for ever, so that no wait can miss it. Clones share one request.
#[derive(Clone)]
pub struct Stop(Arc<Inner>);

struct Inner {
    requested: AtomicBool,
    reader: OwnedFd,
    writer: OwnedFd,
}

/// What a wait on a descriptor ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Ready,
    TimedOut,
}

impl Stop {
    /// A request that nobody has made yet.
    pub fn new() -> Result<Stop> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .map_err(|error| Failure::from(error).context("make a pipe"))?;
        Ok(Stop(Arc::new(Inner {
            requested: AtomicBool::new(false),
            reader,
            writer,
        })))
    }

    /// Asks all who hold a clone to stop. Safe to call again.
    pub fn request(&self) {
        if !self.0.requested.swap(true, Ordering::SeqCst) {
            // The pipe is empty, so the one byte always fits.
            let _ = rustix::io::write(&self.0.writer, &[1]);
        }
    }

    /// Whether it was asked for.
    pub fn requested(&self) -> bool {
        self.0.requested.load(Ordering::SeqCst)
    }

    /// Fails with [`Kind::Stopped`] once it was asked for.
    pub fn check(&self) -> Result<()> {
        if self.requested() {
            Err(Stop::failure())
        } else {
            Ok(())
        }
    }

    /// Waits until `fd` can be read; `false` when `timeout` passed first. Fails with [`Kind::Stopped`].
    pub fn wait_readable(&self, fd: BorrowedFd<'_>, timeout: Duration) -> Result<bool> {
        Ok(self.wait(Some((fd, PollFlags::IN)), timeout)? == Woken::Ready)
    }

    /// Waits until `fd` can be written; `false` when `timeout` passed first. Fails with [`Kind::Stopped`].
    pub fn wait_writable(&self, fd: BorrowedFd<'_>, timeout: Duration) -> Result<bool> {
        Ok(self.wait(Some((fd, PollFlags::OUT)), timeout)? == Woken::Ready)
    }

    /// Pauses for `timeout`. Fails with [`Kind::Stopped`] as soon as a stop is asked for.
    pub fn pause(&self, timeout: Duration) -> Result<()> {
        self.wait(None, timeout).map(|_| ())
    }

    fn failure() -> Failure {
        Failure::new(Kind::Stopped, "the daemon is stopping")
    }

    fn wait(&self, other: Option<(BorrowedFd<'_>, PollFlags)>, timeout: Duration) -> Result<Woken> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            self.check()?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds = vec![PollFd::from_borrowed_fd(
                self.0.reader.as_fd(),
                PollFlags::IN,
            )];
            fds.extend(other.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
            match poll(&mut fds, left.as_ref()) {
                Ok(0) => return Ok(Woken::TimedOut),
                Ok(_) => {
                    self.check()?;
                    if fds.get(1).is_some_and(|fd| !fd.revents().is_empty()) {
                        return Ok(Woken::Ready);
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(Failure::from(error).context("wait for a descriptor")),
            }
        }
    }
}

/// From now on the first SIGINT requests `stop` instead of ending the process, and the next one ends it.
#[expect(
    unsafe_code,
    reason = "signal_hook leaves it to us that the action is safe in a signal handler"
)]
pub fn stop_on_interrupt(stop: &Stop) -> Result<()> {
    let (signal, stop) = (signal_hook::consts::SIGINT, stop.clone());
    let again = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register_conditional_default(signal, again.clone())
        .context("watch for SIGINT")?;
    // SAFETY: the action stores to atomics and writes one byte to a pipe: all of it is async-signal-safe.
    unsafe {
        signal_hook::low_level::register(signal, move || {
            again.store(true, Ordering::SeqCst);
            stop.request();
        })
    }
    .context("watch for SIGINT")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_at_once_when_a_stop_is_asked_for() {
        let stop = Stop::new().unwrap();
        let other = stop.clone();
        let waiter = std::thread::spawn(move || other.pause(Duration::from_secs(600)));
        stop.request();
        assert_eq!(waiter.join().unwrap().unwrap_err().kind(), Kind::Stopped);
        assert_eq!(
            stop.pause(Duration::from_secs(600)).unwrap_err().kind(),
            Kind::Stopped
        );
    }

    #[test]
    fn readable_says_whether_bytes_are_there() {
        let stop = Stop::new().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        assert!(!stop.wait_readable(reader.as_fd(), Duration::ZERO).unwrap());
        rustix::io::write(&writer, b"x").unwrap();
        assert!(
            stop.wait_readable(reader.as_fd(), Duration::from_secs(600))
                .unwrap()
        );
    }
}
