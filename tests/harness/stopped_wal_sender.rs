//! A WAL sender that stops sending without closing the connection.

use rustix::process::{Pid, Signal, kill_process};

use super::cluster::Cluster;

/// A WAL sender process, stopped by SIGSTOP until the value is dropped: its connection stays open,
/// and sends no data. A backup that is taken meanwhile copies all files and then waits for its WAL.
pub struct StoppedWalSender(Pid);

impl StoppedWalSender {
    /// Stops the WAL sender of a receiver with that application name.
    pub fn stop(cluster: &Cluster, application_name: &str) -> Self {
        let pid: i32 = cluster.query_value(&format!(
            "SELECT pid FROM pg_stat_replication WHERE application_name = '{application_name}' \
             AND state = 'streaming'"
        ));
        let pid = Pid::from_raw(pid).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        Self(pid)
    }
}

impl Drop for StoppedWalSender {
    fn drop(&mut self) {
        // It fails if the process has ended, which the test notices.
        let _ = kill_process(self.0, Signal::CONT);
    }
}
