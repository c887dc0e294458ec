//! The output of `verify`.

use super::layout::{Align, FieldList, Table};
use super::values::server;
use crate::protocol::VerifyReply;

/// The output of `verify`: the result, the bad files and, with `all`, the good ones.
pub(super) fn verify(reply: &VerifyReply) -> String {
    let (failed, good) = (&reply.files.failed, &reply.files.all);
    let mut list = FieldList::new();
    list.add("Backup", reply.backup.as_str());
    list.add("Server", server(&reply.server));
    list.add("Good", if failed.is_empty() { "yes" } else { "no" });
    list.add("Warnings", reply.warnings.join("\n"));
    let mut out = list.text("");
    if !failed.is_empty() {
        let mut table = Table::new(&[("BAD FILE", Align::Left), ("ERROR", Align::Left)]);
        for bad in failed.iter() {
            let reason = match bad.reason.as_str() {
                "" => "checksum mismatch",
                reason => reason,
            };
            table.add_row(vec![bad.file.file_name.clone(), reason.to_owned()]);
        }
        out.push_str(&table.text(""));
    }
    if !good.is_empty() {
        let mut table = Table::new(&[("GOOD FILE", Align::Left), ("DIGEST", Align::Left)]);
        for file in good.iter() {
            table.add_row(vec![file.file_name.clone(), file.hash_algorithm.clone()]);
        }
        out.push_str(&table.text(""));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Response;

    fn reply(failed: &str) -> VerifyReply {
        let text = format!(
            "{{\"Outcome\":{{\"Status\":true}},\
             \"Response\":{{\"Backup\":\"20261122153446\",\
             \"Files\":{{\"All\":{{}},\"Failed\":{failed}}},\"Server\":\"primary\"}}}}"
        );
        Response::read(&text).unwrap().reply().unwrap()
    }

    #[test]
    fn bad_files_are_an_error_although_the_request_succeeded() {
        assert!(reply("{}").failure().is_none());
        let bad = reply(r#"[{"FileName":"data/base/1/2","Reason":"it is missing"}]"#);
        assert_eq!(
            bad.failure().unwrap().message(),
            "backup 20261122153446 of server primary cannot be trusted: 1 file is bad"
        );
        let text = verify(&bad);
        assert!(text.contains("data/base/1/2  it is missing\n"), "{text}");
    }
}
