//! With `synchronous_standby_names = 'pgmoneta'`: the server is lost with its data directory, and
//! every commit that a client saw is in the restored cluster.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use super::harness::{
    Cluster, Daemon, Load, Process, Random, Scratch, assert_all_there, run, wait_until,
};

const ROUNDS: u32 = 10;

/// The minimum of committed transactions of each kind before the server is lost.
const MIN_TRANSACTIONS: u64 = 50;

#[test]
fn five_servers_are_lost() {
    (0..ROUNDS / 2).for_each(lose_the_server);
}

#[test]
fn five_more_servers_are_lost() {
    (ROUNDS / 2..ROUNDS).for_each(lose_the_server);
}

fn lose_the_server(round: u32) {
    let scratch = Scratch::new("zero");
    // Small segments in some rounds, for more segment switches.
    let mut cluster = Cluster::builder(&scratch)
        .wal_segment_mib(if round.is_multiple_of(2) { 1 } else { 16 })
        .start();
    let daemon = Daemon::builder(&scratch)
        .global(if round.is_multiple_of(3) {
            "compression = none"
        } else {
            "compression = zstd"
        })
        .server("primary", &cluster)
        .start_streaming();
    run(cluster.pgbench().args(["-q", "-i", "-s", "1"]));
    daemon.backup("primary");

    cluster.configure("synchronous_standby_names = 'pgmoneta'");
    cluster.reload();
    cluster.wait_true("SELECT sync_state = 'sync' FROM pg_stat_replication", 30);
    let load = Load::start(&cluster, round, 4, Duration::ZERO);
    let mut bench = start_pgbench(&scratch, &cluster);
    load.wait_begun(&cluster, round);
    // A random number, so that each round stops the server at another point.
    let enough = MIN_TRANSACTIONS + Random::new().below(300);
    wait_until("enough is committed", 60, || {
        cluster.count("acknowledged") >= enough
            && cluster.count("pgbench_history") >= MIN_TRANSACTIONS
    });

    cluster.kill_postmaster();
    remove(cluster.data());
    let acknowledged = load.finish();
    bench.wait(30);
    let transactions = pgbench_transactions(&scratch);
    // A client may not have seen its last commit.
    assert!(
        acknowledged.iter().sum::<u64>() > MIN_TRANSACTIONS / 2
            && transactions > MIN_TRANSACTIONS / 2,
        "too few commits were seen: {acknowledged:?}, {transactions}"
    );

    let data = daemon.restore("primary", "newest", Some("current"), "restored");
    let mut restored =
        Cluster::adopt(&scratch, cluster.major(), data).with("synchronous_standby_names", "");
    restored.start();
    restored.wait_primary(120);
    assert_all_there(&restored, round, &acknowledged);
    let history = restored.count("pgbench_history");
    assert!(
        history >= transactions,
        "pgbench saw {transactions} committed; restored: {history}"
    );
}

/// Removes the data directory, while processes of the killed server may still be writing there.
fn remove(data: &std::path::Path) {
    wait_until("the data directory is gone", 30, || {
        let _ = fs::remove_dir_all(data);
        !data.exists()
    });
}

/// pgbench with a log of the committed transactions; it runs until the server is lost.
fn start_pgbench(scratch: &Scratch, cluster: &Cluster) -> Process {
    let directory = scratch.directory("pgbench");
    let child = cluster
        .pgbench()
        .args(["-n", "-c", "2", "-t", "1000000000", "--log"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Process::new(child, "pgbench")
}

fn pgbench_transactions(scratch: &Scratch) -> u64 {
    let mut lines = 0;
    for entry in fs::read_dir(scratch.join("pgbench")).unwrap() {
        lines += fs::read_to_string(entry.unwrap().path())
            .unwrap()
            .lines()
            .count();
    }
    lines as u64
}
