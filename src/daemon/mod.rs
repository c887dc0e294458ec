//! The daemon: startup, request dispatch, thread supervision, shutdown.
//!
//! `run` does all that can fail while it can still report to the terminal, then detaches if asked
//! to, then starts the threads: one WAL receiver for each server, one job for each request, and
//! what `schedule` lists when it is due. The jobs are in `job`; `command` runs them and puts their
//! outcomes into documents.

mod certificates;
mod command;
mod connection;
mod dispatch;
mod events;
mod http;
mod jobs;
mod lock;
mod metrics;
mod nagios;
mod port;
mod ports;
mod receivers;
mod remote;
mod run;
mod schedule;
mod socket;
mod startup;
mod supervisor;

#[cfg(any(test, fuzzing))]
pub(crate) use http::fuzz;
pub use receivers::Receivers;
pub(crate) use run::{Mode, check, run};
