//! What the service needs before the daemon detaches: its listeners, certificate and key.

use std::net::TcpListener;

use crate::config::Config;
use crate::daemon::certificates;
use crate::error::{Context, Result};
use crate::net::{FileKeys, ServerTls, listen};

const KEYS: FileKeys = FileKeys {
    certificate: "metrics_cert_file",
    key: "metrics_key_file",
    authority: "metrics_ca_file",
};

/// The listeners of the service.
pub struct MetricsListener {
    pub listeners: Vec<TcpListener>,
    /// `None` for plain HTTP.
    pub tls: Option<ServerTls>,
}

impl MetricsListener {
    /// Listens; `None` if the service is off. Fails if there is a certificate that cannot be used.
    pub fn open(config: &Config) -> Result<Option<MetricsListener>> {
        if config.metrics == 0 {
            return Ok(None);
        }
        let tls = load(config)?;
        let listeners = listen(&config.host, config.metrics, config.backlog);
        let listeners = listeners.context("start the metrics service")?;
        Ok(Some(MetricsListener { listeners, tls }))
    }
}

/// Fails if [`MetricsListener::open`] would, as far as it can be seen without listening.
pub fn check(config: &Config) -> Result<()> {
    match config.metrics {
        0 => Ok(()),
        _ => load(config).map(|_| ()),
    }
}

fn load(config: &Config) -> Result<Option<ServerTls>> {
    let files = &config.metrics_tls;
    if files.certificate.is_none() {
        return Ok(None);
    }
    let loaded = certificates::load(files, KEYS);
    loaded.context("start the metrics service").map(Some)
}

/// Reads certificate and key again; after an error the old ones stay in use.
pub(super) fn reload(tls: &ServerTls, config: &Config) -> Result<()> {
    certificates::reload(tls, &config.metrics_tls, KEYS)
}
