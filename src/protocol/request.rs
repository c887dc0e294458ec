//! The table of commands, and their requests.

use serde::Serialize;

use super::command::Command;
use super::document::*;
use super::members::{Members, check, members, read};
use crate::error::{Error, ErrorKind, Result};

/// All commands, in the order of the help.
pub static COMMANDS: &[&Command] = &[
    &BACKUP,
    &LIST_BACKUP,
    &INFO,
    &VERIFY,
    &RESTORE,
    &STATUS,
    &STATUS_DETAILS,
    &PING,
    &PROGRESS,
    &WAL_BEGIN,
    &SHUTDOWN,
    &ARCHIVE,
    &DELETE,
    &RETAIN,
    &EXPUNGE,
    &ANNOTATE,
    &MODE,
    &CONF_LS,
    &CONF_GET,
    &CONF_SET,
    &CONF_RELOAD,
    &CLEAR,
    &ENCRYPT,
    &DECRYPT,
    &COMPRESS,
    &DECOMPRESS,
    &S3_LS,
    &S3_RESTORE,
];

/// The summaries of the groups of commands.
pub const GROUPS: &[(&str, &str)] = &[
    ("conf", "The configuration of the daemon"),
    ("clear", "Reset the counters of the daemon"),
    ("s3", "Backups in a bucket"),
    ("wal", "The WAL archive of a server"),
];

/// Parses the members of a request, whose types were checked.
type Reader = fn(&Members) -> Result<Request>;

/// The implemented commands.
static READERS: &[(&Command, Reader)] = &[
    (&PING, |_| Ok(Request::Ping)),
    (&SHUTDOWN, |_| Ok(Request::Shutdown)),
    (&STATUS, |_| Ok(Request::Status)),
    (&STATUS_DETAILS, |_| Ok(Request::StatusDetails)),
    (&BACKUP, |members| Ok(Request::Backup(read(members)?))),
    (&LIST_BACKUP, |members| match read(members) {
        Ok(request) => Ok(Request::ListBackup(request)),
        // Only the order can be invalid, for which the C program has an error code.
        Err(error) => Err(Error::new(ErrorKind::Usage, error.message())),
    }),
    (&INFO, |members| Ok(Request::Info(read(members)?))),
    (&VERIFY, |members| Ok(Request::Verify(read(members)?))),
    (&RESTORE, |members| Ok(Request::Restore(read(members)?))),
    (&PROGRESS, |members| Ok(Request::Progress(read(members)?))),
    (&WAL_BEGIN, |members| Ok(Request::WalBegin(read(members)?))),
];

/// A request. The names of servers and backups are unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Request {
    /// Check whether the daemon is running.
    Ping,
    /// Stop the daemon.
    Shutdown,
    /// Show all servers.
    Status,
    /// Show all servers and their backups.
    StatusDetails,
    /// Take a backup of the server.
    Backup(BackupRequest),
    /// List the backups of the server.
    ListBackup(ListBackupRequest),
    /// Restore a backup.
    Restore(RestoreRequest),
    /// Show one backup.
    Info(InfoRequest),
    /// Verify one backup.
    Verify(VerifyRequest),
    /// Show the progress of the operation on the server.
    Progress(ProgressRequest),
    /// Allow a new WAL archive of the server.
    WalBegin(WalBeginRequest),
    /// A command that this version does not implement.
    Other {
        /// The command, which no other variant has.
        #[serde(skip)]
        command: &'static Command,
        /// The members of the request, unchecked.
        #[serde(flatten)]
        members: Members,
    },
}

impl Request {
    /// Parses the members of a request. Unknown members are ignored.
    pub fn read(command: &'static Command, members: &Members) -> Result<Request> {
        let Some((_, reader)) = READERS.iter().find(|(row, _)| *row == command) else {
            let members = members.clone();
            return Ok(Request::Other { command, members });
        };
        check(command, members)?;
        reader(members)
    }

    /// The command of the request.
    pub fn command(&self) -> &'static Command {
        match self {
            Request::Ping => &PING,
            Request::Shutdown => &SHUTDOWN,
            Request::Status => &STATUS,
            Request::StatusDetails => &STATUS_DETAILS,
            Request::Backup(_) => &BACKUP,
            Request::ListBackup(_) => &LIST_BACKUP,
            Request::Restore(_) => &RESTORE,
            Request::Info(_) => &INFO,
            Request::Verify(_) => &VERIFY,
            Request::Progress(_) => &PROGRESS,
            Request::WalBegin(_) => &WAL_BEGIN,
            Request::Other { command, .. } => command,
        }
    }

    /// The members of the request, as the C client sends them. Members that the C program does not
    /// have are added only if they are set.
    pub fn members(&self) -> Result<Members> {
        members(self)
    }

    /// Whether it is a restore that writes nothing.
    pub fn is_dry_run(&self) -> bool {
        matches!(self, Request::Restore(restore) if restore.dry_run)
    }
}
