//! A TCP port with threads of its own, apart from the event loop: one accepts connections, and each
//! connection has one. No protocol is known here.
//!
//! The number of connections is limited. When all places are taken, a connection that has proven
//! nothing yet (see [`Place::serve`]) is closed in favour of a new one: the oldest from the address
//! that has most of them. So neither idle nor slow clients keep others out.

mod accept;
mod log_limit;
mod places;
#[cfg(test)]
mod tests;

pub(super) use accept::{Port, PortOptions, PortService};
pub(super) use places::{AddressKey, Place};
