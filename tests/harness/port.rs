//! Ports that nobody else uses.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports from here on, below those that the kernel gives to outgoing connections.
const FIRST: u16 = 10_000;
/// How many.
const COUNT: u16 = 20_000;

/// A TCP port of 127.0.0.1 that is ours while the value lives, also while nobody listens on it: a server that is stopped
/// and started again finds it free.
pub struct Port {
    number: u16,
    /// No other process of the tests can bind the same number meanwhile; the kernel forgets it when the process ends.
    _reserved: UdpSocket,
}

impl Port {
    /// One that nobody has reserved and on which nobody listens.
    pub fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Two runs at once begin at different places.
        let base = (std::process::id() % 200) as u16 * (COUNT / 200);
        for _ in 0..COUNT {
            let offset = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
            let number = FIRST + (base + offset) % COUNT;
            let Ok(reserved) = UdpSocket::bind(("127.0.0.1", number)) else {
                continue;
            };
            if TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self {
                    number,
                    _reserved: reserved,
                };
            }
        }
        panic!("no free port in {FIRST} to {}", FIRST + COUNT - 1);
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// A port that is ours until the process ends.
pub fn free_port() -> u16 {
    let port = Port::reserve();
    let number = port.number();
    std::mem::forget(port);
    number
}
