//! A statement that runs while the test goes on.

use std::thread::JoinHandle;

use postgres::{CancelToken, Error, NoTls};

use super::cluster::Cluster;
use super::wait::wait_until;

/// A statement in its own connection and thread; canceled when dropped.
pub struct RunningStatement {
    cancel: CancelToken,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl RunningStatement {
    /// Starts one or several statements, the latter in one transaction.
    pub fn start(cluster: &Cluster, sql: &str) -> Self {
        let mut client = cluster.connect("postgres");
        let cancel = client.cancel_token();
        let sql = sql.to_owned();
        let thread = std::thread::spawn(move || client.batch_execute(&sql));
        Self {
            cancel,
            thread: Some(thread),
        }
    }

    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for its end.
    pub fn wait(mut self, seconds: u64) -> Result<(), Error> {
        wait_until("the statement ends", seconds, || self.has_ended());
        self.thread
            .take()
            .expect("it is joined once")
            .join()
            .unwrap()
    }
}

impl Drop for RunningStatement {
    fn drop(&mut self) {
        if !self.has_ended() {
            // It fails if the server has ended, which ends the statement too.
            let _ = self.cancel.cancel_query(NoTls);
        }
    }
}
