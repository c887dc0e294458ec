//! A child process that is killed when its value is dropped.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::test_timeout;

/// A child process; killed when dropped.
pub struct Process {
    child: Child,
    name: String,
    /// Set when it has ended; its process id may have been reused since.
    status: Option<ExitStatus>,
}

impl Process {
    /// `name` is for messages.
    pub fn new(child: Child, name: impl Into<String>) -> Self {
        Self {
            child,
            name: name.into(),
            status: None,
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            // It fails if the process has ended, which `wait` reports.
            let _ = kill_process(self.pid(), signal);
        }
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.status = self.child.try_wait().unwrap();
        self.status
    }

    /// Waits for its end; panics after [`test_timeout`].
    pub fn wait(&mut self, seconds: u64) -> ExitStatus {
        self.wait_at_most(seconds).unwrap_or_else(|| {
            panic!(
                "{} has not ended after {:?}",
                self.name,
                test_timeout(seconds)
            )
        })
    }

    /// Sends SIGKILL and waits for its end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.status = Some(self.child.wait().unwrap());
    }

    /// Waits for its end; `None` after [`test_timeout`].
    pub fn wait_at_most(&mut self, seconds: u64) -> Option<ExitStatus> {
        let end = Instant::now() + test_timeout(seconds);
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() > end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
