//! Logging to syslog.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Zoned;
use log::Level;
use syslog::{LogFormat, Logger, LoggerBackend};

use super::line::{Message, Severity};
use crate::error::{Error, ErrorKind, Result};

/// The timeout of sending a message to a syslog daemon that does not receive.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to the syslog daemon.
pub(super) struct Syslog(Logger<LoggerBackend, Rfc3164>);

impl Syslog {
    /// Connects to the default socket of the system, or to the one at `path`.
    pub fn connect(path: Option<&Path>) -> Result<Syslog> {
        let connected = match path {
            None => syslog::unix(Rfc3164),
            Some(path) => syslog::unix_custom(Rfc3164, path),
        };
        let logger = connected.map_err(|error| {
            Error::new(
                ErrorKind::NotFound,
                format!("connect to syslog (/dev/log, /var/run/syslog, /var/run/log): {error}"),
            )
            .with_hint("start a syslog daemon, or set log_type = file")
        })?;
        if let LoggerBackend::Unix(socket) = &logger.backend {
            socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
        }
        Ok(Syslog(logger))
    }

    /// Sends a message, over a new connection if the old one fails.
    pub fn write(&mut self, message: &Message<'_>, path: Option<&Path>) -> Result<()> {
        if self.send(message).is_ok() {
            return Ok(());
        }
        *self = Syslog::connect(path)?;
        self.send(message)
            .map_err(|error| Error::new(ErrorKind::Io, format!("write to syslog: {error}")))
    }

    fn send(&mut self, message: &Message<'_>) -> std::result::Result<(), syslog::Error> {
        let text = message.text;
        match message.severity {
            Severity::Fatal => self.0.crit(text),
            Severity::Level(Level::Error) => self.0.err(text),
            Severity::Level(Level::Warn) => self.0.warning(text),
            Severity::Level(Level::Info) => self.0.info(text),
            Severity::Level(Level::Debug | Level::Trace) => self.0.debug(text),
        }
    }
}

/// The format of RFC 3164 with facility user. The one of the syslog crate cannot determine the
/// local time in a process with threads, and keeps the pid from before the daemon detaches.
#[derive(Clone)]
struct Rfc3164;

/// Facility user, shifted to its position in the priority (RFC 3164, 4.1.1).
const FACILITY_USER: u8 = 1 << 3;

impl LogFormat<&str> for Rfc3164 {
    fn format<W: Write>(
        &self,
        output: &mut W,
        severity: syslog::Severity,
        text: &str,
    ) -> syslog::Result<()> {
        use syslog::Severity as S;
        let severity = match severity {
            S::LOG_EMERG => 0,
            S::LOG_ALERT => 1,
            S::LOG_CRIT => 2,
            S::LOG_ERR => 3,
            S::LOG_WARNING => 4,
            S::LOG_NOTICE => 5,
            S::LOG_INFO => 6,
            S::LOG_DEBUG => 7,
        };
        let time = super::pattern::expand("%b %e %H:%M:%S", &Zoned::now()).unwrap_or_default();
        let (priority, process) = (FACILITY_USER | severity, std::process::id());
        // Each write is sent as one message.
        write!(output, "<{priority}>{time} pgmoneta[{process}]: {text}")
            .map_err(syslog::Error::Write)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn messages_are_sent_again_after_a_restart_of_syslog() {
        let path = std::env::temp_dir().join(format!("pgmoneta-syslog-{}", std::process::id()));
        let failure = Syslog::connect(Some(&path)).err().unwrap();
        assert_eq!(
            failure.hint(),
            Some("start a syslog daemon, or set log_type = file")
        );

        let server = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::connect(Some(&path)).unwrap();
        let mut message = Message {
            severity: Severity::Fatal,
            file: "a.rs",
            line: 1,
            text: "größe",
        };
        syslog.write(&message, Some(&path)).unwrap();
        let expected = format!(" pgmoneta[{}]: größe", std::process::id());
        let received = receive(&server);
        assert!(
            received.starts_with("<10>") && received.ends_with(&expected),
            "{received}"
        );

        drop(server);
        std::fs::remove_file(&path).unwrap();
        assert!(syslog.write(&message, Some(&path)).is_err());
        let server = UnixDatagram::bind(&path).unwrap();
        message.severity = Severity::Level(Level::Info);
        syslog.write(&message, Some(&path)).unwrap();
        assert!(receive(&server).starts_with("<14>"));
        std::fs::remove_file(&path).unwrap();
    }

    fn receive(server: &UnixDatagram) -> String {
        let mut bytes = [0; 1024];
        let length = server.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }
}
