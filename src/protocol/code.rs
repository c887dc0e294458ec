//! The error codes of the wire.

use super::Command;
use crate::error::Kind;

/// What a request was refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It could not be read.
    Undecodable,
    /// It names no command.
    UnknownCommand,
    /// The daemon cannot take it now: too many are being served.
    Overload,
    /// It names no server of the configuration.
    UnknownServer,
    /// Its command is known, and this version cannot do it yet.
    NotYet,
    /// It was tried and failed.
    Failed(Kind),
}

/// The codes of one command.
struct Codes {
    /// No such server.
    server: u16,
    /// Another operation is in the way.
    busy: u16,
    /// No such backup.
    missing: u16,
    /// An argument makes no sense, or a recovery target cannot be reached.
    argument: u16,
    /// PostgreSQL cannot be reached.
    offline: u16,
    /// No room.
    space: u16,
    /// It went wrong half way.
    failed: u16,
    /// Anything else.
    other: u16,
}

impl Codes {
    const fn all(code: u16) -> Codes {
        Codes {
            server: code,
            busy: code,
            missing: code,
            argument: code,
            offline: code,
            space: code,
            failed: code,
            other: code,
        }
    }

    /// One code for an unknown server, one for everything else.
    const fn of_server(server: u16, other: u16) -> Codes {
        let mut codes = Codes::all(other);
        codes.server = server;
        codes
    }
}

/// The code for a cause. The numbers are those of the C program.
pub fn error_code(command: Option<Command>, cause: Cause) -> u16 {
    let codes = command.map_or(Codes::all(2), codes);
    match cause {
        Cause::Undecodable => 1,
        Cause::UnknownCommand => 2,
        Cause::Overload => 3,
        Cause::UnknownServer => codes.server,
        Cause::NotYet => codes.other,
        Cause::Failed(kind) => match kind {
            Kind::Protocol => 1,
            Kind::Busy => codes.busy,
            Kind::NotFound => codes.missing,
            Kind::Usage | Kind::Unreachable => codes.argument,
            Kind::Network | Kind::Authentication => codes.offline,
            Kind::NoSpace => codes.space,
            Kind::Internal => codes.other,
            _ => codes.failed,
        },
    }
}

fn codes(command: Command) -> Codes {
    match command {
        Command::Backup => Codes {
            server: 111,
            busy: 102,
            missing: 107,
            argument: 113,
            offline: 110,
            space: 107,
            failed: 107,
            other: 113,
        },
        Command::ListBackup => Codes {
            server: 304,
            argument: 306,
            failed: 301,
            ..Codes::all(307)
        },
        Command::Restore => Codes {
            server: 603,
            busy: 602,
            missing: 600,
            argument: 600,
            space: 601,
            failed: 605,
            ..Codes::all(609)
        },
        Command::Info => Codes {
            server: 2201,
            missing: 2200,
            ..Codes::all(2204)
        },
        Command::Verify => Codes {
            server: 800,
            failed: 802,
            ..Codes::all(806)
        },
        Command::Progress => Codes {
            server: 3000,
            ..Codes::all(3003)
        },
        Command::Archive => Codes::of_server(901, 908),
        Command::Delete => Codes::of_server(403, 509),
        Command::Retain => Codes::of_server(1201, 1204),
        Command::Expunge => Codes::of_server(1301, 1304),
        Command::Decrypt => Codes::all(1403),
        Command::Encrypt => Codes::all(1503),
        Command::Decompress => Codes::all(2001),
        Command::Compress => Codes::all(2101),
        Command::Annotate => Codes::of_server(2501, 2505),
        Command::ConfGet => Codes::all(2603),
        Command::ConfSet => Codes::all(2707),
        Command::Mode => Codes::of_server(2800, 2804),
        Command::S3Ls => Codes::of_server(2900, 2905),
        Command::S3Restore => Codes::of_server(3100, 3102),
        // Not of the C program.
        Command::WalBegin => Codes::of_server(10_000, 10_001),
        // These have no codes of their own.
        Command::ConfLs | Command::ConfReload | Command::Clear => Codes::all(2),
        Command::Ping | Command::Shutdown | Command::Status | Command::StatusDetails => {
            Codes::all(3)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_that_clients_act_on() {
        let failed = |command, kind| error_code(Some(command), Cause::Failed(kind));
        assert_eq!(error_code(None, Cause::Undecodable), 1);
        assert_eq!(error_code(None, Cause::UnknownCommand), 2);
        assert_eq!(failed(Command::Backup, Kind::Busy), 102);
        assert_eq!(failed(Command::Backup, Kind::Network), 110);
        assert_eq!(error_code(Some(Command::Backup), Cause::UnknownServer), 111);
        assert_eq!(failed(Command::ListBackup, Kind::Usage), 306);
        assert_eq!(
            error_code(Some(Command::ListBackup), Cause::UnknownServer),
            304
        );
        assert_eq!(failed(Command::Restore, Kind::NotFound), 600);
        assert_eq!(failed(Command::Restore, Kind::NoSpace), 601);
        assert_eq!(failed(Command::Restore, Kind::Unreachable), 600);
        assert_eq!(
            error_code(Some(Command::Restore), Cause::UnknownServer),
            603
        );
        assert_eq!(failed(Command::Info, Kind::NotFound), 2200);
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
            assert!(command.is_of_server());
            assert_eq!(error_code(Some(command), Cause::UnknownServer), code);
        }
        assert_eq!(failed(Command::Verify, Kind::Corrupt), 802);
    }
}
