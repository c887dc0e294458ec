//! The commands of the management protocol and their codes.

use std::fmt;

/// A command of the management protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Takes a backup.
    Backup,
    /// Lists the backups of a server.
    ListBackup,
    /// Restores a backup.
    Restore,
    /// Creates a tar file of a backup.
    Archive,
    /// Removes a backup.
    Delete,
    /// Stops the daemon.
    Shutdown,
    /// Shows the state of all servers.
    Status,
    /// Shows all servers and their backups.
    StatusDetails,
    /// Checks whether the daemon is running.
    Ping,
    /// Resets the metrics.
    Clear,
    /// Reads the configuration again.
    ConfReload,
    /// Excludes a backup from retention.
    Retain,
    /// Includes a retained backup in retention again.
    Expunge,
    /// Decrypts a file.
    Decrypt,
    /// Encrypts a file.
    Encrypt,
    /// Decompresses a file.
    Decompress,
    /// Compresses a file.
    Compress,
    /// Shows the details of a backup.
    Info,
    /// Reads a backup and compares it with its manifest.
    Verify,
    /// Changes the comments of a backup.
    Annotate,
    /// Lists the configuration files.
    ConfLs,
    /// Shows the configuration.
    ConfGet,
    /// Changes the configuration.
    ConfSet,
    /// Takes a server online or offline.
    Mode,
    /// Shows the progress of an operation.
    Progress,
    /// Lists the backups of a server in a bucket.
    S3Ls,
    /// Restores a backup from a bucket.
    S3Restore,
    /// Allows a new WAL archive of a server. The C program does not have it.
    WalBegin,
}

/// Each command with its code, and its name in translated documents of the C client.
const TABLE: [(Command, u16, &str); 28] = [
    (Command::Backup, 1, "backup"),
    (Command::ListBackup, 2, "list-backup"),
    (Command::Restore, 3, "restore"),
    (Command::Archive, 4, "archive"),
    (Command::Delete, 5, "delete"),
    (Command::Shutdown, 6, "shutdown"),
    (Command::Status, 7, "status"),
    (Command::StatusDetails, 8, "status-details"),
    (Command::Ping, 9, "ping"),
    (Command::Clear, 10, "reset"),
    (Command::ConfReload, 11, "reload"),
    (Command::Retain, 12, "retain"),
    (Command::Expunge, 13, "expunge"),
    (Command::Decrypt, 14, "decrypt"),
    (Command::Encrypt, 15, "encrypt"),
    (Command::Decompress, 16, "decompress"),
    (Command::Compress, 17, "compress"),
    (Command::Info, 18, "info"),
    (Command::Verify, 19, "verify"),
    (Command::Annotate, 20, "annotate"),
    (Command::ConfLs, 21, "conf ls"),
    (Command::ConfGet, 22, "conf get"),
    (Command::ConfSet, 23, "conf set"),
    (Command::Mode, 24, "mode"),
    (Command::Progress, 25, "progress"),
    (Command::S3Ls, 200, "s3 ls"),
    (Command::S3Restore, 201, "s3 restore"),
    (Command::WalBegin, 10_000, "wal begin"),
];

impl Command {
    /// The command with that code, if there is one.
    pub fn from_code(code: i64) -> Option<Command> {
        let row = TABLE.iter().find(|(_, own, _)| i64::from(*own) == code);
        row.map(|(command, _, _)| *command)
    }

    /// The code of the command in the header of a request.
    pub fn code(self) -> u16 {
        self.row().0
    }

    /// The name that replaces the code in translated documents.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (u16, &'static str) {
        let row = TABLE.iter().find(|(command, _, _)| *command == self);
        // Every command has a row: a test checks that.
        row.map_or((0, ""), |(_, code, name)| (*code, name))
    }

    /// Whether the request has the member `Server`.
    pub fn takes_server(self) -> bool {
        match self {
            Command::Backup
            | Command::ListBackup
            | Command::Restore
            | Command::Archive
            | Command::Delete
            | Command::Retain
            | Command::Expunge
            | Command::Info
            | Command::Verify
            | Command::Annotate
            | Command::Mode
            | Command::Progress
            | Command::S3Ls
            | Command::S3Restore
            | Command::WalBegin => true,
            Command::Shutdown
            | Command::Status
            | Command::StatusDetails
            | Command::Ping
            | Command::Clear
            | Command::ConfReload
            | Command::Decrypt
            | Command::Encrypt
            | Command::Decompress
            | Command::Compress
            | Command::ConfLs
            | Command::ConfGet
            | Command::ConfSet => false,
        }
    }

    /// The member `Workflow` of a failed response, as in the C program.
    pub fn workflow(self) -> &'static str {
        match self {
            Command::Backup | Command::ListBackup => "Backup",
            Command::Restore => "restore",
            Command::Verify => "verify",
            Command::Info => "info",
            Command::Status | Command::StatusDetails | Command::Progress => "status",
            _ => "main",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_one_row() {
        for (index, (command, code, name)) in TABLE.iter().enumerate() {
            assert_eq!(Command::from_code(i64::from(*code)), Some(*command));
            assert_eq!((command.code(), command.name()), (*code, *name));
            assert!(!TABLE[..index].iter().any(|(other, _, _)| other == command));
        }
        assert_eq!(
            TABLE.len(),
            Command::WalBegin as usize + 1,
            "no command lacks a row"
        );
        assert_eq!(Command::from_code(0), None);
        assert_eq!(Command::from_code(-1), None);
        assert_eq!(Command::from_code(65_536 + 9), None);
    }
}
