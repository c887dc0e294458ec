//! The TCP ports together: remote management, metrics, Nagios.

use super::dispatch::Services;
use super::metrics::{MetricsListener, MetricsPort};
use super::nagios::{NagiosListener, NagiosPort};
use super::remote::{RemotePort, RemoteSetup};
use crate::error::Result;

/// What the ports need before the daemon detaches; `None` for one that is off.
pub(super) struct PortSetups {
    pub remote: Option<RemoteSetup>,
    pub metrics: Option<MetricsListener>,
    pub nagios: Option<NagiosListener>,
}

/// The ports that are served.
pub(super) struct Ports {
    remote: Option<RemotePort>,
    metrics: Option<MetricsPort>,
    nagios: Option<NagiosPort>,
}

impl Ports {
    /// Starts to serve.
    pub(super) fn start(setups: PortSetups, services: &Services) -> Result<Ports> {
        let PortSetups {
            remote,
            metrics,
            nagios,
        } = setups;
        let (daemon, servers) = (&services.daemon, &services.servers);
        let remote = remote.map(|setup| RemotePort::start(setup, services));
        let metrics = metrics.map(|setup| MetricsPort::start(setup, daemon, servers));
        let nagios = nagios.map(|setup| NagiosPort::start(setup, daemon, servers));
        Ok(Ports {
            remote: remote.transpose()?,
            metrics: metrics.transpose()?,
            nagios: nagios.transpose()?,
        })
    }

    /// Reads certificates, keys and users again.
    pub(super) fn reload(&self, services: &Services) {
        if let Some(remote) = &self.remote {
            let daemon = &services.daemon;
            remote.reload(&daemon.config_handle.current(), &daemon.key);
        }
        self.metrics.iter().for_each(MetricsPort::reload);
    }

    /// Accepts no new connections.
    pub(super) fn close(&mut self) {
        self.remote.iter_mut().for_each(RemotePort::close);
        self.metrics.iter_mut().for_each(MetricsPort::close);
        self.nagios.iter_mut().for_each(NagiosPort::close);
    }

    /// Waits until the connections have ended, after a stop was requested.
    pub(super) fn join(self) {
        self.remote.into_iter().for_each(RemotePort::join);
        self.metrics.into_iter().for_each(MetricsPort::join);
        self.nagios.into_iter().for_each(NagiosPort::join);
    }
}
