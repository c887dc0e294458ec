//! The error type of this crate.
//!
//! An [`Error`] is one line that says what was being done and what failed, and at most one hint
//! that says what the operator can do. It is made where the cause is known, gets context on the way
//! up, and is logged or sent to the client once.

use std::fmt;
use std::io;

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The class of an error. It decides the exit status, the error code in the management protocol,
/// and whether the operation is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is invalid.
    Usage,
    /// The configuration is invalid, or does not fit the server or the repository.
    Configuration,
    /// A file operation failed.
    Io,
    /// The disk or the quota is full.
    NoSpace,
    /// A permission is missing, or a file gives others too many of them.
    Permission,
    /// Stored or received data is damaged or malformed.
    Corrupt,
    /// The peer violated the protocol.
    Protocol,
    /// Authentication failed, on either side.
    Authentication,
    /// The connection could not be opened, or was lost.
    Network,
    /// A deadline passed.
    Timeout,
    /// PostgreSQL returned an error.
    Server,
    /// A file, a backup or a server does not exist.
    NotFound,
    /// A conflicting operation is running.
    Busy,
    /// The recovery target is outside the recoverable range.
    Unreachable,
    /// This version does not support the operation or the format.
    Unsupported,
    /// The daemon is stopping.
    Stopped,
    /// A bug, or no memory or threads left.
    Internal,
}

/// A message for one line, with its class, and optionally a hint and an SQLSTATE.
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    code: Option<String>,
}

impl Error {
    /// `message` is one line without a final full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            code: None,
        }
    }

    /// Sets the hint, unless one is set: the one nearest to the cause is the most specific.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Prefixes the message with the action that failed: `action: message`.
    #[must_use]
    pub fn context(mut self, action: impl fmt::Display) -> Self {
        self.message = format!("{action}: {}", self.message);
        self
    }

    /// Sets the SQLSTATE that PostgreSQL sent (five characters, PostgreSQL documentation,
    /// appendix A).
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The class, as given to [`Error::new`].
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// One line, with the context but without the hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// `message; hint: hint`, for a log line.
    pub fn message_with_hint(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; hint: {hint}", self.message),
            None => self.message.clone(),
        }
    }

    /// The SQLSTATE, if PostgreSQL returned the error.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    /// Passes an error through an interface of `std::io`; [`Error::from`] unwraps it.
    fn from(error: Error) -> Self {
        io::Error::other(error)
    }
}

/// The [`Error`] inside an I/O error, at any depth of wrapping.
fn wrapped(error: &io::Error) -> Option<Error> {
    let mut cause = error
        .get_ref()
        .map(|e| e as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        if let Some(failure) = error.downcast_ref::<Error>() {
            return Some(Error {
                kind: failure.kind,
                message: failure.message.clone(),
                hint: failure.hint.clone(),
                code: failure.code.clone(),
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

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if let Some(failure) = wrapped(&error) {
            return failure;
        }
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::Permission
            }
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ErrorKind::Timeout,
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => ErrorKind::Network,
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => ErrorKind::Corrupt,
            _ => ErrorKind::Io,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// Adds the action that failed to an error.
pub trait Context<T> {
    /// Prefixes the message with `action`.
    fn context(self, action: impl fmt::Display) -> Result<T>;
    /// As [`Context::context`]; `action` is called only on an error.
    fn with_context<D: fmt::Display>(self, action: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, action: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(action))
    }

    fn with_context<D: fmt::Display>(self, action: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().context(action()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_passes_through_std_io_unchanged() {
        let original = || {
            Error::new(ErrorKind::Timeout, "no answer")
                .with_hint("wait")
                .with_code("57P03")
        };
        let wrapped = io::Error::from(original());
        let twice = io::Error::other(io::Error::from(original()));
        for error in [wrapped, twice] {
            let found = Error::from(error);
            assert_eq!(found.kind(), ErrorKind::Timeout);
            assert_eq!(found.message(), "no answer");
            assert_eq!(found.hint(), Some("wait"));
            assert_eq!(found.code(), Some("57P03"));
        }
    }
}
