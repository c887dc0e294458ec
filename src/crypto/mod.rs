//! Keys, encryption, digests and random bytes, over OpenSSL and ring. No input or output of files.
//!
//! A container is `salt ‖ IV ‖ ciphertext ‖ tag` (16, 12, n and 16 bytes): AES-GCM without
//! associated data, with a key derived from the [`MasterKey`] and the salt. Stored files, the
//! records of users files and the frames of the management protocol are containers.
//! [`MasterKey::seal`] and [`MasterKey::open`] encrypt and decrypt one in memory, `gcm` its
//! ciphertext as a stream.

mod digest;
pub(crate) mod gcm;
mod master;
mod random;
pub mod scram;
mod secret;

#[cfg(test)]
pub(crate) use digest::certificate_for_tests;
pub use digest::{Sha256, Sha512};
pub(crate) use digest::{certificate_digest, constant_time_eq, sha512};
pub(crate) use gcm::{IV_LENGTH, TAG_LENGTH};
pub use master::MasterKey;
pub(crate) use master::{CONTAINER_OVERHEAD, SALT_LENGTH};
pub(crate) use random::{fill_random, random_below};
pub use secret::Secret;
