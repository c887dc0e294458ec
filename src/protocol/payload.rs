//! The payload of a frame: a document, compressed, encrypted and then encoded in base64 as the
//! header says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::frame::{Frame, FrameLimits};
use crate::codec::{Compression, compress_message, decompress_message};
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::unit::Encryption;

/// The buffer of the C program for a decompressed bzip2 payload, as a multiple of the compressed
/// length.
const BZIP2_MAX_RATIO: usize = 20;

/// The compression and encryption of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    /// Applied before encryption.
    pub compression: Compression,
    /// Applied to the compressed bytes.
    pub encryption: Encryption,
}

impl Codec {
    /// Neither compressed nor encrypted.
    pub const PLAIN: Codec = Codec {
        compression: Compression::None,
        encryption: Encryption::None,
    };
}

impl Frame {
    /// The codec that the header names; an unknown code is an error.
    pub fn codec(&self) -> Result<Codec> {
        let unknown = |what: &str, code: u8| {
            Error::new(
                ErrorKind::Protocol,
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

    /// Encodes a document into a frame. Encryption requires the key.
    pub fn encode(text: &str, codec: Codec, key: Option<&MasterKey>) -> Result<Frame> {
        let mut compression = codec.compression;
        let mut bytes = compress_message(text.as_bytes(), compression)?;
        if compression == Compression::Bzip2 && text.len() / BZIP2_MAX_RATIO >= bytes.len() {
            // The decompressed payload would exceed the buffer of the C program: send it
            // uncompressed, which the header says.
            compression = Compression::None;
            bytes = text.as_bytes().to_vec();
        }
        if codec.encryption != Encryption::None {
            bytes = require_key(key)?.seal(&bytes, codec.encryption)?;
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

    /// Decodes the document in the frame.
    pub fn decode(&self, key: Option<&MasterKey>, limits: FrameLimits) -> Result<String> {
        let codec = self.codec()?;
        let mut bytes = None;
        if codec != Codec::PLAIN {
            let decoded = STANDARD.decode(&self.payload);
            bytes = Some(decoded.map_err(|error| {
                Error::new(
                    ErrorKind::Protocol,
                    format!("the payload is not base64: {error}"),
                )
            })?);
        }
        if codec.encryption != Encryption::None {
            let plain = require_key(key)?
                .open(bytes.as_deref().unwrap_or_default(), codec.encryption)
                .map_err(|failure| {
                    failure
                        .context("decrypt a message")
                        .with_hint("client and daemon need the same master.key, with both lines")
                })?;
            bytes = Some(plain.expose().to_vec());
        }
        if codec.compression != Compression::None {
            let compressed = bytes.unwrap_or_default();
            bytes = Some(decompress_message(
                &compressed,
                codec.compression,
                limits.document,
            )?);
        }
        let bytes = bytes.unwrap_or_else(|| self.payload.clone());
        let (length, max) = (bytes.len(), limits.document);
        if length > max {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the document has {length} bytes, the maximum is {max}"),
            ));
        }
        String::from_utf8(bytes)
            .map_err(|_| Error::new(ErrorKind::Protocol, "it is not UTF-8"))
            .context("read a document")
    }
}

fn require_key(key: Option<&MasterKey>) -> Result<&MasterKey> {
    key.ok_or_else(|| {
        Error::new(
            ErrorKind::Configuration,
            "an encrypted message requires the master key",
        )
        .with_hint("`pgmoneta-admin master-key` creates one; client and daemon need the same file")
    })
}
