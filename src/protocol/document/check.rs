//! `check`, a command that the C program does not have: a Nagios plugin.

use serde::{Deserialize, Serialize};

use super::values::{List, ServerMembers};
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, CommandOption, MemberKind, Operand, Run};

/// Checks whether the servers are safe.
pub static CHECK: Command = Command {
    words: ("check", None),
    name: "check",
    operands: &[Operand::SERVER.optional()],
    options: &[
        CommandOption {
            long: "warning",
            short: None,
            value: "NAME=VALUE,...",
            help: "Thresholds of a warning",
            member: "Warning",
            kind: MemberKind::Text,
            words: &[],
        },
        CommandOption {
            long: "critical",
            short: None,
            value: "NAME=VALUE,...",
            help: "Thresholds of what is critical",
            member: "Critical",
            kind: MemberKind::Text,
            words: &[],
        },
    ],
    summary: "Check as a Nagios plugin whether the servers are safe",
    details: DETAILS,
    example: "pgmoneta-cli check primary --warning backup-age=8d,rpo=off --critical backup-age=15d",
    code: 10_020,
    errors: ErrorCodes::per_server(10_020, 10_021),
    run: Run::Monitoring,
    implemented: true,
    ..Command::BASE
};

const DETAILS: &str = "\
Exit status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN: the daemon does not answer, or the command
line is wrong. OK is: of each server WAL is received and none is missing, the backups can be
restored as far as known, and all values are within these thresholds (off is none):
                     warning  critical
  backup-age         26h      50h       age of the newest valid backup
  rpo                64MB     1GB       WAL that would be lost with the server
  rpo-age            1m       5m        age of the state that would be left of it
  time-left          7d       1d        until the disk is full, as it fills
  verification-age   off      off       since all of the archived WAL was verified";

/// The request to check one server, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CheckRequest {
    /// The name of the server, unchecked; `None` for all.
    pub server: Option<String>,
    /// Thresholds of a warning, `backup-age=26h,rpo=64MB`; those that are not named are the default
    /// ones.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub warning: String,
    /// Thresholds of what is critical.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub critical: String,
}

/// The response to `check`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CheckReply {
    /// The worst state of a server: the exit status.
    pub state: CheckState,
    /// The servers, the worst first.
    pub servers: List<CheckedServer>,
}

/// A server in the response to `check`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CheckedServer {
    /// Its name and version.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// The state of its worst problem.
    pub state: CheckState,
    /// What is known of it, one line.
    pub summary: String,
    /// What is wrong, the worst first.
    pub problems: List<CheckProblem>,
    /// What was measured.
    pub performance: List<PerformanceValue>,
}

/// What is wrong with a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CheckProblem {
    /// How urgent it is.
    pub state: CheckState,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub action: String,
}

/// A value of the performance data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PerformanceValue {
    /// Its name, which is unique for the server.
    pub label: String,
    /// `None` if it is not known, or there is nothing to measure.
    pub value: Option<u64>,
    /// `s`, `B`, or empty for a number.
    pub unit: String,
    /// The range without a warning: `93600` is from 0 to that, `604800:` is that or more. Empty for
    /// any value.
    pub warning: String,
    /// The range that is not critical.
    pub critical: String,
    /// The largest possible value, if there is one.
    pub maximum: Option<u64>,
}

/// The state of a service, by its number in Nagios.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum CheckState {
    /// It is safe.
    Ok,
    /// It will be critical if nobody acts.
    Warning,
    /// Something is lost, or would be if the server failed now.
    Critical,
    /// It is not known.
    #[default]
    Unknown,
}

impl CheckState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            CheckState::Ok => "OK",
            CheckState::Warning => "WARNING",
            CheckState::Critical => "CRITICAL",
            CheckState::Unknown => "UNKNOWN",
        }
    }

    /// The exit status.
    pub fn number(self) -> u8 {
        match self {
            CheckState::Ok => 0,
            CheckState::Warning => 1,
            CheckState::Critical => 2,
            CheckState::Unknown => 3,
        }
    }
}

impl From<u8> for CheckState {
    fn from(number: u8) -> CheckState {
        match number {
            0 => CheckState::Ok,
            1 => CheckState::Warning,
            2 => CheckState::Critical,
            _ => CheckState::Unknown,
        }
    }
}

impl From<CheckState> for u8 {
    fn from(state: CheckState) -> u8 {
        state.number()
    }
}
