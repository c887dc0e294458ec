//! The table of commands, and their requests.

use serde::Serialize;

use super::command::Command;
use super::document::*;
use super::members::{Members, check, members, read};
use crate::error::{Error, ErrorKind, Result};

/// Makes from one line for each command the table, the type of a request, and the ways between a
/// request and its row.
macro_rules! commands {
    (
        implemented { $($(#[$doc:meta])* $variant:ident $(($document:ty))? = $row:ident;)* }
        planned { $($planned:ident,)* }
    ) => {
        /// All commands, in the order of the help.
        pub static COMMANDS: &[&Command] = &[$(&$row,)* $(&$planned,)*];

        /// A request. The names of servers and backups are unchecked.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Request {
            $($(#[$doc])* $variant $(($document))?,)*
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
            /// The command of the request.
            pub fn command(&self) -> &'static Command {
                match self {
                    $(Request::$variant { .. } => &$row,)*
                    Request::Other { command, .. } => command,
                }
            }

            /// The members of an implemented command, whose types were checked.
            fn parse(command: &'static Command, members: &Members) -> Result<Request> {
                $(if *command == $row {
                    return Ok(Request::$variant $((read::<$document>(members)?))?);
                })*
                let members = members.clone();
                Ok(Request::Other { command, members })
            }
        }
    };
}

commands! {
    implemented {
        /// Take a backup of the server.
        Backup(BackupRequest) = BACKUP;
        /// List the backups of the server.
        ListBackup(ListBackupRequest) = LIST_BACKUP;
        /// Show one backup.
        Info(InfoRequest) = INFO;
        /// Verify one backup.
        Verify(VerifyRequest) = VERIFY;
        /// Restore a backup.
        Restore(RestoreRequest) = RESTORE;
        /// Write a backup to a tar file.
        Archive(RestoreRequest) = ARCHIVE;
        /// Remove a backup.
        Delete(DeleteRequest) = DELETE;
        /// Exclude a backup from retention.
        Retain(RetainRequest) = RETAIN;
        /// Include a retained backup in retention again.
        Expunge(RetainRequest) = EXPUNGE;
        /// Change the comments of a backup.
        Annotate(AnnotateRequest) = ANNOTATE;
        /// Show all servers.
        Status = STATUS;
        /// Show all servers and their backups.
        StatusDetails = STATUS_DETAILS;
        /// Check whether servers are safe.
        Check(CheckRequest) = CHECK;
        /// Check whether the daemon is running.
        Ping = PING;
        /// Show the progress of the operation on the server.
        Progress(ProgressRequest) = PROGRESS;
        /// Remove old backups of the server.
        Retention(RetentionRequest) = RETENTION;
        /// Allow a new WAL archive of the server.
        WalBegin(WalBeginRequest) = WAL_BEGIN;
        /// Compress a file.
        Compress(FileRequest) = COMPRESS;
        /// Decompress a file.
        Decompress(FileRequest) = DECOMPRESS;
        /// Encrypt a file.
        Encrypt(FileRequest) = ENCRYPT;
        /// Decrypt a file.
        Decrypt(FileRequest) = DECRYPT;
        /// Stop the daemon.
        Shutdown = SHUTDOWN;
    }
    planned {
        MODE, CONF_LS, CONF_GET, CONF_SET, CONF_RELOAD, CLEAR, S3_LS, S3_RESTORE,
    }
}

/// The summaries of the groups of commands.
pub const GROUPS: &[(&str, &str)] = &[
    ("conf", "The configuration of the daemon"),
    ("clear", "Reset the counters of the daemon"),
    ("s3", "Backups in a bucket"),
    ("wal", "The WAL archive of a server"),
];

impl Request {
    /// Parses the members of a request. Unknown members are ignored.
    pub fn read(command: &'static Command, members: &Members) -> Result<Request> {
        if command.implemented {
            check(command, members)?;
        }
        let request = Request::parse(command, members);
        if *command == LIST_BACKUP {
            // Only the order can be invalid, for which the C program has an error code.
            return request.map_err(|error| Error::new(ErrorKind::Usage, error.message()));
        }
        request
    }

    /// The members of the request, as the C client sends them. Members that the C program does not
    /// have are added only if they are set.
    pub fn members(&self) -> Result<Members> {
        members(self)
    }

    /// Whether it is a restore or an archive that writes nothing.
    pub fn is_dry_run(&self) -> bool {
        let restore = match self {
            Request::Restore(restore) | Request::Archive(restore) => restore,
            _ => return false,
        };
        restore.dry_run
    }
}
