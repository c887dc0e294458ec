//! How stored files are to be written.

use std::sync::Arc;

use super::Stored;
use crate::crypto::MasterKey;
use crate::unit::{Compression, Encryption, Level};

/// How many plain bytes a frame holds; the last one of a file holds fewer. 1 MiB: as large as it must be for the
/// frames to cost nothing in size, and small enough for two buffers a worker.
pub const CHUNK: usize = 1 << 20;

/// How to write stored files.
#[derive(Clone)]
pub struct Coding {
    /// How to compress.
    pub compression: Compression,
    /// How hard.
    pub level: Level,
    /// How to encrypt.
    pub encryption: Encryption,
    /// The key; must be there if `encryption` is not `None`.
    pub key: Option<Arc<MasterKey>>,
}

impl Coding {
    /// What the names of the files will say.
    pub fn stored(&self) -> Stored {
        Stored {
            compression: self.compression,
            encryption: self.encryption,
        }
    }
}
