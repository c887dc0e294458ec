//! Memory for passwords and keys.

use zeroize::Zeroizing;

/// A password or a key; cannot be printed or cloned, and is zeroed when dropped.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of the bytes.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// The bytes; callers must not copy or print them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}
