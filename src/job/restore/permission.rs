//! Errors for permissions that this process does not have.

use std::io;
use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::sys::{Right, check_rights, effective_user_id, user_name};

/// The error for a missing permission, with the user of this process.
pub(super) fn permission_denied(path: &Path, what: &str) -> Error {
    let (display, user) = (path.display(), user_name(effective_user_id()));
    let message = format!("pgmoneta runs as the user {user}, who may not {what} {display}");
    Error::new(ErrorKind::Permission, message)
        .with_hint(format!("give that user permission to {what} {display}"))
}

/// The error for a path that cannot be accessed: a directory above it cannot be searched, or its
/// own permissions.
pub(super) fn missing_permission(path: &Path, what: &str) -> Error {
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    let mut above = above.into_iter().rev();
    let closed = above.find(|directory| {
        let error = check_rights(directory, &[Right::Search]).err();
        error.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    });
    match closed {
        Some(directory) => permission_denied(directory, "search"),
        None => permission_denied(path, what),
    }
}
