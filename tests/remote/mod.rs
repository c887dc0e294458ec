//! Remote management: who gets in, and what clients cannot do to others.

mod clear;
mod hostile;
mod setup;
mod start;
mod tls;
