//! The failed logins of each address, which delay its next ones.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::port::AddressKey;

/// The delay after the second failure in a row; each one after it doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// When failures are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(900);

/// How many addresses are remembered, those with the latest failures.
const MAX_ADDRESSES: usize = 1024;

/// The failures of the last time, by address.
#[derive(Default)]
pub(super) struct Failures(Mutex<BTreeMap<AddressKey, Failed>>);

#[derive(Clone, Copy)]
struct Failed {
    count: u32,
    last: Instant,
}

impl Failures {
    /// How long a login of this address that begins now is delayed.
    pub(super) fn delay(&self, address: AddressKey, now: Instant) -> Duration {
        let table = self.lock();
        let failed = table.get(&address).filter(|failed| !failed.is_old(now));
        let count = failed.map_or(0, |failed| failed.count);
        match count.checked_sub(2) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                FIRST_DELAY.saturating_mul(factor).min(MAX_DELAY)
            }
        }
    }

    /// A login of this address has failed.
    pub(super) fn failed(&self, address: AddressKey, now: Instant) {
        let mut table = self.lock();
        if !table.contains_key(&address) && table.len() >= MAX_ADDRESSES {
            table.retain(|_, failed| !failed.is_old(now));
            let oldest = table.iter().min_by_key(|(_, failed)| failed.last);
            if let Some((&oldest, _)) = oldest.filter(|_| table.len() >= MAX_ADDRESSES) {
                table.remove(&oldest);
            }
        }
        let entry = table.entry(address).or_insert(Failed {
            count: 0,
            last: now,
        });
        if entry.is_old(now) {
            entry.count = 0;
        }
        // Beyond this the delay does not grow.
        entry.count = (entry.count + 1).min(32);
        entry.last = now;
    }

    /// A login of this address has succeeded.
    pub(super) fn succeeded(&self, address: AddressKey) {
        self.lock().remove(&address);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AddressKey, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failed {
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGET_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn key(address: impl Into<IpAddr>) -> AddressKey {
        AddressKey::of(address.into())
    }

    #[test]
    fn the_delay_grows_with_each_failure_of_an_address() {
        let failures = Failures::default();
        let now = Instant::now();
        let (one, other) = (key([192, 0, 2, 1]), key([192, 0, 2, 2]));
        let mut delays = Vec::new();
        for _ in 0..40 {
            delays.push(failures.delay(one, now).as_millis());
            failures.failed(one, now);
        }
        assert_eq!(
            delays[..10],
            [0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]
        );
        assert_eq!(delays[39], 5000);
        assert_eq!(failures.delay(other, now), Duration::ZERO);
        assert_eq!(failures.delay(one, now + FORGET_AFTER), Duration::ZERO);
        failures.succeeded(one);
        assert_eq!(failures.delay(one, now), Duration::ZERO);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_oldest() {
        let failures = Failures::default();
        let now = Instant::now();
        for number in 0..3000_u32 {
            let at = now + Duration::from_millis(number.into());
            failures.failed(key(number.to_be_bytes()), at);
            failures.failed(key(number.to_be_bytes()), at);
        }
        assert_eq!(failures.lock().len(), MAX_ADDRESSES);
        let soon = now + Duration::from_secs(3);
        let delay = |number: u32| failures.delay(key(number.to_be_bytes()), soon);
        assert_eq!(delay(2999), FIRST_DELAY);
        assert_eq!(delay(0), Duration::ZERO);
    }
}
