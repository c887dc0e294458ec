//! Measurements of one run, and their summary.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rustix::process::Pid;

use crate::harness::Scratch;

/// The measurements of one run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Elapsed time in seconds.
    pub wall: f64,
    /// CPU time in seconds, user and system, without the server's, which is the same for all
    /// clients of the replication protocol.
    pub cpu: f64,
    /// The stored bytes.
    pub stored: u64,
    /// The largest resident set of one process, in KiB.
    pub peak: u64,
}

/// The upper median.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures a command and its children with `time`.
pub fn command(scratch: &Scratch, command: &Command, stored: &Path) -> Run {
    let report = scratch.join("time");
    let _ = fs::remove_file(&report);
    let mut timed = crate::harness::user().command("/usr/bin/time");
    timed.args(["-f", "%e %U %S %M", "-o"]).arg(&report);
    timed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            timed.env(name, value);
        }
    }
    let output = timed.output().expect("the program `time` is installed");
    assert!(
        output.status.success(),
        "{timed:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report = fs::read_to_string(report).unwrap();
    let figures: Vec<f64> = report
        .split_whitespace()
        .map(|figure| figure.parse().unwrap())
        .collect();
    Run {
        wall: figures[0],
        cpu: figures[1] + figures[2],
        stored: size(stored),
        peak: figures[3] as u64,
    }
}

/// Measures a daemon during `work`.
pub fn daemon(pid: Pid, work: impl FnOnce()) -> Run {
    let process = format!("/proc/{}", pid.as_raw_nonzero());
    // Resets the peak resident set size, proc(5).
    fs::write(format!("{process}/clear_refs"), "5").unwrap();
    let cpu = cpu_seconds(pid);
    let start = Instant::now();
    work();
    let wall = start.elapsed().as_secs_f64();
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap();
    Run {
        wall,
        cpu: cpu_seconds(pid) - cpu,
        stored: 0,
        peak: peak.parse().unwrap(),
    }
}

/// The resident set of a process in KiB, proc(5).
pub fn resident(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|rest| rest.split_whitespace().next());
    figure.unwrap().parse().unwrap()
}

/// The CPU time of a process in seconds, proc(5).
pub fn cpu_seconds(pid: Pid) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let ticks: Vec<&str> = rest.split_whitespace().collect();
    let ticks = ticks[11].parse::<f64>().unwrap() + ticks[12].parse::<f64>().unwrap();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

/// The size of all files below `path` in bytes.
pub fn size(path: &Path) -> u64 {
    let metadata = fs::symlink_metadata(path).unwrap();
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = fs::read_dir(path).unwrap();
    entries.map(|entry| size(&entry.unwrap().path())).sum()
}

/// Writes dirty pages to disk, so that they don't slow down the next run.
pub fn sync_disks() {
    assert!(Command::new("sync").status().unwrap().success());
}

/// Prints a row for each tool, with the ratios of the medians of the first one, pgmoneta, to its
/// own.
pub fn table(title: &str, tools: &[(&str, Vec<Run>)]) {
    println!("\n### {title}\n");
    println!(
        "| | wall s (all) | wall s | cpu s | stored MB | peak RSS MiB | pgmoneta / this: wall | \
         stored |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let of = |runs: &[Run], figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    let ours = &tools[0].1;
    for (name, runs) in tools {
        let all: Vec<String> = runs.iter().map(|run| format!("{:.1}", run.wall)).collect();
        let stored = of(runs, |run| run.stored as f64);
        println!(
            "| {name} | {} | {:.2} | {:.2} | {:.0} | {:.0} | {:.2} | {} |",
            all.join(" "),
            of(runs, |run| run.wall),
            of(runs, |run| run.cpu),
            stored / 1e6,
            of(runs, |run| run.peak as f64) / 1024.0,
            of(ours, |run| run.wall) / of(runs, |run| run.wall),
            if stored > 0.0 {
                format!("{:.3}", of(ours, |run| run.stored as f64) / stored)
            } else {
                "-".to_owned()
            },
        );
    }
}
