//! The metrics service: what a scrape says, and what hostile and slow clients get.

mod client;
mod clients;
pub mod promtool;
mod scrape;
mod tls;
