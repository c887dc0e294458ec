//! The commands of the C program that this version does not implement. A row moves to a file of its
//! own, with its documents, when it is.

use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Operand, Presence, Run};

/// Takes a server online or offline.
pub static MODE: Command = Command {
    words: ("mode", None),
    name: "mode",
    operands: &[Operand::SERVER, Operand::text("online|offline", "Action")],
    summary: "Take a server online or offline",
    code: 24,
    errors: ErrorCodes::per_server(2800, 2804),
    ..Command::BASE
};

/// Lists the configuration files.
pub static CONF_LS: Command = Command {
    words: ("conf", Some("ls")),
    name: "conf ls",
    summary: "List the configuration files of the daemon",
    code: 21,
    errors: ErrorCodes::all(2),
    ..Command::BASE
};

/// Shows the configuration. The client selects the key from the response.
pub static CONF_GET: Command = Command {
    words: ("conf", Some("get")),
    name: "conf get",
    operands: &[Operand::text("KEY", "").optional()],
    summary: "Show the configuration of the daemon",
    code: 22,
    errors: ErrorCodes::all(2603),
    ..Command::BASE
};

/// Changes the configuration.
pub static CONF_SET: Command = Command {
    words: ("conf", Some("set")),
    name: "conf set",
    operands: &[
        Operand::text("KEY", "ConfigKey"),
        Operand::text("VALUE", "ConfigValue"),
    ],
    summary: "Change the configuration of the daemon until it stops",
    code: 23,
    errors: ErrorCodes::all(2707),
    ..Command::BASE
};

/// Reads the configuration again.
pub static CONF_RELOAD: Command = Command {
    words: ("conf", Some("reload")),
    name: "reload",
    summary: "Reload the configuration of the daemon",
    code: 11,
    errors: ErrorCodes::all(2),
    ..Command::BASE
};

/// Resets the metrics.
pub static CLEAR: Command = Command {
    words: ("clear", Some("prometheus")),
    name: "reset",
    summary: "Reset the metrics",
    code: 10,
    errors: ErrorCodes::all(2),
    ..Command::BASE
};

/// Lists the backups of a server in a bucket.
pub static S3_LS: Command = Command {
    words: ("s3", Some("ls")),
    name: "s3 ls",
    operands: &[
        Operand::SERVER,
        Operand {
            presence: Presence::Omitted,
            ..Operand::text("PREFIX", "S3Prefix")
        },
    ],
    summary: "List the backups of a server in a bucket",
    code: 200,
    errors: ErrorCodes::per_server(2900, 2905),
    run: Run::Unbounded,
    ..Command::BASE
};

/// Restores a backup from a bucket.
pub static S3_RESTORE: Command = Command {
    words: ("s3", Some("restore")),
    name: "s3 restore",
    operands: &[
        Operand::SERVER,
        Operand::text("PREFIX", "S3Prefix"),
        Operand::POSITION,
        Operand::DIRECTORY,
    ],
    summary: "Restore a backup from a bucket",
    code: 201,
    errors: ErrorCodes::per_server(3100, 3102),
    run: Run::Unbounded,
    ..Command::BASE
};
