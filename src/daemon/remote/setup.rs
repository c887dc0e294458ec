//! What remote management has before the daemon detaches: its listeners, certificate and users.

use std::net::TcpListener;

use super::super::certificates;
use super::admins::Admins;
use super::failures::Failures;
use super::login::Logins;
use crate::config::{Config, Management};
use crate::error::{Error, Result};
use crate::net::{FileKeys, ServerTls, listen};
use crate::vault::Vault;

/// The key of the configuration, with which threads and lines of the log begin.
pub(super) const NAME: &str = "management";

/// The length of the queue of connections to accept, which a burst of connections fills.
const MIN_BACKLOG: u32 = 128;

/// Remote management that is about to be served.
pub struct RemoteSetup {
    pub(super) listeners: Vec<TcpListener>,
    pub(super) logins: Logins,
}

impl RemoteSetup {
    /// Opens the port; `None` if it is off, or if nobody could log in. `admins` are the users of
    /// the admins file.
    pub fn open(config: &Config, admins: &Vault) -> Result<Option<RemoteSetup>> {
        let port = config.management.port;
        if port == 0 {
            return Ok(None);
        }
        let tls = load_tls(&config.management)?;
        if admins.is_empty() {
            log::warn!(
                "{NAME}: port {port} is not opened, since there is no user who could log in; \
                 hint: pgmoneta-admin -f FILE -U NAME user add, with the admins file (-A), and \
                 restart the daemon"
            );
            return Ok(None);
        }
        let backlog = config.backlog.max(MIN_BACKLOG);
        let listeners =
            listen(&config.host, port, backlog).map_err(|failure| failure.context(NAME))?;
        if tls.is_none() && listeners.iter().any(is_reachable) {
            log::warn!(
                "{NAME}: port {port} of {} is open without TLS: requests and responses can be \
                 read and changed on the network; hint: set tls = on",
                config.host
            );
        }
        let logins = Logins {
            admins: Admins::new(admins)?,
            tls,
            failures: Failures::default(),
        };
        Ok(Some(RemoteSetup { listeners, logins }))
    }
}

/// Fails for files that [`RemoteSetup::open`] would refuse.
pub fn check(config: &Config) -> Result<()> {
    load_tls(&config.management).map(|_| ())
}

fn load_tls(management: &Management) -> Result<Option<ServerTls>> {
    let load = || certificates::load(&management.tls_files, FileKeys::TLS);
    let tls = management.tls.then(load).transpose();
    tls.map_err(|failure: Error| failure.context(NAME))
}

/// Whether other machines can connect.
fn is_reachable(listener: &TcpListener) -> bool {
    let address = listener.local_addr();
    address.map_or(true, |address| !address.ip().is_loopback())
}
