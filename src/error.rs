//! Why work failed, in words.
//!
//! A [`Failure`] is one line that says what was being done and what went wrong, and at most one hint that says
//! what to do about it. It is made where the cause is known, gets its context on the way up, and is logged or
//! answered once, where it ends.

use std::fmt;
use std::io;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Failure>;

/// What sort of failure it is, for those who act on it: the exit status, the error code on the wire, a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The caller asked for something that makes no sense.
    Usage,
    /// The configuration is wrong.
    Configuration,
    /// The operating system refused a file operation.
    Io,
    /// The disk or the quota is full.
    NoSpace,
    /// Permissions are missing.
    Permission,
    /// Stored or received bytes are not what they must be.
    Corrupt,
    /// The peer broke the protocol.
    Protocol,
    /// The peer does not let us in, or we do not let it in.
    Authentication,
    /// The connection could not be made, or it broke.
    Network,
    /// A deadline passed.
    Timeout,
    /// PostgreSQL answered with an error.
    Server,
    /// The thing that was named does not exist.
    NotFound,
    /// Another operation is running.
    Busy,
    /// The recovery target lies outside of what is stored.
    Unreachable,
    /// This version cannot do it, or cannot read it.
    Unsupported,
    /// The daemon is stopping.
    Stopped,
    /// A bug, or a machine without memory or threads.
    Internal,
}

/// Why work failed.
pub struct Failure {
    kind: Kind,
    message: String,
    hint: Option<String>,
    sqlstate: Option<String>,
}

impl Failure {
    /// A failure of `kind` that `message` describes; one line, no final full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            sqlstate: None,
        }
    }

    /// Adds what the reader can do about it. The first hint stays: it was given where most was known.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Notes the SQLSTATE that PostgreSQL sent (five characters, PostgreSQL appendix A).
    #[must_use]
    pub fn sqlstate(mut self, code: impl Into<String>) -> Self {
        self.sqlstate = Some(code.into());
        self
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the reader can do about it.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message, and behind it the hint: for one line of a log.
    pub fn told(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; hint: {hint}", self.message),
            None => self.message.clone(),
        }
    }

    /// The SQLSTATE that PostgreSQL sent, if it was PostgreSQL that refused.
    pub fn code(&self) -> Option<&str> {
        self.sqlstate.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for io::Error {
    /// For the places that speak `std::io`; [`Failure::from`] finds the failure in it again.
    fn from(failure: Failure) -> Self {
        io::Error::other(failure)
    }
}

/// The failure that an error carries, however deep others have wrapped it.
fn carried(error: &io::Error) -> Option<Failure> {
    let mut cause = error
        .get_ref()
        .map(|e| e as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(Failure {
                kind: failure.kind,
                message: failure.message.clone(),
                hint: failure.hint.clone(),
                sqlstate: failure.sqlstate.clone(),
            });
        }
        cause = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if let Some(failure) = carried(&error) {
            return failure;
        }
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::NoSpace,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::Permission,
            io::ErrorKind::NotFound => Kind::NotFound,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Kind::Timeout,
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => Kind::Network,
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Kind::Corrupt,
            _ => Kind::Io,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// Says what was being done when something failed.
pub trait Context<T> {
    /// Puts `doing` before the message of the failure.
    fn context(self, doing: impl fmt::Display) -> Result<T>;
    /// As [`Context::context`], for a text that costs something to make.
    fn with_context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Failure>> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(doing))
    }

    fn with_context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().context(doing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_its_way_through_std_io() {
        let failure = || {
            Failure::new(Kind::Timeout, "no answer")
                .hint("wait")
                .sqlstate("57P03")
        };
        let wrapped = io::Error::from(failure());
        let twice = io::Error::other(io::Error::from(failure()));
        for error in [wrapped, twice] {
            let found = Failure::from(error);
            assert_eq!(found.kind(), Kind::Timeout);
            assert_eq!(found.message(), "no answer");
            assert_eq!(found.advice(), Some("wait"));
            assert_eq!(found.code(), Some("57P03"));
        }
    }
}
