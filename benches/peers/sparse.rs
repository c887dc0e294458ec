//! Peak memory during a backup of a 20 GB cluster of sparse content.

use std::fs::{self, File};

use crate::harness::{Cluster, Daemon, Scratch, user};
use crate::measure::daemon as measure_daemon;

const SEGMENTS: u64 = 20;

pub fn run() {
    let scratch = Scratch::new("sparse");
    let mut cluster = Cluster::builder(&scratch).conf("autovacuum = off").start();
    cluster.execute("create table sparse (id int)");
    cluster.execute("insert into sparse values (1)");
    let path = cluster.data().join(cluster.relation_path("sparse"));
    cluster.stop();
    for number in 0..SEGMENTS {
        let segment = if number == 0 {
            path.clone()
        } else {
            format!("{}.{number}", path.display()).into()
        };
        let file = File::options()
            .create(true)
            .append(true)
            .open(&segment)
            .unwrap();
        file.set_len(1 << 30).unwrap();
        fs::set_permissions(&segment, fs::metadata(&path).unwrap().permissions()).unwrap();
        user().chown(&segment);
    }
    cluster.start();
    let mut daemon = Daemon::builder(&scratch)
        .global("log_level = warn\nworkers = 2\ncompression = zstd")
        .server("primary", &cluster)
        .start();
    let pid = daemon.process().pid();
    let run = measure_daemon(pid, || {
        daemon.cli(&["backup", "primary"]).ok();
    });
    println!("\n### Backup of a {SEGMENTS} GB cluster of sparse content\n");
    println!(
        "peak RSS of the daemon {:.0} MiB, {:.1} s, {:.1} s of processor time",
        run.peak as f64 / 1024.0,
        run.wall,
        run.cpu
    );
}
