//! Ours against the peers, on this machine, in one run: `make bench`.
//!
//! - Backup and restore of a 2.9 GB cluster, interleaved, five rounds: ours, `pg_basebackup`, pgBackRest. Each round
//!   runs all of them in turn, so that a machine that slows down slows all of them; medians are compared.
//! - Peak memory of the daemon during a backup of a 20 GB cluster of sparse content.
//! - Processor time of the idle daemon with one server.
//! - Commit latency under synchronous replication: ours against `pg_receivewal --synchronous`.
//!
//! It needs 15 GB below the directory for temporary files, and the Debian packages `postgresql`, `pgbackrest` and
//! `time`. `PGMONETA_BENCH` names the parts to run (`backup sparse idle commit`), all of them without it.
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
mod measure;
mod sparse;

fn main() {
    // `cargo test` runs the targets of `cargo bench` with `--test`: there is nothing to measure then.
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
    if wanted("commit") {
        commit::run();
    }
}
