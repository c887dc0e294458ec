//! The daemon: start, accept, dispatch, restart what ends, stop.
//!
//! [`run`] does all that can fail while the shell still listens, then detaches if asked to, then starts the threads:
//! one receiver for each server, one job for each request. What a request does is in `job`; here it is only handed
//! there, and its outcome put into a document.

mod connection;
mod dispatch;
mod document;
mod events;
mod jobs;
mod prepare;
mod receivers;
mod run;
mod socket;
mod supervisor;

pub use run::{Mode, run};
