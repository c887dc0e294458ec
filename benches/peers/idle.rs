//! CPU time of the idle daemon.

use std::thread::sleep;
use std::time::Duration;

use crate::harness::{Cluster, Daemon, Scratch};
use crate::measure::cpu_seconds;

const SECONDS: u64 = 60;

pub fn run() {
    let scratch = Scratch::new("idle");
    let cluster = Cluster::builder(&scratch).start();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    cluster.wait_streaming("pgmoneta");
    let pid = daemon.process().pid();
    sleep(Duration::from_secs(2));
    let before = cpu_seconds(pid);
    sleep(Duration::from_secs(SECONDS));
    let used = cpu_seconds(pid) - before;
    println!("\n### The idle daemon with one server\n");
    println!(
        "{:.3} % of a core ({used:.2} s in {SECONDS} s)",
        used * 100.0 / SECONDS as f64
    );
}
