//! Free TCP ports.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port; the range is below the ephemeral ports of the kernel.
const FIRST: u16 = 10_000;
/// The size of the range.
const COUNT: u16 = 20_000;

/// A TCP port of 127.0.0.1 that is reserved until the value is dropped, also while no process
/// listens on it, so that a server can be restarted on it.
pub struct Port {
    number: u16,
    /// Prevents other test processes from binding the same number; closed when the process ends.
    _reserved: UdpSocket,
}

impl Port {
    /// Reserves a port on which no process listens.
    pub fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Concurrent test runs begin at different ports.
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

    pub fn number(&self) -> u16 {
        self.number
    }
}

/// A port that is reserved until the process ends.
pub fn free_port() -> u16 {
    let port = Port::reserve();
    let number = port.number();
    std::mem::forget(port);
    number
}
