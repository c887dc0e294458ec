//! A server that stops sending, without a word.

use rustix::process::{Pid, Signal, kill_process};

use super::cluster::Cluster;

/// A process of a server that sends WAL, stopped until the value is dropped: its connection stays, and nothing comes.
/// A backup that is taken meanwhile reads everything and then waits for its WAL, however long.
pub struct HeldSender(Pid);

impl HeldSender {
    /// Stops the one that sends to a receiver of that application name.
    pub fn stop(cluster: &Cluster, application_name: &str) -> Self {
        let pid = cluster.sql(&format!(
            "SELECT pid FROM pg_stat_replication WHERE application_name = '{application_name}' \
             AND state = 'streaming'"
        ));
        let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        Self(pid)
    }
}

impl Drop for HeldSender {
    fn drop(&mut self) {
        // Fails when it is gone, which whoever needs it sees.
        let _ = kill_process(self.0, Signal::CONT);
    }
}
