//! The integration tests: one binary, one module for each thing that must be shown.
//!
//! | module | shows |
//! |---|---|
//! | [`admin`] | `pgmoneta-admin`: what it makes opens, what it refuses changes nothing, at a terminal too |
//! | [`backup`] | what a backup is: restorable by hand, checked, whole or not there, on every version and from standbys |
//! | [`bad_input`] | servers, disks, files, keys and names that are not as they should be get a clear error |
//! | [`check_config`] | `pgmoneta --check-config` finds nothing in good files and everything in bad ones |
//! | [`crash`] | a killed daemon leaves an old or a new catalogue and WAL without a gap |
//! | [`harness`] | nothing by itself: makes directories, PostgreSQL clusters and daemons, and ends them |
//! | [`layering`] | modules use lower layers only, each crate has one door, `unsafe` and durable file calls stay where they belong |
//! | [`management`] | the management socket, the client and the life of the daemon, seen from outside |
//! | [`manual`] | manual, sample files and option table say the same |
//! | [`matrix`] | backup and recovery on every supported major version |
//! | [`pg`] | the PostgreSQL client against real servers: log-ins, facts, slots, replication, base backups |
//! | [`restore`] | what is restored is what was there at that position; what cannot be reached or is damaged is refused |
//! | [`sync_failure`] | nothing is acknowledged and no backup is listed without a sync |
//! | [`trees`] | random trees of timelines: recovered, promoted, switched back, every end and random moments restored |
//! | [`unmounted`] | a repository that is not there is missed, not made anew, and nothing is acknowledged without it |
//! | [`wal`] | the WAL receiver: streams, comes back, follows timelines, calls for a person, overwrites nothing |
//! | [`zero_loss`] | what clients saw committed survives the loss of the server |
//!
//! Servers and daemons refuse to run as root: run by root, the tests start them as `postgres` (or `nobody`).
//! PostgreSQL is looked for in the usual places and in the directory that `PGMONETA_TEST_SERVERS` names
//! (`target/postgresql` if unset; one directory for each major version, with `bin` in it).
//! A major version that is missing fails the tests where `CI` is set and is reported and left out elsewhere.
//!
//! No test depends on how fast a machine is: it waits for what is done, not for a time, and what must be hit is aimed
//! at by what the program does (`harness::Steps`, `harness::HeldSender`). How long a test waits before it gives up is in
//! one place (`harness::patience`); `PGMONETA_TEST_PATIENCE` is the factor, 4 if unset. A test that takes chances prints
//! `PGMONETA_TEST_SEED`, which can be set to take the same ones again.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]

mod admin;
mod backup;
mod bad_input;
mod check_config;
mod crash;
mod harness;
mod layering;
mod management;
mod manual;
mod matrix;
mod pg;
mod restore;
mod sync_failure;
mod trees;
mod unmounted;
mod wal;
mod zero_loss;
