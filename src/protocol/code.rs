//! The error codes in responses.

use crate::error::ErrorKind;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The frame or the document is invalid.
    Undecodable,
    /// The code of the command is missing or unknown.
    UnknownCommand,
    /// The maximum number of concurrent requests is reached.
    Overload,
    /// The server is not in the configuration.
    UnknownServer,
    /// The command is known, but not implemented in this version.
    Unsupported,
    /// The command has no such action.
    UnknownAction,
    /// The operation failed.
    Failed(ErrorKind),
}

/// The error codes of one command.
#[derive(Clone, Copy, Debug)]
pub struct ErrorCodes {
    /// The server is unknown.
    pub unknown_server: u16,
    /// A conflicting operation is running.
    pub busy: u16,
    /// The backup does not exist.
    pub not_found: u16,
    /// An argument is invalid, or a recovery target cannot be reached.
    pub argument: u16,
    /// The command has no such action.
    pub unknown_action: u16,
    /// This version does not support the operation or the format.
    pub unsupported: u16,
    /// There is no connection to PostgreSQL.
    pub offline: u16,
    /// The disk is full.
    pub no_space: u16,
    /// The operation failed for another reason.
    pub failed: u16,
    /// An internal error, or a command that is not implemented.
    pub other: u16,
}

impl ErrorCodes {
    /// One code for everything.
    pub const fn all(code: u16) -> ErrorCodes {
        ErrorCodes {
            unknown_server: code,
            busy: code,
            not_found: code,
            argument: code,
            unknown_action: code,
            unsupported: code,
            offline: code,
            no_space: code,
            failed: code,
            other: code,
        }
    }

    /// One code for an unknown server, one for everything else.
    pub const fn per_server(unknown_server: u16, other: u16) -> ErrorCodes {
        let mut codes = ErrorCodes::all(other);
        codes.unknown_server = unknown_server;
        codes
    }

    /// The error code of the C program for a cause.
    pub fn code(&self, cause: Cause) -> u16 {
        match cause {
            Cause::Undecodable => 1,
            Cause::UnknownCommand => 2,
            Cause::Overload => 3,
            Cause::UnknownServer => self.unknown_server,
            Cause::Unsupported => self.other,
            Cause::UnknownAction => self.unknown_action,
            Cause::Failed(kind) => match kind {
                ErrorKind::Protocol => 1,
                ErrorKind::Busy => self.busy,
                ErrorKind::NotFound => self.not_found,
                ErrorKind::Usage | ErrorKind::Unreachable => self.argument,
                ErrorKind::Unsupported => self.unsupported,
                ErrorKind::Network | ErrorKind::Authentication => self.offline,
                ErrorKind::NoSpace => self.no_space,
                ErrorKind::Internal => self.other,
                _ => self.failed,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::*;

    #[test]
    fn error_codes_are_those_of_the_c_program() {
        let failed = |command, kind| error_code(Some(command), Cause::Failed(kind));
        assert_eq!(error_code(None, Cause::Undecodable), 1);
        assert_eq!(error_code(None, Cause::UnknownCommand), 2);
        assert_eq!(failed(&BACKUP, ErrorKind::Busy), 102);
        assert_eq!(failed(&BACKUP, ErrorKind::Network), 110);
        assert_eq!(error_code(Some(&BACKUP), Cause::UnknownServer), 111);
        assert_eq!(failed(&LIST_BACKUP, ErrorKind::Usage), 306);
        assert_eq!(error_code(Some(&LIST_BACKUP), Cause::UnknownServer), 304);
        assert_eq!(failed(&RESTORE, ErrorKind::NotFound), 600);
        assert_eq!(failed(&RESTORE, ErrorKind::NoSpace), 601);
        assert_eq!(failed(&RESTORE, ErrorKind::Unreachable), 600);
        assert_eq!(error_code(Some(&RESTORE), Cause::UnknownServer), 603);
        assert_eq!(failed(&INFO, ErrorKind::NotFound), 2200);
        assert_eq!(error_code(Some(&VERIFY), Cause::UnknownServer), 800);
        for (command, code) in [
            (&MODE, 2800),
            (&DELETE, 403),
            (&ARCHIVE, 901),
            (&RETAIN, 1201),
            (&EXPUNGE, 1301),
            (&ANNOTATE, 2501),
            (&S3_LS, 2900),
            (&S3_RESTORE, 3100),
        ] {
            assert!(command.takes_server());
            assert_eq!(error_code(Some(command), Cause::UnknownServer), code);
        }
        assert_eq!(failed(&VERIFY, ErrorKind::Corrupt), 802);
    }
}
