//! The connections of a port: how many there are, and which one is closed for another.

use std::collections::BTreeMap;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a wait looks whether the port closes.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a connection that was closed may take to end, before another one is closed.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// What connections are counted by: an IPv4 address, or the network of an IPv6 address, since one
/// host usually has all addresses of a /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressKey([u8; 16]);

impl AddressKey {
    /// The key of an address.
    pub fn of(address: IpAddr) -> AddressKey {
        AddressKey(match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => (u128::from(address) >> 64 << 64).to_be_bytes(),
        })
    }
}

/// The connections that a port has.
pub struct Places {
    max: usize,
    state: Mutex<State>,
    /// Notified when a connection ends, begins to wait, or is closed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    places: BTreeMap<u64, Entry>,
    next: u64,
    closing: bool,
}

struct Entry {
    address: AddressKey,
    /// A second descriptor, to close the connection from another thread.
    socket: TcpStream,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has proven nothing yet, or waits for the next request, since then.
    Waits(Instant),
    /// It is served and is not closed for another one.
    Served,
    /// It was closed for another one, and its thread has not ended yet.
    Evicted(Instant),
}

/// The place of one connection, which it leaves when this is dropped.
pub struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Places {
    /// For at most `max` connections.
    pub fn new(max: usize) -> Arc<Places> {
        Arc::new(Places {
            max: max.max(1),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Takes a place for a connection, which `socket` is a second descriptor of. Waits until there
    /// is one, and closes connections for it, of which it tells `evicted`. `None` once the port
    /// closes.
    pub fn take(
        self: &Arc<Self>,
        address: IpAddr,
        socket: TcpStream,
        evicted: &dyn Fn(),
    ) -> Option<Place> {
        let mut state = self.lock();
        loop {
            if state.closing {
                return None;
            }
            if state.places.len() < self.max {
                break;
            }
            if state.evict(Instant::now()) {
                drop(state);
                self.changed.notify_all();
                evicted();
                state = self.lock();
            } else {
                state = self.wait(state, CHECK_INTERVAL);
            }
        }
        let number = state.next;
        state.next += 1;
        let entry = Entry {
            address: AddressKey::of(address),
            socket,
            phase: Phase::Waits(Instant::now()),
        };
        state.places.insert(number, entry);
        Some(Place {
            places: Arc::clone(self),
            number,
        })
    }

    /// Closes a connection that waits, to get its descriptors; `false` if there is none.
    pub fn evict(&self) -> bool {
        let evicted = self.lock().evict(Instant::now());
        self.changed.notify_all();
        evicted
    }

    /// Ends all waits: no place is taken any more.
    pub fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, timeout: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl State {
    /// Closes the connection that has waited longest, of the address with most of those that wait,
    /// unless one that was closed is about to end.
    fn evict(&mut self, now: Instant) -> bool {
        let ending = |entry: &Entry| match entry.phase {
            Phase::Evicted(since) => now.saturating_duration_since(since) < END_TIMEOUT,
            _ => false,
        };
        if self.places.values().any(ending) {
            return false;
        }
        let mut waiting: BTreeMap<AddressKey, Vec<(Instant, u64)>> = BTreeMap::new();
        for (number, entry) in &self.places {
            if let Phase::Waits(since) = entry.phase {
                waiting
                    .entry(entry.address)
                    .or_default()
                    .push((since, *number));
            }
        }
        let oldest = |connections: &Vec<(Instant, u64)>| connections.iter().min().copied();
        let victim = waiting
            .values()
            .max_by_key(|connections| (connections.len(), std::cmp::Reverse(oldest(connections))));
        let Some((_, number)) = victim.and_then(oldest) else {
            return false;
        };
        if let Some(entry) = self.places.get_mut(&number) {
            entry.phase = Phase::Evicted(now);
            // Fails if the client has closed it already.
            let _ = entry.socket.shutdown(Shutdown::Both);
        }
        true
    }
}

impl Place {
    /// From now on the connection is not closed for another one. `false` if that has happened.
    pub fn serve(&self) -> bool {
        self.set(Phase::Served)
    }

    /// From now on the connection may be closed for another one, when it has waited longest.
    /// `false` if that has happened.
    pub fn wait(&self) -> bool {
        let waits = self.set(Phase::Waits(Instant::now()));
        self.places.changed.notify_all();
        waits
    }

    /// Sleeps; `false` at once when the connection is closed for another one, or the port closes.
    pub fn pause(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        let mut state = self.places.lock();
        loop {
            let entry = state.places.get(&self.number);
            let evicted = entry.is_none_or(|entry| matches!(entry.phase, Phase::Evicted(_)));
            if evicted || state.closing {
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.places.wait(state, left);
        }
    }

    fn set(&self, phase: Phase) -> bool {
        let mut state = self.places.lock();
        match state.places.get_mut(&self.number) {
            Some(entry) if !matches!(entry.phase, Phase::Evicted(_)) => {
                entry.phase = phase;
                true
            }
            _ => false,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().places.remove(&self.number);
        self.places.changed.notify_all();
    }
}
