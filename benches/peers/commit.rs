//! Commit latency under synchronous replication, against `pg_receivewal --synchronous`.

use std::path::Path;
use std::process::Stdio;

use crate::harness::{
    Cluster, Daemon, Process, REPLICATION_PASSWORD, REPLICATION_USER, Scratch, client, user,
};
use crate::measure::{median, settle};

const ROUNDS: usize = 16;

pub fn run() {
    let scratch = Scratch::new("commit");
    let cluster = Cluster::builder(&scratch)
        .conf("fsync = on\nautovacuum = off")
        .start();
    cluster.sql("create table commits (id serial, at timestamptz default now())");
    cluster.sql("select pg_create_physical_replication_slot('peer', true)");
    let mut daemon = Daemon::builder(&scratch)
        .global("log_level = warn")
        .server("primary", &cluster)
        .create();
    let script = scratch.write("commit.sql", "insert into commits default values;\n");
    let archive = scratch.directory("receivewal");
    let (mut ours, mut theirs) = (vec![], vec![]);
    for round in 0..=ROUNDS {
        let warm_up = if round == 0 { " (warm-up)" } else { "" };
        eprintln!("round {round} of {ROUNDS}{warm_up}");
        daemon.start();
        let latency = latency_with(&cluster, "pgmoneta", &script);
        daemon.stop();

        let mut receiver = receivewal(&cluster, &archive);
        let other = latency_with(&cluster, "pg_receivewal", &script);
        receiver.kill();
        if round > 0 {
            ours.push(latency);
            theirs.push(other);
        }
    }
    println!("\n### Commit latency under synchronous replication, one client\n");
    println!("| | ms (all) | median ms |\n|---|---|---|");
    for (name, runs) in [
        ("pgmoneta", &ours),
        ("pg_receivewal --synchronous", &theirs),
    ] {
        println!("| {name} | {runs:?} | {:.3} |", median(runs.clone()));
    }
    println!("\nours / theirs: {:.2}", median(ours) / median(theirs));
}

/// The mean latency of commits that wait for the standby `name`, in ms.
fn latency_with(cluster: &Cluster, name: &str, script: &Path) -> f64 {
    let wait_for = |standby: &str| {
        cluster.sql(&format!(
            "alter system set synchronous_standby_names = '{standby}'"
        ));
        cluster.reload();
    };
    cluster.wait_streaming(name);
    wait_for(name);
    cluster.wait_sql(
        "select sync_state from pg_stat_replication where sync_state = 'sync'",
        "sync",
        30,
    );
    settle();
    let mut pgbench = user().command(client("pgbench"));
    pgbench
        .args(["-n", "-c", "1", "-T", "8", "-U", "postgres", "-h"])
        .arg(cluster.sockets())
        .args(["-p", &cluster.port().to_string(), "-f"])
        .arg(script)
        .arg("postgres");
    let output = pgbench.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    wait_for("");
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("latency average = "))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
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
