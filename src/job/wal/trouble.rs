//! What ends a connection, and who can do something about it.

use crate::error::{Failure, Kind};

/// What ended an attempt to receive WAL.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The daemon stops.
    Stop,
    /// It goes away by itself: the server restarts, the network is down.
    Passing(Failure),
    /// Somebody has to act. The failure's hint says how.
    Lasting(Failure),
}

/// How many tries in a row may find the slot in use before a person is called: the server may still hold it for our own
/// connection that broke.
const SLOT_IN_USE_TRIES: u32 = 4;

/// object_in_use: somebody streams from the slot.
pub(super) const OBJECT_IN_USE: &str = "55006";

/// undefined_file: a WAL segment or a history file is not there any more.
const UNDEFINED_FILE: &str = "58P01";

impl Trouble {
    /// Trouble with our own archive: only a person can make room, give rights or change a disk.
    pub(super) fn archive(failure: Failure) -> Trouble {
        match failure.kind() {
            Kind::Stopped => Trouble::Stop,
            // What the server sent is wrong; it may be right after a new start.
            Kind::Protocol => Trouble::Passing(failure),
            Kind::NoSpace => Trouble::Lasting(failure.hint(
                "make room on the file system of base_dir; WAL collects on the server meanwhile",
            )),
            Kind::Permission => Trouble::Lasting(
                failure.hint("the user of the daemon must be able to write below base_dir"),
            ),
            Kind::Io => Trouble::Lasting(failure.hint(
                "check the disk under base_dir (dmesg); nothing was acknowledged that is not on it",
            )),
            _ => Trouble::Lasting(failure),
        }
    }

    /// What is to be told of it after so many tries: one that passes may turn out to last.
    pub(super) fn after(self, tries: u32) -> Trouble {
        match self {
            Trouble::Passing(failure)
                if failure.code() == Some(OBJECT_IN_USE) && tries >= SLOT_IN_USE_TRIES =>
            {
                Trouble::Lasting(failure)
            }
            other => other,
        }
    }

    /// Whether the server said that a file which we asked for is gone.
    pub(super) fn is_removed(&self) -> bool {
        match self {
            Trouble::Stop => false,
            Trouble::Passing(failure) | Trouble::Lasting(failure) => is_removed(failure),
        }
    }
}

/// Whether the server said that a file which we asked for is gone.
pub(super) fn is_removed(failure: &Failure) -> bool {
    failure.code() == Some(UNDEFINED_FILE)
}

impl From<Failure> for Trouble {
    /// Trouble with the server.
    fn from(failure: Failure) -> Trouble {
        match failure.kind() {
            Kind::Stopped => Trouble::Stop,
            Kind::Authentication | Kind::Configuration | Kind::Corrupt => Trouble::Lasting(failure),
            Kind::Server if failure.code().is_some_and(needs_a_person) => Trouble::Lasting(failure),
            _ => Trouble::Passing(failure),
        }
    }
}

/// Whether a SQLSTATE (PostgreSQL documentation, appendix A) says that waiting alone does not help.
fn needs_a_person(code: &str) -> bool {
    matches!(
        code,
        "0A000" // feature_not_supported
            | "3D000" // invalid_catalog_name: no database postgres
            | "42501" // insufficient_privilege
            | "42602" // invalid_name: of a slot
            | "42704" // undefined_object: the slot
            | "53400" // configuration_limit_exceeded: max_replication_slots
            | "55000" // object_not_in_prerequisite_state: the slot is lost
            | "58P01" // undefined_file: the WAL is gone
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_in_use_becomes_an_alarm_when_it_stays_so() {
        let trouble = || Trouble::from(Failure::new(Kind::Server, "x").sqlstate(OBJECT_IN_USE));
        assert!(matches!(trouble().after(1), Trouble::Passing(_)));
        assert!(matches!(trouble().after(4), Trouble::Lasting(_)));
    }

    #[test]
    fn only_what_waiting_does_not_help_is_an_alarm() {
        let server = |code| Trouble::from(Failure::new(Kind::Server, "x").sqlstate(code));
        for code in ["42501", "55000", "58P01"] {
            assert!(matches!(server(code), Trouble::Lasting(_)), "{code}");
        }
        for code in ["53300", "40001", "XX000"] {
            assert!(matches!(server(code), Trouble::Passing(_)), "{code}");
        }
        let of = |kind| Trouble::from(Failure::new(kind, "x"));
        assert!(matches!(of(Kind::Network), Trouble::Passing(_)));
        assert!(matches!(of(Kind::Authentication), Trouble::Lasting(_)));
        assert!(matches!(of(Kind::Stopped), Trouble::Stop));
        let full = Trouble::archive(Failure::new(Kind::NoSpace, "x"));
        assert!(matches!(full, Trouble::Lasting(failure) if failure.advice().is_some()));
    }
}
