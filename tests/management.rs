//! The management socket and the life of the daemon, seen from outside.

mod client;
mod detached;
mod documents;
mod exclusion;
mod frames;
mod health;
mod life;
mod paths;
mod running;
mod wire;
