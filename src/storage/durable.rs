//! The proof that something is on stable storage.

/// A value that describes bytes on stable storage. Only `storage` makes one, after a sync that succeeded; who takes
/// one as an argument therefore cannot be called too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Durable<T>(T);

impl<T: Copy> Durable<T> {
    /// To be called after a successful sync only.
    pub(super) fn proven(value: T) -> Durable<T> {
        Durable(value)
    }

    /// The value.
    pub fn get(self) -> T {
        self.0
    }
}
