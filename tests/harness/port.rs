//! Ports that nobody else uses.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports from here on, below those that the kernel gives to outgoing connections.
const FIRST: u16 = 10_000;
/// Ports that one process of the tests takes from.
const BLOCK: u16 = 100;

/// A port that this process has not given out yet and on which nobody listens. Every process of the tests has its
/// own range, so that two runs at once do not meet.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = FIRST + (std::process::id() % 100) as u16 * BLOCK;
    for _ in 0..BLOCK {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % BLOCK;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port in {base} to {}", base + BLOCK - 1);
}
