//! The commands: for each its row in the table and its documents, the members of a request and of
//! a response. Client and daemon share them.
//!
//! The members are those of the C program, with the same meaning; those that it does not have are
//! noted. Both programs take a missing member, null and an empty string for the same.

mod backup;
mod control;
mod file;
mod info;
mod list_backup;
mod planned;
mod progress;
mod restore;
mod status;
mod values;
mod verify;
mod wal_begin;

pub use backup::{BACKUP, BackupReply, BackupRequest};
pub use control::{PING, PingReply, SHUTDOWN};
pub use file::{COMPRESS, DECOMPRESS, DECRYPT, ENCRYPT, FileReply, FileRequest};
pub use info::{INFO, InfoReply, InfoRequest};
pub use list_backup::{
    BackupSummary, LIST_BACKUP, ListBackupReply, ListBackupRequest, ListedBackup, Sort,
};
pub use planned::{
    ANNOTATE, ARCHIVE, CLEAR, CONF_GET, CONF_LS, CONF_RELOAD, CONF_SET, DELETE, EXPUNGE, MODE,
    RETAIN, S3_LS, S3_RESTORE,
};
pub use progress::{PROGRESS, ProgressReply, ProgressRequest};
pub use restore::{
    ArchiveMode, PlanMembers, RESTORE, RestoreReply, RestoreRequest, RestoredTablespace,
};
pub use status::{ReceiverMembers, STATUS, STATUS_DETAILS, StatusReply, StatusServer};
pub use values::{
    BackupMembers, CompressionNumber, EncryptionNumber, List, ParentMembers, RetentionCount,
    Seconds, ServerMembers, TablespaceMembers, Valid,
};
pub use verify::{BadFile, Files, VERIFY, VerifiedFile, VerifiedFiles, VerifyReply, VerifyRequest};
pub use wal_begin::{WAL_BEGIN, WalBeginReply, WalBeginRequest};
