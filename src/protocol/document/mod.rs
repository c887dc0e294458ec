//! The commands: for each its row in the table and its documents, the members of a request and of
//! a response. Client and daemon share them.
//!
//! The members are those of the C program, with the same meaning; those that it does not have are
//! noted. Both programs take a missing member, null and an empty string for the same.

mod backup;
mod control;
mod info;
mod list_backup;
mod planned;
mod progress;
mod restore;
mod status;
mod verify;
mod wal_begin;

pub use backup::{BACKUP, BackupRequest};
pub use control::{PING, SHUTDOWN};
pub use info::{INFO, InfoRequest};
pub use list_backup::{LIST_BACKUP, ListBackupRequest, Sort};
pub use planned::{
    ANNOTATE, ARCHIVE, CLEAR, COMPRESS, CONF_GET, CONF_LS, CONF_RELOAD, CONF_SET, DECOMPRESS,
    DECRYPT, DELETE, ENCRYPT, EXPUNGE, MODE, RETAIN, S3_LS, S3_RESTORE,
};
pub use progress::{PROGRESS, ProgressRequest};
pub use restore::{ArchiveMode, RESTORE, RestoreRequest};
pub use status::{STATUS, STATUS_DETAILS};
pub use verify::{Files, VERIFY, VerifyRequest};
pub use wal_begin::{WAL_BEGIN, WalBeginRequest};
