//! A repository with many backups and WAL segments.

use std::fs;
use std::time::Instant;

use crate::harness::{KEEP_ALL, Scratch, many, write_owned};
use crate::measure::{median, resident};

const BACKUPS: u32 = 1000;
const SEGMENTS: u32 = 100_000;
const ROUNDS: usize = 5;

pub fn run() {
    let scratch = Scratch::new("many");
    let mut daemon = many(&scratch, BACKUPS, SEGMENTS);
    println!("\n### {BACKUPS} backups and {SEGMENTS} WAL segments\n");
    let begun = Instant::now();
    daemon.start();
    daemon.cli(&["list-backup", "primary"]).ok();
    println!(
        "start to the first list: {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    for words in [
        &["list-backup", "primary"][..],
        &["status"],
        &["info", "primary", "newest"],
        &["retention", "primary"],
    ] {
        let times = (0..ROUNDS).map(|_| {
            let begun = Instant::now();
            daemon.cli(words);
            begun.elapsed().as_secs_f64()
        });
        println!("{}: {:.2} s", words[0], median(times.collect()));
    }
    let resident = resident(daemon.process().pid());
    println!(
        "resident set of the idle daemon: {:.0} MiB",
        resident as f64 / 1024.0
    );
    daemon.stop();
    let text = fs::read_to_string(daemon.configuration()).unwrap();
    write_owned(
        &daemon.configuration(),
        text.replace(KEEP_ALL, "retention = 7"),
    );
    daemon.start();
    for option in [Some("--dry-run"), None] {
        let words = ["retention", "primary"].into_iter().chain(option);
        let begun = Instant::now();
        daemon.cli(&words.collect::<Vec<_>>()).ok();
        println!(
            "retention of all but one{}: {:.2} s",
            option.map_or_else(String::new, |option| format!(" {option}")),
            begun.elapsed().as_secs_f64()
        );
    }
}
