//! The commands: for each its row in the table and its documents, the members of a request and of
//! a response. Client and daemon share them.
//!
//! The members are those of the C program, with the same meaning; those that it does not have are
//! noted. Both programs take a missing member, null and an empty string for the same.

mod annotate;
mod archive;
mod backup;
mod check;
mod control;
mod delete;
mod file;
mod info;
mod list_backup;
mod planned;
mod progress;
mod restore;
mod retain;
mod retention;
mod status;
mod values;
mod verify;
mod wal_begin;

pub use annotate::{ANNOTATE, AnnotateRequest};
pub use archive::{ARCHIVE, ArchiveReply};
pub use backup::{BACKUP, BackupReply, BackupRequest};
pub use check::{
    CHECK, CheckProblem, CheckReply, CheckRequest, CheckState, CheckedServer, PerformanceValue,
};
pub use control::{PING, PingReply, SHUTDOWN};
pub use delete::{DELETE, DeleteReply, DeleteRequest};
pub use file::{COMPRESS, DECOMPRESS, DECRYPT, ENCRYPT, FileReply, FileRequest};
pub use info::{CommentMembers, INFO, InfoReply, InfoRequest};
pub use list_backup::{
    BackupSummary, LIST_BACKUP, ListBackupReply, ListBackupRequest, ListedBackup, Sort,
};
pub use planned::{CLEAR, CONF_GET, CONF_LS, CONF_RELOAD, CONF_SET, MODE, S3_LS, S3_RESTORE};
pub use progress::{PROGRESS, ProgressReply, ProgressRequest};
pub use restore::{
    ArchiveMode, PlanMembers, RESTORE, RestoreReply, RestoreRequest, RestoredTablespace,
};
pub use retain::{EXPUNGE, RETAIN, RetainReply, RetainRequest};
pub use retention::{
    RETENTION, RetentionBackup, RetentionDecision, RetentionReply, RetentionRequest,
};
pub use status::{
    ReceiverMembers, RestorableMembers, STATUS, STATUS_DETAILS, StatusReply, StatusServer,
};
pub use values::{
    BackupMembers, CompressionNumber, EncryptionNumber, List, ParentMembers, RetentionCount,
    Seconds, ServerMembers, TablespaceMembers, Valid,
};
pub use verify::{
    BadFile, Files, VERIFY, VerifiedFile, VerifiedFiles, VerifyReply, VerifyRequest, WAL_ARCHIVE,
};
pub use wal_begin::{WAL_BEGIN, WalBeginReply, WalBeginRequest};
