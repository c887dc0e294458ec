//! `annotate`.

use super::catalogue::info_reply;
use crate::error::{Error, ErrorKind};
use crate::job;
use crate::job::annotate::Change;
use crate::job::context::ServerContext;
use crate::protocol::{AnnotateRequest, Cause, InfoReply, RequestError};

/// Changes the comments of a backup.
pub(in crate::daemon) fn annotate(
    context: &ServerContext,
    request: AnnotateRequest,
) -> std::result::Result<InfoReply, RequestError> {
    let change = match request.action.as_str() {
        "add" => Change::Add(comment(&request)?),
        "update" => Change::Update(comment(&request)?),
        "remove" => Change::Remove,
        other => {
            let quoted: String = other.chars().take(40).collect();
            let message = format!("{quoted:?} is neither add, update nor remove");
            return Err(RequestError {
                cause: Cause::UnknownAction,
                failure: Error::new(ErrorKind::Usage, message),
            });
        }
    };
    let entry = job::annotate::run(context, &request.backup, &request.key, change)?;
    Ok(info_reply(context, &entry))
}

fn comment(request: &AnnotateRequest) -> crate::error::Result<String> {
    let missing = || {
        let message = format!("annotate {} needs a comment", request.action);
        Error::new(ErrorKind::Usage, message)
    };
    request.comment.clone().ok_or_else(missing)
}
