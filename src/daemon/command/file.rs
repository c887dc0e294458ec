//! `compress`, `decompress`, `encrypt` and `decrypt`.

use std::path::Path;

use crate::daemon::dispatch::Services;
use crate::error::{Error, ErrorKind, Result};
use crate::job::convert_file::{self, Conversion, ConvertOptions};
use crate::protocol::{FileReply, FileRequest};

/// Converts one file on this host.
pub(in crate::daemon) fn file(
    services: &Services,
    conversion: Conversion,
    request: &FileRequest,
) -> Result<FileReply> {
    let daemon = &services.daemon;
    let options = ConvertOptions {
        coding: daemon.encode_options(),
        stop: &daemon.stop,
    };
    let path = Path::new(&request.source_file);
    if !path.is_absolute() {
        let message = format!("{path:?} is not an absolute path");
        return Err(Error::new(ErrorKind::Usage, message));
    }
    let destination = convert_file::run(conversion, path, &options)?;
    Ok(FileReply {
        destination_file: destination.display().to_string(),
    })
}
