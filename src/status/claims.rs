//! What running backups are expected to take of the disks: two that begin at the same time must not
//! count on the same room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Progress;
use crate::error::Result;
use crate::unit::ServerName;

/// The room that running backups have claimed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Arc<Mutex<ClaimList>>);

#[derive(Debug, Default)]
struct ClaimList {
    /// The number of the last claim.
    last: u64,
    claims: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    server: ServerName,
    device: u64,
    bytes: u64,
    progress: Arc<Progress>,
}

/// Room that was claimed. Dropping it ends the claim.
pub(crate) struct Claim {
    claims: Claims,
    number: u64,
}

impl Claims {
    /// Claims `bytes` of a file system for a backup of a server, unless `check` fails. It gets the
    /// bytes that the backups of other servers are still expected to take there.
    pub(crate) fn claim(
        &self,
        server: &ServerName,
        (device, bytes): (u64, u64),
        progress: &Arc<Progress>,
        check: impl FnOnce(u64) -> Result<()>,
    ) -> Result<Claim> {
        let mut inner = self.lock();
        // A backup that has claimed twice needs the larger one.
        let mut others: BTreeMap<&ServerName, u64> = BTreeMap::new();
        for other in inner.claims.values() {
            if other.device == device && other.server != *server {
                let left = others.entry(&other.server).or_default();
                *left = other.left().max(*left);
            }
        }
        check(others.into_values().fold(0, u64::saturating_add))?;
        inner.last += 1;
        let number = inner.last;
        let entry = Entry {
            server: server.clone(),
            device,
            bytes,
            progress: progress.clone(),
        };
        inner.claims.insert(number, entry);
        let claims = self.clone();
        Ok(Claim { claims, number })
    }

    /// The bytes that the backup of a server is still expected to take.
    pub(crate) fn left(&self, server: &ServerName) -> u64 {
        let inner = self.lock();
        let own = inner.claims.values().filter(|one| one.server == *server);
        own.map(Entry::left).max().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, ClaimList> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The bytes that it has not taken yet, by the progress of the backup.
    fn left(&self) -> u64 {
        let snapshot = self.progress.snapshot();
        let (done, total) = (u128::from(snapshot.done), u128::from(snapshot.total));
        let taken = (u128::from(self.bytes) * done).checked_div(total);
        let taken = u64::try_from(taken.unwrap_or(0)).unwrap_or(u64::MAX);
        self.bytes.saturating_sub(taken)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().claims.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_backups_do_not_count_on_the_same_room() {
        let claims = Claims::default();
        let progress = Arc::new(Progress::new());
        let claim = |server: &str, device, bytes, expected| {
            let server: ServerName = server.parse().unwrap();
            let mut found = None;
            let claim = claims.claim(&server, (device, bytes), &progress, |others| {
                found = Some(others);
                Ok(())
            });
            assert_eq!(found, Some(expected), "{server} {device} {bytes}");
            claim.unwrap()
        };
        let one = claim("one", 1, 100, 0);
        drop(claim("one", 1, 70, 0));
        let again = claim("one", 1, 90, 0);
        let two = claim("two", 1, 10, 100);
        drop(claim("two", 2, 10, 0));
        drop(claim("three", 1, 10, 110));
        progress.set_total(1000);
        progress.advance(900);
        drop(claim("three", 1, 10, 11));
        progress.advance(200);
        drop(claim("three", 1, 10, 0));
        drop((one, again, two));
        let refused = claims.claim(&"one".parse().unwrap(), (1, 1), &progress, |_| {
            Err(crate::error::Error::new(
                crate::error::ErrorKind::NoSpace,
                "x",
            ))
        });
        assert!(refused.is_err());
        assert!(claims.lock().claims.is_empty());
    }
}
