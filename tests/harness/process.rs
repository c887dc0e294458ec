//! A child process that does not outlive its value.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::patience;

/// A child process; killed when dropped.
pub struct Process {
    child: Child,
    name: String,
    /// How it ended; its number may be another process's since.
    status: Option<ExitStatus>,
}

impl Process {
    /// Takes over a child.
    pub fn new(child: Child, name: impl Into<String>) -> Self {
        Self {
            child,
            name: name.into(),
            status: None,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            // Fails when it is gone already, which whoever waits for it sees.
            let _ = kill_process(self.pid(), signal);
        }
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.status = self.child.try_wait().unwrap();
        self.status
    }

    /// Waits for its end; panics when it takes much longer than `seconds` (see [`patience`]).
    pub fn wait(&mut self, seconds: u64) -> ExitStatus {
        self.wait_at_most(seconds)
            .unwrap_or_else(|| panic!("{} has not ended after {:?}", self.name, patience(seconds)))
    }

    /// Ends it at once and waits for its end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.status = Some(self.child.wait().unwrap());
    }

    /// Waits for its end, `None` when it takes much longer.
    pub fn wait_at_most(&mut self, seconds: u64) -> Option<ExitStatus> {
        let end = Instant::now() + patience(seconds);
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
