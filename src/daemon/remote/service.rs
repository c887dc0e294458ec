//! Serves the clients of remote management.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::certificates;
use super::super::connection::{self, Origin};
use super::super::dispatch::Services;
use super::super::port::{Place, Port, PortOptions, PortService};
use super::login::{Login, Logins};
use super::setup::{NAME, RemoteSetup};
use crate::config::Config;
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::net::{FileKeys, Stream};
use crate::vault::Vault;

/// The port of remote management.
pub struct RemotePort {
    port: Port,
    service: Arc<RemoteService>,
}

struct RemoteService {
    logins: Logins,
    services: Services,
}

impl RemotePort {
    /// Starts its threads.
    pub fn start(setup: RemoteSetup, services: &Services) -> Result<RemotePort> {
        let daemon = &services.daemon;
        let options = PortOptions::new(NAME, daemon);
        let service = Arc::new(RemoteService {
            logins: setup.logins,
            services: services.clone(),
        });
        let port = Port::start(setup.listeners, options, service.clone())?;
        Ok(RemotePort { port, service })
    }

    /// Reads the certificate, its key, the authorities and the admins file again, for new
    /// connections. An error is logged, and what was read before stays in use.
    pub fn reload(&self, config: &Config, key: &MasterKey) {
        if let Some(tls) = &self.service.logins.tls {
            let files = &config.management.tls_files;
            let reloaded = certificates::reload(tls, files, FileKeys::TLS);
            log_reload("the certificates were", reloaded);
        }
        if let Some(path) = &config.admins_path {
            let vault = Vault::load(path, key);
            let reloaded = vault.and_then(|vault| self.service.logins.admins.replace(&vault));
            log_reload("the admins file was", reloaded);
        }
    }

    /// No new connections; those that there are go on.
    pub fn close(&mut self) {
        self.port.close();
    }

    /// Waits until all connections have ended. To be called after a stop was requested.
    pub fn join(self) {
        self.port.join();
    }
}

fn log_reload(what: &str, result: Result<()>) {
    match result {
        Ok(()) => log::info!("SIGHUP: {NAME}: {what} read again"),
        Err(failure) => {
            let why = failure.message_with_hint();
            log::error!("SIGHUP: {NAME}: {what} not read, the old state stays in use: {why}");
        }
    }
}

impl PortService for RemoteService {
    fn serve(&self, mut stream: Stream, address: IpAddr, place: &Place) -> Result<()> {
        let services = self.services.current();
        let user = self.logins.log_in(&mut Login {
            stream: &mut stream,
            address,
            place,
            timeout: services.daemon.config.authentication_timeout.duration(),
        })?;
        let Some(user) = user.filter(|_| place.serve()) else {
            return Ok(());
        };
        log::debug!("{NAME}: {user:?} has logged in from {address}");
        let origin = Origin::Remote { user, address };
        connection::serve_remote(&mut stream, &services, &origin);
        Ok(())
    }
}
