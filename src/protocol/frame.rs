//! Frames: a header of six bytes, and the payload.

use crate::error::{Context, Error, ErrorKind, Result};

/// The maximum length of a payload, in bytes; no document comes near it.
const MAX_PAYLOAD: u32 = 64 << 20;

/// How long a frame may be that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// The maximum length of the payload in bytes, as it is sent.
    pub payload: u32,
    /// The maximum length of the document in bytes, after decompression.
    pub document: usize,
}

impl FrameLimits {
    /// For requests: the longest ones have paths and comments of some thousand bytes. A parsed
    /// document takes many times the memory of its text.
    pub const REQUEST: FrameLimits = FrameLimits {
        payload: 2 << 20,
        document: 1 << 20,
    };
    /// For responses, which may list thousands of backups.
    pub const RESPONSE: FrameLimits = FrameLimits {
        payload: MAX_PAYLOAD,
        document: 64 << 20,
    };
}

/// One message, one in each direction of a connection: compression (1 byte), encryption (1 byte),
/// length of the payload (4 bytes, big-endian), payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The code of the compression, unchecked.
    pub compression: u8,
    /// The code of the encryption, unchecked.
    pub encryption: u8,
    /// The document, compressed and encrypted.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Reads one frame with `read`, which has the contract of [`std::io::Read::read`] and enforces
    /// the deadline. Memory is allocated for received bytes only, not for the length in the header.
    pub fn read(
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
        limits: FrameLimits,
    ) -> Result<Frame> {
        let mut header = [0; 6];
        let mut filled = 0;
        while let Some(rest) = header.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match read(rest).context("read a frame")? {
                0 if filled == 0 => return Err(closed()),
                0 => return Err(truncated()),
                count => filled += count,
            }
        }
        let [compression, encryption, length @ ..] = header;
        let length = u32::from_be_bytes(length);
        let wanted = usize::try_from(length).unwrap_or(usize::MAX);
        let max = limits.payload;
        if length > max {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the payload of the frame has {length} bytes, the maximum is {max}"),
            ));
        }
        let mut payload = Vec::new();
        let mut buffer = [0; 16 << 10];
        while payload.len() < wanted {
            let limit = buffer.len().min(wanted - payload.len());
            let part = buffer.get_mut(..limit).unwrap_or_default();
            match read(part).context("read a frame")? {
                0 => return Err(truncated()),
                count => payload.extend_from_slice(part.get(..count).unwrap_or_default()),
            }
        }
        Ok(Frame {
            compression,
            encryption,
            payload,
        })
    }

    /// The bytes of the frame, for a single write.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let length = u32::try_from(self.payload.len()).ok();
        let length = length
            .filter(|&length| length <= MAX_PAYLOAD)
            .ok_or_else(|| {
                Error::new(ErrorKind::Internal, "the document is too long for a frame")
            })?;
        let mut bytes = Vec::with_capacity(self.payload.len() + 6);
        bytes.extend([self.compression, self.encryption]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(&self.payload);
        Ok(bytes)
    }
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Network,
        "the peer closed the connection without sending data",
    )
}

fn truncated() -> Error {
    Error::new(ErrorKind::Protocol, "the frame is truncated")
}
