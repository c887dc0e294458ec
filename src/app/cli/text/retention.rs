//! The output of `retention`.

use super::layout::{Align, Table};
use super::values::server;
use crate::app::report::clean;
use crate::protocol::{RetentionBackup, RetentionDecision, RetentionReply};

/// The output of `retention`: each backup with what became of it, and the WAL.
pub(super) fn retention(reply: &RetentionReply) -> String {
    let server = clean(&server(&reply.server));
    let mut out = if reply.backups.is_empty() {
        format!("There is no backup of server {server}.\n")
    } else {
        table(&reply.backups)
    };
    let title = if reply.dry_run {
        "WAL files to remove"
    } else {
        "WAL files removed"
    };
    out.push_str(&format!("{title}: {}\n", reply.wal_files));
    if let Some(why) = &reply.wal_kept {
        out.push_str(&format!("Other WAL is kept for now: {}\n", clean(why)));
    }
    out
}

fn table(backups: &[RetentionBackup]) -> String {
    let mut table = Table::new(&[
        ("BACKUP", Align::Left),
        ("DECISION", Align::Left),
        ("REASON", Align::Left),
    ]);
    for backup in backups {
        let decision = match backup.decision {
            RetentionDecision::Keep => "keep",
            RetentionDecision::Expire => "expire",
            RetentionDecision::Removed => "removed",
            RetentionDecision::Later => "expire later",
            RetentionDecision::Failed => "failed",
        };
        let reason = match &backup.problem {
            Some(problem) => format!("{}; {problem}", backup.reason),
            None => backup.reason.clone(),
        };
        table.add_row(vec![backup.backup.clone(), decision.to_owned(), reason]);
    }
    table.text("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Response;

    #[test]
    fn each_backup_is_printed_with_decision_and_reason() {
        let text = r#"{"Outcome":{"Status":true},"Response":{"Server":"primary","DryRun":false,
            "WalFiles":1,"WalKept":"a restore is running","Backups":[
            {"Backup":"20260101000000","Decision":"failed","Reason":"too old","Problem":"EROFS"},
            {"Backup":"20260102000000","Decision":"keep","Reason":"the newest"}]}}"#;
        let reply: RetentionReply = Response::read(text).unwrap().reply().unwrap();
        let expected = "BACKUP          DECISION  REASON\n\
                        20260101000000  failed    too old; EROFS\n\
                        20260102000000  keep      the newest\n\
                        WAL files removed: 1\n\
                        Other WAL is kept for now: a restore is running\n";
        assert_eq!(retention(&reply), expected);
        let failure = reply.failure().unwrap();
        assert!(
            failure
                .message()
                .contains("20260101000000 could not be removed: EROFS")
        );
    }
}
