//! Where the daemon is, and the compression and encryption of messages.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::arguments::Options;
use super::tls_files::tls_options;
use crate::codec::Compression;
use crate::config::ClientConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::net::TlsOptions;
use crate::protocol::Codec;
use crate::unit::{Encryption, Keyword};

/// The configuration files that are tried without `-c`: the client's, then the daemon's.
const DEFAULT_CONFIG_FILES: [&str; 2] = [
    "/etc/pgmoneta/pgmoneta_cli.conf",
    "/etc/pgmoneta/pgmoneta.conf",
];

/// The compression of messages to a host without any configuration, as in the C program.
const REMOTE_COMPRESSION: &str = "zstd";

/// How to reach the daemon.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub address: Address,
    /// The compression and encryption of messages.
    pub codec: Codec,
}

/// Where the daemon listens.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// The path of the management socket.
    Socket(PathBuf),
    /// The port of remote management.
    Remote {
        host: String,
        port: u16,
        /// Where it is set, the connection must be encrypted.
        tls: Option<TlsOptions>,
    },
}

/// The endpoint from the options and the configuration; returns the configuration too.
pub(super) fn find_endpoint(options: &Options) -> Result<(Endpoint, ClientConfig)> {
    let loaded = load_config(options)?;
    let config = loaded.clone().unwrap_or_default();
    let address = address(options, &config)?;
    let default = match (&loaded, &address) {
        // Without TLS, as the C program: then nobody on the way reads them.
        (None, Address::Remote { tls: None, .. }) => Codec {
            compression: Compression::from_name(REMOTE_COMPRESSION).unwrap_or_default(),
            encryption: Encryption::Aes256,
        },
        _ => Codec {
            compression: config.compression,
            encryption: config.encryption,
        },
    };
    // The parser of the command line has checked the names.
    let compression = options.compress.as_deref().and_then(Compression::from_name);
    let encryption = options.encrypt.as_deref().and_then(Encryption::from_name);
    let codec = Codec {
        compression: compression.unwrap_or(default.compression),
        encryption: encryption.unwrap_or(default.encryption),
    };
    Ok((Endpoint { address, codec }, config))
}

/// The port of remote management if host and port are known, each from its option or else from the
/// configuration; otherwise the socket.
fn address(options: &Options, config: &ClientConfig) -> Result<Address> {
    let usage =
        |message: &str, hint: &str| Err(Error::new(ErrorKind::Usage, message).with_hint(hint));
    let host = options.host.as_ref().unwrap_or(&config.host);
    let port = options.port.unwrap_or(config.port);
    if !host.is_empty() && port != 0 {
        return Ok(Address::Remote {
            host: host.clone(),
            port,
            tls: tls_options(options.tls)?,
        });
    }
    if options.host.is_some() {
        return usage("the port of remote management is missing", "-p PORT");
    }
    if options.port.is_some() {
        return usage("the host of remote management is missing", "-h HOST");
    }
    if options.tls {
        return usage("--tls is for remote management", "-h HOST -p PORT");
    }
    match &config.unix_socket_dir {
        Some(directory) => Ok(Address::Socket(directory.join(".s.pgmoneta"))),
        None => {
            let missing = format!("{}: unix_socket_dir is not set", config.path.display());
            Err(Error::new(ErrorKind::Configuration, missing)
                .with_hint("set it as in pgmoneta.conf, or host and port"))
        }
    }
}

/// Whether there is a configuration that is used without `-c`.
pub(super) fn default_config_exists() -> bool {
    DEFAULT_CONFIG_FILES
        .iter()
        .any(|path| Path::new(path).exists())
}

/// The configuration; `None` where the options are enough and no file can be read.
fn load_config(options: &Options) -> Result<Option<ClientConfig>> {
    let load = |path: &Path| Ok(Some(ClientConfig::load(path)?));
    if let Some(path) = &options.config {
        return load(path);
    }
    let is_enough = options.host.is_some() && options.port.is_some();
    let mut defaults = DEFAULT_CONFIG_FILES.iter().map(Path::new);
    match defaults.find(|path| path.exists()) {
        Some(path) if is_enough && File::open(path).is_err() => Ok(None),
        Some(path) => load(path),
        None if is_enough => Ok(None),
        None => {
            let missing = format!("there is neither {}", DEFAULT_CONFIG_FILES.join(" nor "));
            Err(Error::new(ErrorKind::Configuration, missing).with_hint(
                "name the configuration of the client or of the daemon with -c, or the host and \
                 the port of remote management with -h and -p",
            ))
        }
    }
}
