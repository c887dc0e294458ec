//! Clients that write, and count the commits that the server has acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use postgres::Client;
use postgres::error::SqlState;

use super::cluster::Cluster;
use super::wait::wait_until;

/// The class of the SQLSTATEs with which a server closes connections when it ends.
const OPERATOR_INTERVENTION: &str = "57";

/// Clients that insert the numbers 0, 1, 2 … into the table `acknowledged`, one transaction each.
pub struct Load {
    /// Each returns the number of commits that it saw.
    clients: Vec<JoinHandle<u64>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Starts `clients` clients. Creates the table if it is missing; `round` is part of its key, so
    /// that several loads can use it. Each client waits for `pause` after a transaction.
    pub fn start(cluster: &Cluster, round: u32, clients: u32, pause: Duration) -> Self {
        cluster.execute(
            "CREATE TABLE IF NOT EXISTS acknowledged \
             (round int, client int, n int, filler text, PRIMARY KEY (round, client, n))",
        );
        let stop = Arc::new(AtomicBool::new(false));
        let start = |client| {
            let mut connection = cluster.connect("postgres");
            let stop = stop.clone();
            std::thread::spawn(move || {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) && insert(&mut connection, round, client, n) {
                    n += 1;
                    std::thread::sleep(pause);
                }
                n
            })
        };
        Self {
            clients: (0..clients).map(start).collect(),
            stop,
        }
    }

    /// Waits until the clients have ended after the loss of the server; returns the number of
    /// commits that each of them saw.
    pub fn finish(mut self) -> Vec<u64> {
        wait_until("the clients end", 30, || {
            self.clients.iter().all(JoinHandle::is_finished)
        });
        let clients = std::mem::take(&mut self.clients).into_iter();
        clients.map(|client| client.join().unwrap()).collect()
    }

    /// Stops the clients while the server runs.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.finish();
    }

    /// Waits until each client of that round has committed.
    pub fn wait_begun(&self, cluster: &Cluster, round: u32) {
        let clients = self.clients.len();
        let sql = format!(
            "SELECT count(DISTINCT client) = {clients} FROM acknowledged WHERE round = {round}"
        );
        cluster.wait_true(&sql, 30);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Whether the client saw the commit of row `n`; panics on an error of a server that is not lost.
fn insert(connection: &mut Client, round: u32, client: u32, n: u64) -> bool {
    let sql =
        format!("INSERT INTO acknowledged VALUES ({round}, {client}, {n}, repeat('x', {n} % 300))");
    // With the simple protocol, as the server commits before it reports the end of the command.
    let Err(error) = connection.batch_execute(&sql) else {
        return true;
    };
    let code = error.code().map_or("", SqlState::code);
    let lost = code.is_empty() || code.starts_with(OPERATOR_INTERVENTION);
    assert!(lost, "{sql}: {error:?}");
    false
}

/// Panics unless a cluster has all commits of a round that each client saw, without a gap.
pub fn assert_all_there(cluster: &Cluster, round: u32, acknowledged: &[u64]) {
    for (client, count) in acknowledged.iter().enumerate() {
        let sql = format!(
            "SELECT n FROM acknowledged WHERE round = {round} AND client = {client} ORDER BY n"
        );
        let numbers: Vec<i32> = cluster.query_values(&sql);
        let (rows, last) = (
            numbers.len() as u64,
            numbers.last().map_or(-1, |n| i64::from(*n)),
        );
        assert!(
            rows >= *count && rows as i64 == last + 1,
            "client {client} of round {round} saw {count} transactions committed; restored: \
             {rows}, the last one is {last}"
        );
    }
}
