//! Where the daemon is, and how messages to it are coded.

use std::path::{Path, PathBuf};

use super::arguments::Options;
use crate::config::ClientConfig;
use crate::error::{Failure, Kind, Result};
use crate::protocol::Codec;
use crate::unit::{Compression, Encryption};

/// The files that are looked at when none is named: the client's own, and the daemon's.
const DEFAULTS: [&str; 2] = [
    "/etc/pgmoneta/pgmoneta_cli.conf",
    "/etc/pgmoneta/pgmoneta.conf",
];

/// Where the daemon is, and how to talk to it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The management socket.
    pub socket: PathBuf,
    /// How messages are coded.
    pub codec: Codec,
}

/// Finds out; the configuration comes along for what else it says.
pub(super) fn target(options: &Options) -> Result<(Target, ClientConfig)> {
    let config = ClientConfig::load(&file(options)?)?;
    let remote = options.host.is_some() || options.port.is_some();
    let socket = config
        .unix_socket_dir
        .as_ref()
        .map(|directory| directory.join(".s.pgmoneta"));
    let socket = match socket {
        _ if remote => return Err(no_remote("leave -h and -p out")),
        Some(socket) => socket,
        None if config.host.is_some() => return Err(no_remote("set unix_socket_dir")),
        None => {
            let missing = format!("{}: unix_socket_dir is not set", config.path.display());
            return Err(
                Failure::new(Kind::Configuration, missing).hint("set it as in pgmoneta.conf")
            );
        }
    };
    let compression = options.compress.as_deref().map(compression);
    let encryption = options.encrypt.as_deref().map(encryption);
    let codec = Codec {
        compression: compression
            .or(config.compression)
            .unwrap_or(Compression::None),
        encryption: encryption.or(config.encryption).unwrap_or(Encryption::None),
    };
    Ok((Target { socket, codec }, config))
}

fn file(options: &Options) -> Result<PathBuf> {
    if let Some(path) = &options.config {
        return Ok(path.clone());
    }
    let mut defaults = DEFAULTS.iter().map(Path::new);
    let found = defaults.find(|path| path.exists());
    found.map(Path::to_owned).ok_or_else(|| {
        let missing = format!("there is neither {}", DEFAULTS.join(" nor "));
        Failure::new(Kind::Configuration, missing)
            .hint("name the client's or the daemon's configuration with -c")
    })
}

fn no_remote(advice: &str) -> Failure {
    Failure::new(Kind::Usage, "remote management is not there yet")
        .hint(format!("{advice}, and run it where the daemon runs"))
}

/// The words were checked by the parser.
fn compression(word: &str) -> Compression {
    match word {
        "gz" | "gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        "lz4" => Compression::Lz4,
        "bz2" | "bzip2" => Compression::Bzip2,
        _ => Compression::None,
    }
}

fn encryption(word: &str) -> Encryption {
    match word {
        "aes" | "aes256" => Encryption::Aes256,
        "aes192" => Encryption::Aes192,
        "aes128" => Encryption::Aes128,
        _ => Encryption::None,
    }
}
