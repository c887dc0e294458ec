//! The error codes in responses.

use super::Command;
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
    /// The operation failed.
    Failed(ErrorKind),
}

/// The error codes of one command.
struct ErrorCodes {
    /// The server is unknown.
    unknown_server: u16,
    /// A conflicting operation is running.
    busy: u16,
    /// The backup does not exist.
    not_found: u16,
    /// An argument is invalid, or a recovery target cannot be reached.
    argument: u16,
    /// There is no connection to PostgreSQL.
    offline: u16,
    /// The disk is full.
    no_space: u16,
    /// The operation failed for another reason.
    failed: u16,
    /// An internal error, or a command that is not implemented.
    other: u16,
}

impl ErrorCodes {
    const fn all(code: u16) -> ErrorCodes {
        ErrorCodes {
            unknown_server: code,
            busy: code,
            not_found: code,
            argument: code,
            offline: code,
            no_space: code,
            failed: code,
            other: code,
        }
    }

    /// One code for an unknown server, one for everything else.
    const fn per_server(unknown_server: u16, other: u16) -> ErrorCodes {
        let mut codes = ErrorCodes::all(other);
        codes.unknown_server = unknown_server;
        codes
    }
}

/// The error code of the C program for a cause; `command` is `None` if it is unknown.
pub fn error_code(command: Option<Command>, cause: Cause) -> u16 {
    let codes = command.map_or(ErrorCodes::all(2), error_codes);
    match cause {
        Cause::Undecodable => 1,
        Cause::UnknownCommand => 2,
        Cause::Overload => 3,
        Cause::UnknownServer => codes.unknown_server,
        Cause::Unsupported => codes.other,
        Cause::Failed(kind) => match kind {
            ErrorKind::Protocol => 1,
            ErrorKind::Busy => codes.busy,
            ErrorKind::NotFound => codes.not_found,
            ErrorKind::Usage | ErrorKind::Unreachable => codes.argument,
            ErrorKind::Network | ErrorKind::Authentication => codes.offline,
            ErrorKind::NoSpace => codes.no_space,
            ErrorKind::Internal => codes.other,
            _ => codes.failed,
        },
    }
}

fn error_codes(command: Command) -> ErrorCodes {
    match command {
        Command::Backup => ErrorCodes {
            unknown_server: 111,
            busy: 102,
            not_found: 107,
            argument: 113,
            offline: 110,
            no_space: 107,
            failed: 107,
            other: 113,
        },
        Command::ListBackup => ErrorCodes {
            unknown_server: 304,
            argument: 306,
            failed: 301,
            ..ErrorCodes::all(307)
        },
        Command::Restore => ErrorCodes {
            unknown_server: 603,
            busy: 602,
            not_found: 600,
            argument: 600,
            no_space: 601,
            failed: 605,
            ..ErrorCodes::all(609)
        },
        Command::Info => ErrorCodes {
            unknown_server: 2201,
            not_found: 2200,
            ..ErrorCodes::all(2204)
        },
        Command::Verify => ErrorCodes {
            unknown_server: 800,
            failed: 802,
            ..ErrorCodes::all(806)
        },
        Command::Progress => ErrorCodes {
            unknown_server: 3000,
            ..ErrorCodes::all(3003)
        },
        Command::Archive => ErrorCodes::per_server(901, 908),
        Command::Delete => ErrorCodes::per_server(403, 509),
        Command::Retain => ErrorCodes::per_server(1201, 1204),
        Command::Expunge => ErrorCodes::per_server(1301, 1304),
        Command::Decrypt => ErrorCodes::all(1403),
        Command::Encrypt => ErrorCodes::all(1503),
        Command::Decompress => ErrorCodes::all(2001),
        Command::Compress => ErrorCodes::all(2101),
        Command::Annotate => ErrorCodes::per_server(2501, 2505),
        Command::ConfGet => ErrorCodes::all(2603),
        Command::ConfSet => ErrorCodes::all(2707),
        Command::Mode => ErrorCodes::per_server(2800, 2804),
        Command::S3Ls => ErrorCodes::per_server(2900, 2905),
        Command::S3Restore => ErrorCodes::per_server(3100, 3102),
        // The C program does not have this command.
        Command::WalBegin => ErrorCodes::per_server(10_000, 10_001),
        // The C program has no error codes for these commands.
        Command::ConfLs | Command::ConfReload | Command::Clear => ErrorCodes::all(2),
        Command::Ping | Command::Shutdown | Command::Status | Command::StatusDetails => {
            ErrorCodes::all(3)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_are_those_of_the_c_program() {
        let failed = |command, kind| error_code(Some(command), Cause::Failed(kind));
        assert_eq!(error_code(None, Cause::Undecodable), 1);
        assert_eq!(error_code(None, Cause::UnknownCommand), 2);
        assert_eq!(failed(Command::Backup, ErrorKind::Busy), 102);
        assert_eq!(failed(Command::Backup, ErrorKind::Network), 110);
        assert_eq!(error_code(Some(Command::Backup), Cause::UnknownServer), 111);
        assert_eq!(failed(Command::ListBackup, ErrorKind::Usage), 306);
        assert_eq!(
            error_code(Some(Command::ListBackup), Cause::UnknownServer),
            304
        );
        assert_eq!(failed(Command::Restore, ErrorKind::NotFound), 600);
        assert_eq!(failed(Command::Restore, ErrorKind::NoSpace), 601);
        assert_eq!(failed(Command::Restore, ErrorKind::Unreachable), 600);
        assert_eq!(
            error_code(Some(Command::Restore), Cause::UnknownServer),
            603
        );
        assert_eq!(failed(Command::Info, ErrorKind::NotFound), 2200);
        assert_eq!(error_code(Some(Command::Verify), Cause::UnknownServer), 800);
        for (command, code) in [
            (Command::Mode, 2800),
            (Command::Delete, 403),
            (Command::Archive, 901),
            (Command::Retain, 1201),
            (Command::Expunge, 1301),
            (Command::Annotate, 2501),
            (Command::S3Ls, 2900),
            (Command::S3Restore, 3100),
        ] {
            assert!(command.takes_server());
            assert_eq!(error_code(Some(command), Cause::UnknownServer), code);
        }
        assert_eq!(failed(Command::Verify, ErrorKind::Corrupt), 802);
    }
}
