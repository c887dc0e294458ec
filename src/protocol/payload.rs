//! What a frame's payload is: a document's text, compressed, encrypted and in base64 if its header says so.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::frame::{Frame, LONGEST};
use crate::codec::{pack, unpack};
use crate::crypto::MasterKey;
use crate::error::{Context, Failure, Kind, Result};
use crate::unit::{Compression, Encryption};

/// The C program gives a decompressed bzip2 payload this many times the room of the compressed one.
const BZIP2_ROOM: usize = 20;

/// How a payload is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    /// First compressed so.
    pub compression: Compression,
    /// Then encrypted so.
    pub encryption: Encryption,
}

impl Codec {
    /// The text as it is.
    pub const PLAIN: Codec = Codec {
        compression: Compression::None,
        encryption: Encryption::None,
    };
}

impl Frame {
    /// How the payload is coded; fails if we do not know that way.
    pub fn codec(&self) -> Result<Codec> {
        let unknown = |what: &str, code: u8| {
            Failure::new(
                Kind::Protocol,
                format!("the frame has {what} {code}, which is unknown"),
            )
        };
        let compression = Some(self.compression)
            .filter(|&code| code <= 0xF)
            .and_then(|code| Compression::from_code(code.into()))
            .ok_or_else(|| unknown("compression", self.compression))?;
        let encryption = Encryption::from_code(self.encryption.into())
            .ok_or_else(|| unknown("encryption", self.encryption))?;
        Ok(Codec {
            compression,
            encryption,
        })
    }

    /// Puts a text into a frame. Encryption needs the key.
    pub fn encode(text: &str, codec: Codec, key: Option<&MasterKey>) -> Result<Frame> {
        let mut compression = codec.compression;
        let mut bytes = pack(text.as_bytes(), compression)?;
        if compression == Compression::Bzip2 && text.len() / BZIP2_ROOM >= bytes.len() {
            // The reader goes by the frame's header, and the C program's could not take this one.
            compression = Compression::None;
            bytes = text.as_bytes().to_vec();
        }
        if codec.encryption != Encryption::None {
            bytes = need(key)?.seal(&bytes, codec.encryption)?;
        }
        if compression != Compression::None || codec.encryption != Encryption::None {
            bytes = STANDARD.encode(bytes).into_bytes();
        }
        Ok(Frame {
            compression: compression.code(),
            encryption: codec.encryption.code(),
            payload: bytes,
        })
    }

    /// The text that the frame holds.
    pub fn decode(&self, key: Option<&MasterKey>) -> Result<String> {
        let codec = self.codec()?;
        let limit = usize::try_from(LONGEST).unwrap_or(usize::MAX);
        let mut bytes = None;
        if codec != Codec::PLAIN {
            let coded = STANDARD.decode(&self.payload);
            bytes = Some(coded.map_err(|error| {
                Failure::new(
                    Kind::Protocol,
                    format!("the payload is not base64: {error}"),
                )
            })?);
        }
        if codec.encryption != Encryption::None {
            let plain = need(key)?
                .open(bytes.as_deref().unwrap_or_default(), codec.encryption)
                .map_err(|failure| {
                    failure
                        .context("decrypt a message")
                        .hint("client and daemon need the same master.key, both of its lines")
                })?;
            bytes = Some(plain.expose().to_vec());
        }
        if codec.compression != Compression::None {
            let packed = bytes.unwrap_or_default();
            bytes = Some(unpack(&packed, codec.compression, limit)?);
        }
        let bytes = bytes.unwrap_or_else(|| self.payload.clone());
        String::from_utf8(bytes)
            .map_err(|_| Failure::new(Kind::Protocol, "it is not UTF-8"))
            .context("read a document")
    }
}

fn need(key: Option<&MasterKey>) -> Result<&MasterKey> {
    key.ok_or_else(|| {
        Failure::new(
            Kind::Configuration,
            "an encrypted message needs the master key",
        )
        .hint("`pgmoneta-admin master-key` makes one; client and daemon need the same file")
    })
}
