//! What ends a connection, and whether an operator has to act.

use crate::error::{Error, ErrorKind};

/// What ended an attempt to receive WAL.
#[derive(Debug)]
pub(super) enum ReceiveError {
    /// The daemon stops.
    Stopped,
    /// The next attempt may succeed: the server restarts, the network is down.
    Transient(Error),
    /// An operator has to act; the hint says how.
    NeedsOperator(Error),
}

/// How many attempts in a row may find the slot in use before an alarm is raised: the server may
/// still hold it for the previous connection of this receiver.
const SLOT_IN_USE_ATTEMPTS: u32 = 4;

/// object_in_use: another receiver streams from the slot.
pub(super) const OBJECT_IN_USE: &str = "55006";

/// undefined_file: a WAL segment or a history file was removed.
const UNDEFINED_FILE: &str = "58P01";

impl ReceiveError {
    /// An error of the archive: free space, permissions and disks need an operator.
    pub(super) fn archive(failure: Error) -> ReceiveError {
        match failure.kind() {
            ErrorKind::Stopped => ReceiveError::Stopped,
            // The server violated the protocol; a new connection may work.
            ErrorKind::Protocol => ReceiveError::Transient(failure),
            ErrorKind::NoSpace => ReceiveError::NeedsOperator(failure.with_hint(
                "make room on the file system of base_dir; WAL collects on the server meanwhile",
            )),
            ErrorKind::Permission => ReceiveError::NeedsOperator(
                failure.with_hint("the user of the daemon must be able to write below base_dir"),
            ),
            ErrorKind::Io => ReceiveError::NeedsOperator(failure.with_hint(
                "check the disk under base_dir (dmesg); nothing was acknowledged that is not on it",
            )),
            _ => ReceiveError::NeedsOperator(failure),
        }
    }

    /// The error to report after `attempts` failures in a row: a slot that stays in use needs an
    /// operator.
    pub(super) fn escalate(self, attempts: u32) -> ReceiveError {
        match self {
            ReceiveError::Transient(failure)
                if failure.code() == Some(OBJECT_IN_USE) && attempts >= SLOT_IN_USE_ATTEMPTS =>
            {
                ReceiveError::NeedsOperator(failure)
            }
            other => other,
        }
    }

    /// Whether the server answered that the requested file was removed.
    pub(super) fn is_file_removed(&self) -> bool {
        match self {
            ReceiveError::Stopped => false,
            ReceiveError::Transient(failure) | ReceiveError::NeedsOperator(failure) => {
                is_file_removed(failure)
            }
        }
    }
}

/// Whether the server answered that the requested file was removed.
pub(super) fn is_file_removed(failure: &Error) -> bool {
    failure.code() == Some(UNDEFINED_FILE)
}

impl From<Error> for ReceiveError {
    /// An error of the connection or of the server.
    fn from(failure: Error) -> ReceiveError {
        match failure.kind() {
            ErrorKind::Stopped => ReceiveError::Stopped,
            ErrorKind::Authentication | ErrorKind::Configuration | ErrorKind::Corrupt => {
                ReceiveError::NeedsOperator(failure)
            }
            ErrorKind::Server if failure.code().is_some_and(needs_operator) => {
                ReceiveError::NeedsOperator(failure)
            }
            _ => ReceiveError::Transient(failure),
        }
    }
}

/// Whether a SQLSTATE (PostgreSQL documentation, appendix A) names an error that retrying cannot
/// fix.
fn needs_operator(code: &str) -> bool {
    matches!(
        code,
        "0A000" // feature_not_supported
            | "3D000" // invalid_catalog_name: no database postgres
            | "42501" // insufficient_privilege
            | "42602" // invalid_name: of a slot
            | "42704" // undefined_object: the slot
            | "53400" // configuration_limit_exceeded: max_replication_slots
            | "55000" // object_not_in_prerequisite_state: the slot is lost
            | "58P01" // undefined_file: the WAL was removed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_stays_in_use_becomes_an_alarm() {
        let error =
            || ReceiveError::from(Error::new(ErrorKind::Server, "x").with_code(OBJECT_IN_USE));
        assert!(matches!(error().escalate(1), ReceiveError::Transient(_)));
        assert!(matches!(
            error().escalate(4),
            ReceiveError::NeedsOperator(_)
        ));
    }

    #[test]
    fn only_errors_that_need_an_operator_are_alarms() {
        let server = |code| ReceiveError::from(Error::new(ErrorKind::Server, "x").with_code(code));
        for code in ["42501", "55000", "58P01"] {
            assert!(
                matches!(server(code), ReceiveError::NeedsOperator(_)),
                "{code}"
            );
        }
        for code in ["53300", "40001", "XX000"] {
            assert!(matches!(server(code), ReceiveError::Transient(_)), "{code}");
        }
        let of = |kind| ReceiveError::from(Error::new(kind, "x"));
        assert!(matches!(of(ErrorKind::Network), ReceiveError::Transient(_)));
        assert!(matches!(
            of(ErrorKind::Authentication),
            ReceiveError::NeedsOperator(_)
        ));
        assert!(matches!(of(ErrorKind::Stopped), ReceiveError::Stopped));
        let full = ReceiveError::archive(Error::new(ErrorKind::NoSpace, "x"));
        assert!(matches!(full, ReceiveError::NeedsOperator(failure) if failure.hint().is_some()));
    }
}
