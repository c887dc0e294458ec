//! Clients that write, and count the commits that the server has acknowledged.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use super::cluster::Cluster;
use super::process::Process;
use super::scratch::Scratch;
use super::wait::wait_until;

/// Clients that insert the numbers 1, 2, 3 … into the table `acknowledged`, one transaction each.
pub struct Load {
    clients: Vec<Client>,
}

struct Client {
    process: Process,
    answers: PathBuf,
}

impl Load {
    /// Starts `clients` clients. Creates the table if it is missing; `round` is part of its key, so
    /// that several loads can use it. Each client waits for `pause` after a transaction.
    pub fn start(
        cluster: &Cluster,
        scratch: &Scratch,
        round: u32,
        clients: u32,
        pause: Duration,
    ) -> Self {
        cluster.sql(
            "CREATE TABLE IF NOT EXISTS acknowledged \
             (round int, client int, n int, filler text, PRIMARY KEY (round, client, n))",
        );
        let start = |client| {
            let answers = scratch.join(format!("answers-{round}-{client}"));
            let mut child = cluster
                .psql("postgres")
                .stdin(Stdio::piped())
                .stdout(File::create(&answers).unwrap())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut input = child.stdin.take().unwrap();
            std::thread::spawn(move || {
                let mut n = 0;
                let _ = writeln!(input, "\\set QUIET off");
                // Ends when psql has exited.
                while writeln!(
                    input,
                    "INSERT INTO acknowledged VALUES ({round}, {client}, {n}, repeat('x', {n} % 300));"
                )
                .is_ok()
                {
                    n += 1;
                    std::thread::sleep(pause);
                }
            });
            Client {
                process: Process::new(child, "psql"),
                answers,
            }
        };
        Self {
            clients: (0..clients).map(start).collect(),
        }
    }

    /// Waits until the clients have ended after the loss of the server; returns the number of
    /// commits that each of them saw.
    pub fn finish(&mut self) -> Vec<u64> {
        for client in &mut self.clients {
            client.process.wait(30);
        }
        self.clients
            .iter()
            .map(|client| {
                let answers = fs::read_to_string(&client.answers).unwrap();
                answers.lines().filter(|line| *line == "INSERT 0 1").count() as u64
            })
            .collect()
    }

    /// Stops the clients while the server runs.
    pub fn stop(&mut self) {
        for client in &mut self.clients {
            client.process.kill();
        }
    }

    /// Waits until each client of that round has committed.
    pub fn wait_begun(&self, cluster: &Cluster, round: u32) {
        let expected = self.clients.len().to_string();
        let sql = format!("SELECT count(DISTINCT client) FROM acknowledged WHERE round = {round}");
        wait_until("every client has written", 30, || {
            cluster.sql(&sql) == expected
        });
    }
}

/// Panics unless a cluster has all commits of a round that each client saw, without a gap.
pub fn assert_all_there(cluster: &Cluster, round: u32, acknowledged: &[u64]) {
    for (client, count) in acknowledged.iter().enumerate() {
        let answer = cluster.sql(&format!(
            "SELECT count(*), coalesce(max(n), -1) FROM acknowledged WHERE round = {round} AND client = {client}"
        ));
        let (rows, last) = answer.split_once('|').unwrap();
        let (rows, last): (u64, i64) = (rows.parse().unwrap(), last.parse().unwrap());
        assert!(
            rows >= *count && rows as i64 == last + 1,
            "client {client} of round {round} saw {count} transactions committed; restored: {rows}, the last one is {last}"
        );
    }
}
