//! The request to stop, which interrupts every blocking wait.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::{Context, Error, ErrorKind, Result};

/// A request to stop, which threads poll together with other descriptors: after [`Stop::request`]
/// its descriptor stays readable, so that no wait can miss it. Clones share one request; a child is
/// stopped by a request of its own or of its parent.
#[derive(Clone)]
pub struct Stop(Arc<Inner>);

struct Inner {
    requested: AtomicBool,
    reader: OwnedFd,
    writer: OwnedFd,
    parent: Option<Stop>,
}

/// The result of waiting for a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitResult {
    Ready,
    TimedOut,
}

impl Stop {
    /// A stop that is not requested yet.
    pub fn new() -> Result<Stop> {
        Stop::with_parent(None)
    }

    /// A stop that is requested by a request of its own, which `self` does not see, or by one of
    /// `self`.
    pub fn child(&self) -> Result<Stop> {
        Stop::with_parent(Some(self.clone()))
    }

    fn with_parent(parent: Option<Stop>) -> Result<Stop> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .map_err(|error| Error::from(error).context("create a pipe"))?;
        Ok(Stop(Arc::new(Inner {
            requested: AtomicBool::new(false),
            reader,
            writer,
            parent,
        })))
    }

    /// Requests the stop from all threads with a clone or a child. May be called repeatedly, and in
    /// signal handlers.
    pub fn request(&self) {
        if !self.0.requested.swap(true, Ordering::SeqCst) {
            // The pipe is empty, so the one byte always fits.
            let _ = rustix::io::write(&self.0.writer, &[1]);
        }
    }

    /// Whether the stop, or that of a parent, was requested.
    pub fn requested(&self) -> bool {
        let mut chain = self.with_parents();
        chain.any(|stop| stop.0.requested.load(Ordering::SeqCst))
    }

    fn with_parents(&self) -> impl Iterator<Item = &Stop> {
        std::iter::successors(Some(self), |stop| stop.0.parent.as_ref())
    }

    /// Fails with [`ErrorKind::Stopped`] once the stop was requested.
    pub fn check(&self) -> Result<()> {
        if self.requested() {
            Err(Stop::error())
        } else {
            Ok(())
        }
    }

    /// Waits until `fd` is readable; `false` when `timeout` passed first. Fails with
    /// [`ErrorKind::Stopped`].
    pub fn wait_readable(&self, fd: BorrowedFd<'_>, timeout: Duration) -> Result<bool> {
        Ok(self.wait(Some((fd, PollFlags::IN)), timeout)? == WaitResult::Ready)
    }

    /// Waits until `fd` is writable; `false` when `timeout` passed first. Fails with
    /// [`ErrorKind::Stopped`].
    pub fn wait_writable(&self, fd: BorrowedFd<'_>, timeout: Duration) -> Result<bool> {
        Ok(self.wait(Some((fd, PollFlags::OUT)), timeout)? == WaitResult::Ready)
    }

    /// Sleeps for `timeout`. Fails with [`ErrorKind::Stopped`] as soon as a stop is requested.
    pub fn pause(&self, timeout: Duration) -> Result<()> {
        self.wait(None, timeout).map(|_| ())
    }

    fn error() -> Error {
        Error::new(ErrorKind::Stopped, "the daemon is stopping")
    }

    fn wait(
        &self,
        other: Option<(BorrowedFd<'_>, PollFlags)>,
        timeout: Duration,
    ) -> Result<WaitResult> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            self.check()?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let other = other.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags));
            let mut fds: Vec<_> = other.into_iter().collect();
            fds.extend(
                self.with_parents()
                    .map(|stop| PollFd::from_borrowed_fd(stop.0.reader.as_fd(), PollFlags::IN)),
            );
            match poll(&mut fds, left.as_ref()) {
                Ok(0) => return Ok(WaitResult::TimedOut),
                Ok(_) => {
                    self.check()?;
                    return Ok(WaitResult::Ready);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::from(error).context("wait for a descriptor")),
            }
        }
    }
}

/// A reader that fails once a stop is requested.
pub struct InterruptibleReader<'a, R> {
    inner: R,
    stop: &'a Stop,
}

impl<'a, R: Read> InterruptibleReader<'a, R> {
    /// Reads from `inner` until `stop` is requested.
    pub fn new(inner: R, stop: &'a Stop) -> InterruptibleReader<'a, R> {
        InterruptibleReader { inner, stop }
    }
}

impl<R: Read> Read for InterruptibleReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stop.check()?;
        self.inner.read(buf)
    }
}

/// Installs a handler of SIGINT: the first signal requests `stop`, the second one terminates the
/// process.
#[expect(
    unsafe_code,
    reason = "signal_hook requires that the action is async-signal-safe"
)]
pub fn stop_on_interrupt(stop: &Stop) -> Result<()> {
    let (signal, stop) = (signal_hook::consts::SIGINT, stop.clone());
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register_conditional_default(signal, interrupted.clone())
        .context("handle SIGINT")?;
    // SAFETY: the action stores to atomics and writes one byte to a pipe: all of it is
    // async-signal-safe.
    unsafe {
        signal_hook::low_level::register(signal, move || {
            interrupted.store(true, Ordering::SeqCst);
            stop.request();
        })
    }
    .context("handle SIGINT")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_when_a_stop_is_requested() {
        let stop = Stop::new().unwrap();
        let other = stop.clone();
        let waiter = std::thread::spawn(move || other.pause(Duration::from_secs(600)));
        stop.request();
        assert_eq!(
            waiter.join().unwrap().unwrap_err().kind(),
            ErrorKind::Stopped
        );
        assert_eq!(
            stop.pause(Duration::from_secs(600)).unwrap_err().kind(),
            ErrorKind::Stopped
        );
    }

    #[test]
    fn a_child_stops_with_its_parent_but_not_with_its_siblings() {
        let parent = Stop::new().unwrap();
        let (one, other) = (parent.child().unwrap(), parent.child().unwrap());
        let grandchild = other.child().unwrap();
        one.request();
        assert!(one.requested() && !parent.requested() && !grandchild.requested());
        let waiter = std::thread::spawn(move || grandchild.pause(Duration::from_secs(600)));
        parent.request();
        assert_eq!(
            waiter.join().unwrap().unwrap_err().kind(),
            ErrorKind::Stopped
        );
        assert!(other.requested() && other.child().unwrap().requested());
    }

    #[test]
    fn a_descriptor_with_data_is_readable() {
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
