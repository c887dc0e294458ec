//! Commit latency under synchronous replication, compared with `pg_receivewal --synchronous`.
//!
//! The speed of a shared disk varies over time. So the two run alternately, in pairs within
//! seconds; the order changes with each pair, and the ratios of the pairs are compared. Only one of
//! them is connected at a time: with each commit the server wakes all of its WAL senders, in order.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::harness::{
    Cluster, Daemon, Process, REPLICATION_PASSWORD, REPLICATION_USER, Scratch, client, user,
};
use crate::measure::{median, sync_disks};

const PAIRS: usize = 16;

/// The duration of one run in seconds.
const SECONDS: &str = "4";

/// The commit latency of one run in ms.
#[derive(Clone, Copy)]
struct Latency {
    mean: f64,
    median: f64,
}

pub fn run() {
    let scratch = Scratch::new("commit");
    let cluster = Cluster::builder(&scratch)
        .conf("fsync = on\nautovacuum = off")
        .start();
    cluster.execute("create table commits (id serial, at timestamptz default now())");
    cluster.execute("select pg_create_physical_replication_slot('peer', true)");
    let mut daemon = Daemon::builder(&scratch)
        .global("log_level = warn")
        .server("primary", &cluster)
        .create();
    let script = scratch.write("commit.sql", "insert into commits default values;\n");
    let archive = scratch.directory("receivewal");
    let log = scratch.directory("pgbench");
    let (mut ours, mut theirs) = (vec![], vec![]);
    for pair in 0..=PAIRS {
        let warm_up = if pair == 0 { " (warm-up)" } else { "" };
        eprintln!("pair {pair} of {PAIRS}{warm_up}");
        for turn in 0..2 {
            let (latency, latencies) = if (pair + turn) % 2 == 0 {
                daemon.start();
                let latency = latency_with(&cluster, "pgmoneta", &script, &log);
                daemon.stop();
                (latency, &mut ours)
            } else {
                let mut receiver = receivewal(&cluster, &archive);
                let latency = latency_with(&cluster, "pg_receivewal", &script, &log);
                receiver.kill();
                (latency, &mut theirs)
            };
            if pair > 0 {
                latencies.push(latency);
            }
        }
    }
    print(&ours, &theirs);
}

fn print(ours: &[Latency], theirs: &[Latency]) {
    println!("\n### Commit latency under synchronous replication, one client\n");
    println!("| | mean of each run, ms | median of the means | median of the medians |");
    println!("|---|---|---|---|");
    let of = |runs: &[Latency], figure: fn(&Latency) -> f64| {
        runs.iter().map(figure).collect::<Vec<f64>>()
    };
    for (name, runs) in [("pgmoneta", ours), ("pg_receivewal --synchronous", theirs)] {
        let means = of(runs, |run| run.mean);
        let all: Vec<String> = means.iter().map(|mean| format!("{mean:.3}")).collect();
        let medians = median(of(runs, |run| run.median));
        println!(
            "| {name} | {} | {:.3} | {medians:.3} |",
            all.join(" "),
            median(means)
        );
    }
    let ratio = |figure: fn(&Latency) -> f64| {
        let pairs = ours.iter().zip(theirs);
        median(
            pairs
                .map(|(ours, theirs)| figure(ours) / figure(theirs))
                .collect(),
        )
    };
    println!(
        "\npgmoneta / pg_receivewal, median of the pairs: {:.3} by the mean of a run, {:.3} by \
         its median",
        ratio(|run| run.mean),
        ratio(|run| run.median)
    );
}

/// The latency of commits that wait for the standby `name`.
fn latency_with(cluster: &Cluster, name: &str, script: &Path, log: &Path) -> Latency {
    cluster.wait_streaming(name);
    set_synchronous_standby(cluster, name);
    cluster.wait_true(
        "select count(*) = 1 from pg_stat_replication where sync_state = 'sync'",
        30,
    );
    sync_disks();
    let latencies = commit_latencies(cluster, script, log);
    set_synchronous_standby(cluster, "");
    Latency {
        mean: latencies.iter().sum::<f64>() / latencies.len() as f64,
        median: median(latencies),
    }
}

/// Sets `synchronous_standby_names`.
fn set_synchronous_standby(cluster: &Cluster, name: &str) {
    cluster.execute(&format!(
        "alter system set synchronous_standby_names = '{name}'"
    ));
    cluster.reload();
}

/// Runs commits with one client; returns the latency of each in ms.
fn commit_latencies(cluster: &Cluster, script: &Path, log: &Path) -> Vec<f64> {
    let mut pgbench = user().command(client("pgbench"));
    pgbench
        .args(["-n", "-c", "1", "-T", SECONDS, "-U", "postgres", "-h"])
        .arg(cluster.sockets())
        .args(["-p", &cluster.port().to_string(), "-l", "--log-prefix"])
        .arg(log.join("log"))
        .arg("-f")
        .arg(script)
        .arg("postgres");
    let output = pgbench.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let file = fs::read_dir(log).unwrap().next().unwrap().unwrap().path();
    // `client_id transaction_no time ...`, the time in microseconds.
    let latencies = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| line.split(' ').nth(2).unwrap().parse::<f64>().unwrap() / 1000.0)
        .collect();
    fs::remove_file(file).unwrap();
    latencies
}

fn receivewal(cluster: &Cluster, archive: &Path) -> Process {
    let mut receiver = user().command(client("pg_receivewal"));
    receiver
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &cluster.port().to_string(),
            "-U",
            REPLICATION_USER,
        ])
        .args(["--synchronous", "--slot=peer", "-D"])
        .arg(archive)
        .env("PGPASSWORD", REPLICATION_PASSWORD)
        .stderr(Stdio::null());
    Process::new(receiver.spawn().unwrap(), "pg_receivewal")
}
