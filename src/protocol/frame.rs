//! Frames: six bytes of header, then the payload.

use crate::error::{Context, Failure, Kind, Result};

/// The longest payload that is accepted, in bytes; longer than any document has reason to be.
pub const LONGEST: u32 = 64 << 20;

/// One message, one in each direction of a connection: the way its payload is coded (1 byte compression, 1 byte
/// encryption), the payload's length (4 bytes, big-endian), the payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The code of the compression, unchecked.
    pub compression: u8,
    /// The code of the encryption, unchecked.
    pub encryption: u8,
    /// The coded document.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Reads one frame by `read`, which fills a buffer as [`std::io::Read::read`] does and knows the deadline. A peer
    /// that says it will send much makes us allocate only what it does send.
    pub fn read(read: &mut dyn FnMut(&mut [u8]) -> Result<usize>) -> Result<Frame> {
        let mut header = [0; 6];
        let mut filled = 0;
        while let Some(rest) = header.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match read(rest).context("read a frame")? {
                0 if filled == 0 => return Err(closed()),
                0 => return Err(cut_short()),
                count => filled += count,
            }
        }
        let [compression, encryption, length @ ..] = header;
        let length = u32::from_be_bytes(length);
        let wanted = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(Failure::new(
                Kind::Protocol,
                format!("the frame says {length} bytes, and {LONGEST} is the most"),
            ));
        }
        let mut payload = Vec::new();
        let mut buffer = [0; 16 << 10];
        while payload.len() < wanted {
            let most = buffer.len().min(wanted - payload.len());
            let part = buffer.get_mut(..most).unwrap_or_default();
            match read(part).context("read a frame")? {
                0 => return Err(cut_short()),
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
            .filter(|&length| length <= LONGEST)
            .ok_or_else(|| Failure::new(Kind::Internal, "the document is too long for a frame"))?;
        let mut bytes = Vec::with_capacity(self.payload.len() + 6);
        bytes.extend([self.compression, self.encryption]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(&self.payload);
        Ok(bytes)
    }
}

fn closed() -> Failure {
    Failure::new(
        Kind::Network,
        "the peer closed the connection and sent nothing",
    )
}

fn cut_short() -> Failure {
    Failure::new(Kind::Protocol, "the frame is cut short")
}
