//! The Nagios service: each connection gets the output of `pgmoneta-cli check` with the default
//! thresholds, as plain text, and is closed. What the client sends is not looked at.

mod service;

pub(super) use service::{NagiosListener, NagiosPort};
