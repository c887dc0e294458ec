//! The output of `verify`.

use serde_json::Value;

use super::layout::{Align, FieldList, Table};
use super::values::{objects, server, text, texts};
use crate::error::{Error, ErrorKind};
use crate::protocol::{Members, Request, Response, VerifyRequest};

/// The output of `verify`: the result, the bad files and, with `all`, the good ones.
pub(super) fn verify(fields: &Members) -> String {
    let none = Members::new();
    let files = files(fields).unwrap_or(&none);
    let (failed, good) = (objects(files, "Failed"), objects(files, "All"));
    let mut list = FieldList::new();
    list.add("Backup", text(fields, "Backup"));
    list.add("Server", server(fields));
    list.add(
        "Good",
        if failed.is_empty() {
            "yes".to_owned()
        } else {
            "no".to_owned()
        },
    );
    list.add("Warnings", texts(fields, "Warnings").join("\n"));
    let mut out = list.text("");
    if !failed.is_empty() {
        let mut table = Table::new(&[("BAD FILE", Align::Left), ("ERROR", Align::Left)]);
        for file in failed {
            let reason = match text(file, "Reason") {
                reason if reason.is_empty() => "checksum mismatch".to_owned(),
                reason => reason,
            };
            table.add_row(vec![text(file, "FileName"), reason]);
        }
        out.push_str(&table.text(""));
    }
    if !good.is_empty() {
        let mut table = Table::new(&[("GOOD FILE", Align::Left), ("DIGEST", Align::Left)]);
        for file in good {
            table.add_row(vec![text(file, "FileName"), text(file, "HashAlgorithm")]);
        }
        out.push_str(&table.text(""));
    }
    out
}

fn files(fields: &Members) -> Option<&Members> {
    fields.get("Files").and_then(Value::as_object)
}

/// The error for a verification that found bad files; its request succeeded, as in the C program.
pub(in crate::app::cli) fn verify_error(request: &Request, response: &Response) -> Option<Error> {
    let Request::Verify(VerifyRequest { server, .. }) = request else {
        return None;
    };
    let fields = response.fields();
    let count = files(&fields).map_or(0, |files| objects(files, "Failed").len());
    let backup = text(&fields, "Backup");
    let files = if count == 1 { "file is" } else { "files are" };
    (count > 0).then(|| {
        Error::new(
            ErrorKind::Corrupt,
            format!("backup {backup} of server {server} cannot be trusted: {count} {files} bad"),
        )
        .with_hint("take a new backup now, and find the cause: a disk error, or modified files")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(failed: &str) -> Response {
        let text = format!(
            r#"{{"Outcome":{{"Status":true}},"Response":{{"Backup":"20261122153446","Files":{{"All":{{}},"Failed":{failed}}},"Server":"primary"}}}}"#
        );
        Response::read(&text).unwrap()
    }

    #[test]
    fn bad_files_are_an_error_although_the_request_succeeded() {
        let request = Request::Verify(VerifyRequest {
            server: "primary".to_owned(),
            ..VerifyRequest::default()
        });
        assert!(verify_error(&request, &response("{}")).is_none());
        let bad = response(r#"[{"FileName":"data/base/1/2","Reason":"it is missing"}]"#);
        let failure = verify_error(&request, &bad).unwrap();
        assert_eq!(
            failure.message(),
            "backup 20261122153446 of server primary cannot be trusted: 1 file is bad"
        );
        let text = verify(&bad.fields());
        assert!(text.contains("data/base/1/2  it is missing\n"), "{text}");
        assert!(verify_error(&Request::Ping, &bad).is_none());
    }
}
