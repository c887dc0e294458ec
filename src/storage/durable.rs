//! Values that describe what is on stable storage.

/// A value that describes bytes on stable storage. Only `storage` creates it, after a successful
/// sync, so a function that takes one cannot be called before the sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Durable<T>(T);

impl<T: Copy> Durable<T> {
    /// Call it only after a successful sync.
    pub(super) fn after_sync(value: T) -> Durable<T> {
        Durable(value)
    }

    /// The value, to send or compare it.
    pub fn get(self) -> T {
        self.0
    }
}
