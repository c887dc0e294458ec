//! The commands, as a table.

use crate::protocol::Command;

/// One command of the client.
pub(super) struct Row {
    /// Its word.
    pub word: &'static str,
    /// The word after it, for those that are one of several.
    pub subword: Option<&'static str>,
    /// What follows, for people.
    pub usage: &'static str,
    /// How many words follow, least and most.
    pub arguments: (usize, usize),
    /// What it does.
    pub about: &'static str,
    /// What else there is to know.
    pub more: &'static str,
    /// What a line with it looks like.
    pub example: &'static str,
    /// What the daemon is asked.
    pub command: Command,
    /// Whether this version can do it.
    pub there: bool,
}

impl Row {
    const fn more(mut self, more: &'static str) -> Row {
        self.more = more;
        self
    }

    /// The command as it is typed.
    pub(super) fn name(&self) -> String {
        match self.subword {
            Some(subword) => format!("{} {subword}", self.word),
            None => self.word.to_owned(),
        }
    }
}

const fn row(
    (word, subword): (&'static str, Option<&'static str>),
    usage: &'static str,
    arguments: (usize, usize),
    command: Command,
    about: &'static str,
    example: &'static str,
) -> Row {
    Row {
        word,
        subword,
        usage,
        arguments,
        about,
        more: "",
        example,
        command,
        there: true,
    }
}

/// A command of a later version.
const fn later(
    (word, subword): (&'static str, Option<&'static str>),
    usage: &'static str,
    arguments: (usize, usize),
    command: Command,
    about: &'static str,
) -> Row {
    Row {
        word,
        subword,
        usage,
        arguments,
        about,
        more: "",
        example: "",
        command,
        there: false,
    }
}

const RESTORE: &str = "\
The cluster is made in <DIRECTORY>/<SERVER>-<BACKUP>, which must be empty or missing.
The position is where recovery ends:
  (none), immediate   the end of the backup
  current             everything that was received
  time=TIME           before the first commit after that time, such as 2026-11-22 14:00:00+00,
                      or 2026-11-22, which is midnight
  lsn=LSN, xid=XID, name=NAME   a WAL position, a transaction, a restore point
and after commas: timeline=NUMBER, latest or current (the default: the timeline that the
archive follows), inclusive=true|false, action=pause|promote|shutdown, primary (the
default: promotes) or replica (a standby).
With `newest` the backup is the newest one that the position can be reached from, on the way to
the timeline that the archive follows: not one that a recovery to an earlier moment left behind.";

const WAL_BEGIN: &str = "\
Needed where the archive has no WAL though the replication slot was used before, and where
directories of the server are missing: either the archive is lost, or its file system is
not mounted, and a server removes WAL that was received. Without this, nothing is received.
WAL is then received from where the slot is; what comes before is not in the archive, and
earlier backups cannot be recovered beyond the gap: take a full backup.
It is good for one beginning: a later loss needs it again.";

/// Every command.
#[rustfmt::skip]
pub(super) const COMMANDS: &[Row] = &[
    row(("backup", None), "<SERVER>", (1, 2), Command::Backup,
        "Take a full backup of a server", "pgmoneta-cli backup primary"),
    row(("list-backup", None), "<SERVER>", (1, 2), Command::ListBackup,
        "List the backups of a server", "pgmoneta-cli list-backup primary --sort desc"),
    row(("info", None), "<SERVER> <BACKUP>", (2, 2), Command::Info,
        "Show one backup", "pgmoneta-cli info primary newest"),
    row(("verify", None), "<SERVER> <BACKUP> [DIRECTORY] [failed|all]", (2, 4), Command::Verify,
        "Read every byte of a backup and check it", "pgmoneta-cli verify primary newest")
        .more("Bad files are listed; with `all` the good ones too. A directory is accepted and not needed."),
    row(("restore", None), "<SERVER> <BACKUP> [POSITION] <DIRECTORY>", (3, 4), Command::Restore,
        "Restore a backup, ready to be started",
        "pgmoneta-cli restore primary newest 'time=2026-11-22 14:00:00+00' /var/lib/postgresql")
        .more(RESTORE),
    row(("status", None), "", (0, 0), Command::Status,
        "Show the servers", "pgmoneta-cli status"),
    row(("status", Some("details")), "", (0, 0), Command::StatusDetails,
        "Show the servers and their backups", "pgmoneta-cli status details"),
    row(("ping", None), "", (0, 0), Command::Ping,
        "Ask whether the daemon is there", "pgmoneta-cli ping && echo it is there"),
    row(("progress", None), "<SERVER> [COMMAND]", (1, 2), Command::Progress,
        "Show how far an operation on a server has come", "pgmoneta-cli progress primary backup"),
    row(("wal", Some("begin")), "<SERVER>", (1, 1), Command::WalBegin,
        "Let the WAL archive of a server begin, or begin anew", "pgmoneta-cli wal begin primary")
        .more(WAL_BEGIN),
    row(("shutdown", None), "", (0, 0), Command::Shutdown,
        "Stop the daemon", "pgmoneta-cli shutdown"),
    later(("archive", None), "<SERVER> <BACKUP> [POSITION] <DIRECTORY>", (3, 4), Command::Archive,
        "Restore a backup and make a tar file of it"),
    later(("delete", None), "<SERVER> <BACKUP>", (2, 2), Command::Delete,
        "Remove a backup"),
    later(("retain", None), "<SERVER> <BACKUP>", (2, 2), Command::Retain,
        "Keep a backup from being removed"),
    later(("expunge", None), "<SERVER> <BACKUP>", (2, 2), Command::Expunge,
        "Let a backup that was retained be removed"),
    later(("annotate", None), "<SERVER> <BACKUP> <ACTION> <KEY> [COMMENT]", (4, 5), Command::Annotate,
        "Change the comments of a backup"),
    later(("mode", None), "<SERVER> online|offline", (2, 2), Command::Mode,
        "Take a server online or offline"),
    later(("conf", Some("ls")), "", (0, 0), Command::ConfLs,
        "List the configuration files of the daemon"),
    later(("conf", Some("get")), "[KEY]", (0, 1), Command::ConfGet,
        "Show the configuration of the daemon"),
    later(("conf", Some("set")), "<KEY> <VALUE>", (2, 2), Command::ConfSet,
        "Change the configuration of the daemon until it stops"),
    later(("conf", Some("reload")), "", (0, 0), Command::ConfReload,
        "Let the daemon read its configuration again"),
    later(("clear", Some("prometheus")), "", (0, 0), Command::Clear,
        "Reset the metrics"),
    later(("encrypt", None), "<FILE>", (1, 1), Command::Encrypt, "Encrypt a file"),
    later(("decrypt", None), "<FILE>", (1, 1), Command::Decrypt, "Decrypt a file"),
    later(("compress", None), "<FILE>", (1, 1), Command::Compress, "Compress a file"),
    later(("decompress", None), "<FILE>", (1, 1), Command::Decompress, "Decompress a file"),
    later(("s3", Some("ls")), "<SERVER> [PREFIX]", (1, 2), Command::S3Ls,
        "List the backups of a server in a bucket"),
    later(("s3", Some("restore")), "<SERVER> <PREFIX> [POSITION] <DIRECTORY>", (3, 4), Command::S3Restore,
        "Restore a backup from a bucket"),
];

/// What groups of commands are for.
pub(super) const GROUPS: &[(&str, &str)] = &[
    ("conf", "The configuration of the daemon"),
    ("clear", "Reset what the daemon counts"),
    ("s3", "Backups in a bucket"),
    ("wal", "The WAL archive of a server"),
];

/// The row of a command.
pub(super) fn find(word: &str, subword: Option<&str>) -> Option<&'static Row> {
    COMMANDS
        .iter()
        .find(|row| row.word == word && row.subword == subword)
}
