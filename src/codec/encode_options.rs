//! Options for writing stored files.

use std::sync::Arc;

use super::{Compression, Level, StoredFormat};
use crate::crypto::MasterKey;
use crate::unit::Encryption;

/// Plain bytes of a frame; the last one of a file may have fewer. 1 MiB: large enough for a
/// negligible overhead, and small enough for two buffers per worker.
pub const CHUNK_SIZE: usize = 1 << 20;

/// Options for writing stored files, from the configuration.
#[derive(Clone)]
pub struct EncodeOptions {
    /// The compression method (`compression`).
    pub compression: Compression,
    /// The compression level (`compression_level`).
    pub level: Level,
    /// The cipher and its key size (`encryption`).
    pub encryption: Encryption,
    /// The master key; required unless `encryption` is `None`.
    pub key: Option<Arc<MasterKey>>,
}

impl EncodeOptions {
    /// The format of the files that are written.
    pub fn stored(&self) -> StoredFormat {
        StoredFormat {
            compression: self.compression,
            encryption: self.encryption,
        }
    }
}
