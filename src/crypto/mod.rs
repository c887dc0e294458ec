//! Keys and primitives over OpenSSL. Knows nothing about files.
//!
//! A container is `salt ‖ IV ‖ ciphertext ‖ tag` (16, 12, n and 16 bytes): AES-GCM without associated data, its key
//! derived from the [`MasterKey`] and the salt. Stored files, the records of users files and the frames of the
//! management protocol are containers. [`MasterKey::seal`] and [`MasterKey::open`] do one that fits in memory,
//! [`gcm`] does the middle of one as a stream.

mod digest;
pub mod gcm;
mod master;
mod random;
mod secret;

pub use digest::{Sha256, certificate_digest, equal};
pub use gcm::{IV_LENGTH, TAG_LENGTH};
pub use master::{CONTAINER_OVERHEAD, MasterKey, SALT_LENGTH};
pub use random::{fill, random_below};
pub use secret::Secret;
