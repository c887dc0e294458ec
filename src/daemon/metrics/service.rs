//! Serving the port.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::answer::{Cache, Page, redirect, route};
use super::listen::{MetricsListener, reload};
use crate::daemon::http::{Connection, Limits, Request, Response};
use crate::daemon::port::{Place, Port, PortOptions, PortService};
use crate::error::{ErrorKind, Result};
use crate::job::context::{DaemonContext, ServerContext};
use crate::net::{Deadline, ServerTls, Stream};
use crate::status::metrics::{Snapshot, exposition, metrics, page};
use crate::unit::Timestamp;

/// How long a client may take to read an answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection is kept for the next request: longer than the usual interval of scrapes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// The first byte of a TLS connection: the type of a handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// The running service.
pub struct MetricsPort {
    port: Port,
    service: Arc<Service>,
}

struct Service {
    daemon: DaemonContext,
    servers: Arc<[ServerContext]>,
    started: Timestamp,
    tls: Option<ServerTls>,
    cache: Cache,
}

impl MetricsPort {
    /// Starts to serve.
    pub fn start(
        listener: MetricsListener,
        daemon: &DaemonContext,
        servers: &Arc<[ServerContext]>,
    ) -> Result<MetricsPort> {
        let MetricsListener { listeners, tls } = listener;
        let config = &daemon.config;
        let options = PortOptions::new("metrics", daemon);
        let (port, scheme) = (config.metrics, if tls.is_some() { "https" } else { "http" });
        let service = Arc::new(Service {
            daemon: daemon.clone(),
            servers: servers.clone(),
            started: Timestamp::now(),
            tls,
            cache: Cache::default(),
        });
        let served = Port::start(listeners, options, service.clone())?;
        log::info!("metrics: {scheme} on {}, port {port}", config.host);
        Ok(MetricsPort {
            port: served,
            service,
        })
    }

    /// Reads certificate and key again.
    pub fn reload(&self) {
        let Some(tls) = &self.service.tls else {
            return;
        };
        match reload(tls, &self.service.daemon.current().config) {
            Ok(()) => log::info!("metrics: the certificate was read again"),
            Err(failure) => log::error!(
                "metrics: the old certificate stays in use: {}",
                failure.message_with_hint()
            ),
        }
    }

    /// Accepts no new connections.
    pub fn close(&mut self) {
        self.port.close();
    }

    /// Waits until the connections have ended, after a stop was requested.
    pub fn join(self) {
        self.port.join();
    }
}

impl PortService for Service {
    fn serve(&self, stream: Stream, _: IpAddr, place: &Place) -> Result<()> {
        match self.serve_requests(stream, place) {
            // A client that is slow, or has gone: nobody needs to look after it.
            Err(failure) if matches!(failure.kind(), ErrorKind::Timeout | ErrorKind::Network) => {
                Ok(())
            }
            result => result,
        }
    }
}

impl Service {
    fn serve_requests(&self, mut stream: Stream, place: &Place) -> Result<()> {
        let request = self.daemon.config.authentication_timeout.duration();
        let first = Deadline::after(request);
        let Some(byte) = stream.peek(first)? else {
            return Ok(());
        };
        let plain = match &self.tls {
            Some(tls) if byte == TLS_HANDSHAKE => {
                stream.accept_tls(tls, first)?;
                false
            }
            Some(_) => true,
            None => false,
        };
        let local = stream.local_host();
        let connection = Connection {
            stream: &mut stream,
            limits: Limits {
                request,
                response: RESPONSE_TIMEOUT,
                idle: IDLE_TIMEOUT,
            },
            first,
            // A connection always gives way to others: an answer takes milliseconds, unless the
            // client is slow to read it.
            waits: &|| place.wait(),
        };
        connection.serve(&|request| match plain {
            true => redirect(request, &local, self.daemon.config.metrics),
            false => self.answer(request),
        })
    }

    fn answer(&self, request: &Request) -> Response {
        let page = match route(request) {
            Ok(page) => page,
            Err(refused) => return refused,
        };
        let config = self.daemon.config_handle.current();
        let body = match page {
            Page::Index => page_of(&self.snapshot()).into(),
            Page::Metrics => self.cache.get(
                config.metrics_cache_max_age.duration(),
                config.metrics_cache_max_size,
                || exposition(metrics(), &self.snapshot()),
            ),
        };
        Response::ok(page.content_type(), body)
    }

    fn snapshot(&self) -> Snapshot {
        let config = self.daemon.config_handle.current();
        let servers = self.servers.iter().map(|context| {
            let context = context.current();
            (context.server, context.status)
        });
        let servers: Vec<_> = servers.collect();
        let servers = servers.iter();
        let servers = servers.map(|(server, status)| (server.clone(), status.as_ref()));
        Snapshot::take(&config, self.started, &self.daemon.disks, servers)
    }
}

fn page_of(snapshot: &Snapshot) -> String {
    page(metrics(), snapshot)
}
