//! One archive of a base backup as a stream.

use std::io::{self, BufRead, Read};

use super::{BaseBackup, Tablespace};

/// One archive of a base backup: a tar stream, read from the receive buffer without a copy. Before
/// PostgreSQL 15 it ends without the two blocks of zeros. An `io::Error` carries the
/// [`crate::error::Error`] with its kind and hint.
pub struct Archive<'a>(pub &'a mut BaseBackup, pub Tablespace);

impl BufRead for Archive<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let action = "receive the base backup";
        self.0
            .fill()
            .map_err(|failure| failure.context(action).into())
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

impl Read for Archive<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.fill_buf()?;
        let count = bytes.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
