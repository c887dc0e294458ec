//! What the client does itself where no daemon is running on this host: converting single files.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::arguments::Options;
use super::endpoint::default_config_exists;
use super::exit::NAME;
use crate::app::report::eprint;
use crate::codec::{Compression, EncodeOptions, Level};
use crate::error::Result;
use crate::job::convert_file::{self, Conversion, ConvertOptions};
use crate::protocol::{
    Codec, Envelope, FileReply, FileRequest, Members, Output, Request, Response, members,
};
use crate::sys::Stop;
use crate::unit::{Encryption, Keyword};
use crate::vault;

/// The compression method, which is the default of the daemon too.
const COMPRESSION: &str = "zstd";

/// A conversion that needs no daemon.
pub(super) struct LocalRequest<'a> {
    request: &'a Request,
    conversion: Conversion,
    file: &'a FileRequest,
}

impl<'a> LocalRequest<'a> {
    /// The conversion that `request` is, if it is one.
    pub(super) fn of(request: &'a Request) -> Option<LocalRequest<'a>> {
        let (conversion, file) = match request {
            Request::Compress(file) => (Conversion::Compress, file),
            Request::Decompress(file) => (Conversion::Decompress, file),
            Request::Encrypt(file) => (Conversion::Encrypt, file),
            Request::Decrypt(file) => (Conversion::Decrypt, file),
            _ => return None,
        };
        Some(LocalRequest {
            request,
            conversion,
            file,
        })
    }

    /// Whether no daemon is looked for: the command line names neither a configuration nor a host,
    /// and there is no default configuration.
    pub(super) fn has_no_daemon(options: &Options) -> bool {
        let named = [options.config.is_some(), options.host.is_some()];
        !named.contains(&true) && !default_config_exists()
    }

    /// Converts the file in this process, and makes the response that a daemon would have sent.
    /// `why` says why no daemon does it.
    pub(super) fn run(&self, output: Output, why: &str, stop: &Stop) -> Result<Response> {
        let begun = Instant::now();
        let command = self.request.command();
        let envelope = Envelope::new(command, self.request.members()?, Codec::PLAIN, output);
        eprint(&format!("{NAME}: {why}: {command} is done by {NAME}\n"));
        Ok(match self.convert(stop) {
            Ok(reply) => Response::success(&envelope, begun.elapsed(), Some(reply)),
            Err(error) => Response::failure(Some(&envelope), &error.into()),
        })
    }

    fn convert(&self, stop: &Stop) -> Result<Members> {
        let encryption = matches!(self.conversion, Conversion::Encrypt | Conversion::Decrypt);
        let key = encryption.then(|| vault::load_master_key(&vault::master_key_path()?));
        let options = ConvertOptions {
            coding: EncodeOptions {
                compression: Compression::from_name(COMPRESSION).unwrap_or(Compression::None),
                level: Level::Auto,
                encryption: Encryption::Aes256,
                key: key.transpose()?.map(Arc::new),
            },
            stop,
        };
        let path = Path::new(&self.file.source_file);
        let destination = convert_file::run(self.conversion, path, &options)?;
        members(&FileReply {
            destination_file: destination.display().to_string(),
        })
    }
}
