//! The integration tests: one binary, one module for each topic.
//!
//! | module | tests |
//! |---|---|
//! | [`admin`] | `pgmoneta-admin`: its files can be read, an error changes no file |
//! | [`backup`] | backups: restorable by hand, complete or not listed, from every version |
//! | [`bad_input`] | faulty servers, disks, files, keys and names give a clear error |
//! | [`c_program`] | repositories of the C program are listed, verified and restored |
//! | [`catalogue`] | `delete`, `retain`, `expunge`, `annotate`: wholly or not at all |
//! | [`check_config`] | `pgmoneta --check-config` accepts valid files and reports every error |
//! | [`crash`] | a killed daemon leaves a consistent catalogue and WAL without a gap |
//! | [`harness`] | the test harness: directories, PostgreSQL clusters, daemons, fault injection |
//! | [`layering`] | modules use only lower layers; crates, `unsafe` and fsync only where allowed |
//! | [`life`] | of ten backups of a changing cluster, those that are not deleted restore |
//! | [`management`] | the management socket, the client, start and stop of the daemon |
//! | [`manual`] | the manual, the sample files and the table of options agree |
//! | [`matrix`] | backup and recovery on every supported major version |
//! | [`metrics`] | a scrape says what is true, and no client keeps others from it |
//! | [`monitoring`] | alert rules, dashboard, Nagios plugin and service say what is wrong |
//! | [`pg`] | the PostgreSQL client: login, server info, slots, replication, base backups |
//! | [`remote`] | remote management: who gets in, and what clients cannot do to others |
//! | [`restore`] | a restore has the data of its target; an unreachable one is an error |
//! | [`retention`] | old backups and the WAL that only they need go, the others restore |
//! | [`room`] | a backup that does not fit is refused or stopped, and WAL goes on |
//! | [`scrub`] | verification by the schedule finds damage in backups and in WAL |
//! | [`sync_failure`] | no WAL is acknowledged and no backup is listed without an fsync |
//! | [`trees`] | random trees of timelines by recovery, promotion and switch-back |
//! | [`unmounted`] | a missing repository is not recreated, and no WAL is acknowledged |
//! | [`wal`] | the WAL receiver: streams, reconnects, follows timelines, raises alarms |
//! | [`zero_loss`] | with synchronous replication no acknowledged commit is lost with the server |
//!
//! Servers and daemons refuse to run as root: run by root, the tests start them as `postgres` (or
//! `nobody`). PostgreSQL is searched in the usual directories and in the directory that
//! `PGMONETA_TEST_SERVERS` names (`target/postgresql` if unset; one directory for each major
//! version, with `bin` in it). A missing major version fails the tests if `CI` is set; else it is
//! reported and skipped.
//!
//! No test depends on the speed of the machine: it waits for a condition, not for a time, and
//! controls the moment of a fault by the system calls of the program (`harness::Steps`,
//! `harness::StoppedWalSender`). All timeouts come from `harness::test_timeout`;
//! `PGMONETA_TEST_PATIENCE` is their factor, 4 if unset. A test with random choices prints
//! `PGMONETA_TEST_SEED`, which can be set to repeat them.
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
mod c_program;
mod catalogue;
mod check_config;
mod crash;
mod harness;
mod layering;
mod life;
mod management;
mod manual;
mod matrix;
mod metrics;
mod monitoring;
mod pg;
mod remote;
mod restore;
mod retention;
#[cfg(target_os = "linux")]
mod room;
mod scrub;
mod sync_failure;
mod trees;
mod unmounted;
mod wal;
mod zero_loss;
