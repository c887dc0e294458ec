//! The management socket of the daemon, and the compression and encryption of messages.

use std::path::{Path, PathBuf};

use super::arguments::Options;
use crate::codec::Compression;
use crate::config::ClientConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::Codec;
use crate::unit::{Encryption, Keyword};

/// The configuration files that are tried without `-c`: the client's, then the daemon's.
const DEFAULT_CONFIG_FILES: [&str; 2] = [
    "/etc/pgmoneta/pgmoneta_cli.conf",
    "/etc/pgmoneta/pgmoneta.conf",
];

/// How to reach the daemon.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// The path of the management socket.
    pub socket: PathBuf,
    /// The compression and encryption of messages.
    pub codec: Codec,
}

/// The endpoint from the options and the configuration; returns the configuration too.
pub(super) fn find_endpoint(options: &Options) -> Result<(Endpoint, ClientConfig)> {
    let config = ClientConfig::load(&config_file(options)?)?;
    let remote = options.host.is_some() || options.port.is_some();
    let socket = config
        .unix_socket_dir
        .as_ref()
        .map(|directory| directory.join(".s.pgmoneta"));
    let socket = match socket {
        _ if remote => return Err(no_remote("leave -h and -p out")),
        Some(socket) => socket,
        None if !config.host.is_empty() => return Err(no_remote("set unix_socket_dir")),
        None => {
            let missing = format!("{}: unix_socket_dir is not set", config.path.display());
            return Err(Error::new(ErrorKind::Configuration, missing)
                .with_hint("set it as in pgmoneta.conf"));
        }
    };
    // The parser of the command line has checked the names.
    let compression = options.compress.as_deref().and_then(Compression::from_name);
    let encryption = options.encrypt.as_deref().and_then(Encryption::from_name);
    let codec = Codec {
        compression: compression.unwrap_or(config.compression),
        encryption: encryption.unwrap_or(config.encryption),
    };
    Ok((Endpoint { socket, codec }, config))
}

/// Whether there is a configuration that is used without `-c`.
pub(super) fn default_config_exists() -> bool {
    DEFAULT_CONFIG_FILES
        .iter()
        .any(|path| Path::new(path).exists())
}

fn config_file(options: &Options) -> Result<PathBuf> {
    if let Some(path) = &options.config {
        return Ok(path.clone());
    }
    let mut defaults = DEFAULT_CONFIG_FILES.iter().map(Path::new);
    let found = defaults.find(|path| path.exists());
    found.map(Path::to_owned).ok_or_else(|| {
        let missing = format!("there is neither {}", DEFAULT_CONFIG_FILES.join(" nor "));
        Error::new(ErrorKind::Configuration, missing)
            .with_hint("name the configuration of the client or of the daemon with -c")
    })
}

fn no_remote(instead: &str) -> Error {
    Error::new(ErrorKind::Usage, "remote management is not implemented").with_hint(format!(
        "{instead}, and run pgmoneta-cli on the host of the daemon"
    ))
}
