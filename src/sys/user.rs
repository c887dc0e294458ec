//! User IDs, user names and access rights.

use std::ffi::CStr;
use std::io;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

/// The effective user ID of this process, with which files are created and opened.
pub fn effective_user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The effective group ID of this process, which new files get.
pub fn effective_group_id() -> u32 {
    rustix::process::getegid().as_raw()
}

/// An access right to a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Permission to read.
    Read,
    /// Permission to write; for a directory, to create and remove entries.
    Write,
    /// Permission to look up entries of a directory.
    Search,
}

/// Checks these rights with the effective user ID; the error is the one that the access itself
/// would return.
pub fn check_rights(path: &Path, rights: &[Right]) -> io::Result<()> {
    let access = rights.iter().map(|right| match right {
        Right::Read => Access::READ_OK,
        Right::Write => Access::WRITE_OK,
        Right::Search => Access::EXEC_OK,
    });
    accessat(CWD, path, access.collect(), AtFlags::EACCESS).map_err(Into::into)
}

/// A user for messages: the name in the user database, and the ID.
pub fn user_name(id: u32) -> String {
    match lookup(id) {
        Some(name) => format!("{name} (user id {id})"),
        None => format!("with id {id}"),
    }
}

#[expect(unsafe_code, reason = "getpwuid_r has no safe wrapper")]
fn lookup(id: u32) -> Option<String> {
    // Entries of the database that are longer count as not found.
    let mut buffer = vec![0; 16384];
    let mut found = std::ptr::null_mut();
    let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
    // SAFETY: all output pointers are valid for the whole call, and the length is that of the
    // buffer.
    let error = unsafe {
        libc::getpwuid_r(
            id,
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &mut found,
        )
    };
    if error != 0 || found.is_null() {
        return None;
    }
    // SAFETY: the call succeeded, thus the entry is initialized, and its name points to a string in
    // the buffer.
    let name = unsafe { CStr::from_ptr(entry.assume_init().pw_name) };
    Some(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_name_is_shown_by_id() {
        assert_eq!(user_name(0), "root (user id 0)");
        assert!(check_rights(Path::new("/"), &[Right::Read, Right::Search]).is_ok());
        let missing = check_rights(Path::new("/nowhere/at/all"), &[Right::Read]);
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(user_name(3_999_999_999), "with id 3999999999");
    }
}
