//! Reading a stored file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::cipher::Input;
use super::compression::Frames;
use super::probe::{Recognize, probe};
use super::{Digests, PlainDigest, Stored, Suffixes};
use crate::crypto::MasterKey;
use crate::error::{Context, Failure, Kind, Result};
use crate::storage::open_file;

/// Reads a stored file: the plain bytes come out of `Read`; what is truncated, has bytes after its end or does not
/// decrypt is an error, not an end of file. Only that a file was cut exactly between two frames is not seen here:
/// compare the digests of [`Source::finish`], or the size, with what they must be. Bytes that were encrypted are
/// proven only by the end of the file or by [`Source::finish`].
pub struct Source {
    frames: Frames<Input>,
    digest: PlainDigest,
    stored: Stored,
    /// No more plain bytes than these are handed out.
    longest: u64,
}

const TOO_LONG: &str = "the file is longer than it must be";

impl Source {
    /// Opens a stored file.
    pub fn open(path: &Path, stored: Stored, key: Option<Arc<MasterKey>>) -> Result<Source> {
        let doing = || format!("open {}", path.display());
        let file = open_file(path).with_context(doing)?;
        Source::new(file, stored, key).with_context(doing)
    }

    /// As [`Source::open`], of a file whose name says all but the size of the key: that is found out. If it is encrypted
    /// but not compressed, `begins` says whether bytes are the beginning of what it must hold.
    pub fn probe(
        path: &Path,
        suffixes: Suffixes,
        key: &Arc<MasterKey>,
        begins: Recognize<'_>,
    ) -> Result<Source> {
        let doing = || format!("open {}", path.display());
        let mut file = open_file(path).with_context(doing)?;
        let stored = probe(&mut file, suffixes, key, begins).with_context(doing)?;
        Source::new(file, stored, Some(key.clone())).with_context(doing)
    }

    /// With the number of plain bytes that the file must have: one with more is an error as soon as they are decoded, and
    /// they are not handed out. A few stored bytes can be very many plain ones.
    #[must_use]
    pub fn at_most(mut self, plain: u64) -> Source {
        self.longest = plain;
        self
    }

    /// How the file is stored.
    pub fn stored(&self) -> Stored {
        self.stored
    }

    /// As [`Source::open`], from an open file.
    pub fn new(file: File, stored: Stored, key: Option<Arc<MasterKey>>) -> Result<Source> {
        let input = Input::new(file, stored.encryption, key.as_deref())?;
        Ok(Source {
            frames: Frames::new(stored.compression, input)?,
            digest: PlainDigest::new(),
            stored,
            longest: u64::MAX,
        })
    }

    /// To be called after the last byte was read: checks that there is none left, checks the tag, returns the digests
    /// of all.
    pub fn finish(mut self) -> Result<Digests> {
        if self.frames.read(&mut [0])? > 0 {
            return Err(Failure::new(Kind::Corrupt, TOO_LONG));
        }
        let input = self.frames.into_inner().ok_or_else(|| {
            Failure::new(Kind::Internal, "a file that could not be read was finished")
        })?;
        Ok(self.digest.with(input.into_digest()))
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.frames.read(buf)?;
        self.digest.update(buf.get(..count).unwrap_or_default());
        if self.digest.size() > self.longest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TOO_LONG));
        }
        Ok(count)
    }
}
