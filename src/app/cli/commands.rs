//! The table of commands of `pgmoneta-cli`.

use crate::protocol::Command;

/// One row: how a command is parsed, its help, and the request that it sends.
pub(super) struct CommandSpec {
    /// The command, or the group of a subcommand, as it is typed.
    pub name: &'static str,
    /// The subcommand, for the commands of a group.
    pub subcommand: Option<&'static str>,
    /// The operands, for the usage line.
    pub usage: &'static str,
    /// The minimum and maximum number of operands.
    pub operands: (usize, usize),
    /// The summary in the help, one line.
    pub about: &'static str,
    /// The details at the end of the command's help; empty for none.
    pub after_help: &'static str,
    /// An example command line for the help; empty for none.
    pub example: &'static str,
    /// The command of the management protocol.
    pub command: Command,
    /// Whether the daemon of this version implements it.
    pub available: bool,
}

impl CommandSpec {
    const fn after_help(mut self, text: &'static str) -> CommandSpec {
        self.after_help = text;
        self
    }

    /// The command with its subcommand, as it is typed.
    pub(super) fn full_name(&self) -> String {
        match self.subcommand {
            Some(subcommand) => format!("{} {subcommand}", self.name),
            None => self.name.to_owned(),
        }
    }
}

const fn available(
    (name, subcommand): (&'static str, Option<&'static str>),
    usage: &'static str,
    operands: (usize, usize),
    command: Command,
    about: &'static str,
    example: &'static str,
) -> CommandSpec {
    CommandSpec {
        name,
        subcommand,
        usage,
        operands,
        about,
        after_help: "",
        example,
        command,
        available: true,
    }
}

/// A command that a later version will implement; its request is sent all the same.
const fn planned(
    (name, subcommand): (&'static str, Option<&'static str>),
    usage: &'static str,
    operands: (usize, usize),
    command: Command,
    about: &'static str,
) -> CommandSpec {
    CommandSpec {
        name,
        subcommand,
        usage,
        operands,
        about,
        after_help: "",
        example: "",
        command,
        available: false,
    }
}

const RESTORE: &str = "\
The data directory is <DIRECTORY>/<SERVER>-<BACKUP>, which must be empty or missing.
The position is where recovery ends:
  (none), immediate   the end of the backup
  current             all WAL that was received
  time=TIME           before the first commit after that time, such as 2026-11-22 14:00:00+00,
                      or 2026-11-22, which is midnight
  lsn=LSN, xid=XID, name=NAME   a WAL position, a transaction, a restore point
and after commas: timeline=NUMBER, latest or current (the default: the timeline that the
archive follows), inclusive=true|false, action=pause|promote|shutdown, primary (the
default: promotes) or replica (a standby).
`newest` is the newest backup from which the position can be reached, on the history of the timeline
that the archive follows: not one on a branch that was left by a point-in-time recovery.";

const WAL_BEGIN: &str = "\
Needed where the archive has no WAL although the replication slot was used before, and where
directories of the server are missing: either the archive is lost or its file system is not
mounted. Until then no WAL is received, since the server would remove what was confirmed.
WAL is then received from the position of the slot; earlier WAL is not in the archive, and
earlier backups cannot be recovered beyond the gap: take a full backup.
It applies once: after another loss run it again.";

/// All commands, in the order of the help.
#[rustfmt::skip]
pub(super) const COMMANDS: &[CommandSpec] = &[
    available(("backup", None), "<SERVER>", (1, 2), Command::Backup,
        "Take a full backup of a server", "pgmoneta-cli backup primary"),
    available(("list-backup", None), "<SERVER>", (1, 2), Command::ListBackup,
        "List the backups of a server", "pgmoneta-cli list-backup primary --sort desc"),
    available(("info", None), "<SERVER> <BACKUP>", (2, 2), Command::Info,
        "Show one backup", "pgmoneta-cli info primary newest"),
    available(("verify", None), "<SERVER> <BACKUP> [DIRECTORY] [failed|all]", (2, 4),
        Command::Verify, "Read every byte of a backup and check it", "pgmoneta-cli verify primary newest")
        .after_help("Bad files are listed; with `all` the good ones too.\n\
            A directory is accepted, but ignored."),
    available(("restore", None), "<SERVER> <BACKUP> [POSITION] <DIRECTORY>", (3, 4),
        Command::Restore, "Restore a backup, ready to be started",
        "pgmoneta-cli restore primary newest 'time=2026-11-22 14:00:00+00' /var/lib/postgresql")
        .after_help(RESTORE),
    available(("status", None), "", (0, 0), Command::Status,
        "Show the servers", "pgmoneta-cli status"),
    available(("status", Some("details")), "", (0, 0), Command::StatusDetails,
        "Show the servers and their backups", "pgmoneta-cli status details"),
    available(("ping", None), "", (0, 0), Command::Ping,
        "Check whether the daemon is running", "pgmoneta-cli ping && echo running"),
    available(("progress", None), "<SERVER> [COMMAND]", (1, 2), Command::Progress,
        "Show the progress of an operation on a server", "pgmoneta-cli progress primary backup"),
    available(("wal", Some("begin")), "<SERVER>", (1, 1), Command::WalBegin,
        "Allow a new WAL archive of a server", "pgmoneta-cli wal begin primary")
        .after_help(WAL_BEGIN),
    available(("shutdown", None), "", (0, 0), Command::Shutdown,
        "Stop the daemon", "pgmoneta-cli shutdown"),
    planned(("archive", None), "<SERVER> <BACKUP> [POSITION] <DIRECTORY>", (3, 4), Command::Archive,
        "Restore a backup and create a tar file of it"),
    planned(("delete", None), "<SERVER> <BACKUP>", (2, 2), Command::Delete,
        "Remove a backup"),
    planned(("retain", None), "<SERVER> <BACKUP>", (2, 2), Command::Retain,
        "Exclude a backup from retention"),
    planned(("expunge", None), "<SERVER> <BACKUP>", (2, 2), Command::Expunge,
        "Include a retained backup in retention again"),
    planned(("annotate", None), "<SERVER> <BACKUP> <ACTION> <KEY> [COMMENT]", (4, 5),
        Command::Annotate, "Change the comments of a backup"),
    planned(("mode", None), "<SERVER> online|offline", (2, 2), Command::Mode,
        "Take a server online or offline"),
    planned(("conf", Some("ls")), "", (0, 0), Command::ConfLs,
        "List the configuration files of the daemon"),
    planned(("conf", Some("get")), "[KEY]", (0, 1), Command::ConfGet,
        "Show the configuration of the daemon"),
    planned(("conf", Some("set")), "<KEY> <VALUE>", (2, 2), Command::ConfSet,
        "Change the configuration of the daemon until it stops"),
    planned(("conf", Some("reload")), "", (0, 0), Command::ConfReload,
        "Reload the configuration of the daemon"),
    planned(("clear", Some("prometheus")), "", (0, 0), Command::Clear,
        "Reset the metrics"),
    planned(("encrypt", None), "<FILE>", (1, 1), Command::Encrypt, "Encrypt a file"),
    planned(("decrypt", None), "<FILE>", (1, 1), Command::Decrypt, "Decrypt a file"),
    planned(("compress", None), "<FILE>", (1, 1), Command::Compress, "Compress a file"),
    planned(("decompress", None), "<FILE>", (1, 1), Command::Decompress, "Decompress a file"),
    planned(("s3", Some("ls")), "<SERVER> [PREFIX]", (1, 2), Command::S3Ls,
        "List the backups of a server in a bucket"),
    planned(("s3", Some("restore")), "<SERVER> <PREFIX> [POSITION] <DIRECTORY>", (3, 4),
        Command::S3Restore, "Restore a backup from a bucket"),
];

/// The summaries of the command groups.
pub(super) const GROUPS: &[(&str, &str)] = &[
    ("conf", "The configuration of the daemon"),
    ("clear", "Reset the counters of the daemon"),
    ("s3", "Backups in a bucket"),
    ("wal", "The WAL archive of a server"),
];

/// The row of a command, if there is one.
pub(super) fn find(name: &str, subcommand: Option<&str>) -> Option<&'static CommandSpec> {
    COMMANDS
        .iter()
        .find(|spec| spec.name == name && spec.subcommand == subcommand)
}
