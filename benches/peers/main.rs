//! Benchmarks against other tools on the same machine: `make bench`.
//!
//! - Backup and restore of a 2.9 GB cluster, five rounds: pgmoneta, `pg_basebackup`, pgBackRest.
//!   Each round runs all of them in turn, so that changes in the load of the machine affect all;
//!   medians are compared.
//! - Peak memory of the daemon during a backup of a 20 GB cluster of sparse content.
//! - CPU time of the idle daemon with one server.
//! - Start, answers and memory of a daemon with 1,000 backups and 100,000 WAL segments.
//! - Commit latency under synchronous replication: pgmoneta and `pg_receivewal --synchronous`.
//!
//! They need 15 GB in the directory for temporary files, and the Debian packages `postgresql`,
//! `pgbackrest` and `time`. `PGMONETA_BENCH` selects the parts (`backup sparse idle many
//! commit`); all if unset.
#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]

#[path = "../../tests/harness/mod.rs"]
mod harness;

mod backup;
mod commit;
mod data;
mod idle;
mod many;
mod measure;
mod sparse;

fn main() {
    // `cargo test` runs this program too, without `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let parts = std::env::var("PGMONETA_BENCH").unwrap_or_default();
    let wanted = |part: &str| parts.is_empty() || parts.split_whitespace().any(|p| p == part);
    if wanted("backup") {
        backup::run();
    }
    if wanted("sparse") {
        sparse::run();
    }
    if wanted("idle") {
        idle::run();
    }
    if wanted("many") {
        many::run();
    }
    if wanted("commit") {
        commit::run();
    }
}
