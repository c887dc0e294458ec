//! Opening a file to append to it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// The error number of opening a FIFO without a reader, or a socket.
pub const NO_READER: i32 = libc::ENXIO;

/// Opens a file to append to it; with a mode it is created if it is missing. Does not wait for the
/// reader of a FIFO, as open(2) does: without one the error is
/// [`NO_READER`]. Writing waits as usual.
pub fn open_to_append(path: &Path, create: Option<u32>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).custom_flags(libc::O_NONBLOCK);
    if let Some(mode) = create {
        options.create(true).mode(mode);
    }
    let file = options.open(path)?;
    let flags = fcntl_getfl(&file)?;
    fcntl_setfl(&file, flags.difference(OFlags::NONBLOCK))?;
    Ok(file)
}
