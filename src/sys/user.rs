//! Who users are, and what we may.

use std::ffi::CStr;
use std::io;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

/// The effective user id of this process: with which files are made and opened.
pub fn effective_user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A right to a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To read it.
    Read,
    /// To write to it; of a directory, to make and remove names in it.
    Write,
    /// To look up names in a directory.
    Search,
}

/// Whether this process has these rights, by its effective user, as the kernel would say at the use: else the error that
/// this would be.
pub fn check_rights(path: &Path, rights: &[Right]) -> io::Result<()> {
    let access = rights.iter().map(|right| match right {
        Right::Read => Access::READ_OK,
        Right::Write => Access::WRITE_OK,
        Right::Search => Access::EXEC_OK,
    });
    accessat(CWD, path, access.collect(), AtFlags::EACCESS).map_err(Into::into)
}

/// A user for people: the name that the system has for the id, and the id.
pub fn user_name(id: u32) -> String {
    match lookup(id) {
        Some(name) => format!("{name} (user id {id})"),
        None => format!("with id {id}"),
    }
}

#[expect(unsafe_code, reason = "getpwuid_r has no safe wrapper")]
fn lookup(id: u32) -> Option<String> {
    // Names are short; with more than this in a row of the database there is no name here.
    let mut buffer = vec![0; 16384];
    let mut found = std::ptr::null_mut();
    let mut row = std::mem::MaybeUninit::<libc::passwd>::uninit();
    // SAFETY: all places to write to are ours and live for the whole call, and the length is that of the buffer.
    let error = unsafe {
        libc::getpwuid_r(
            id,
            row.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &mut found,
        )
    };
    if error != 0 || found.is_null() {
        return None;
    }
    // SAFETY: it succeeded, thus the row is filled in, and its name is a string in the buffer, which still lives.
    let name = unsafe { CStr::from_ptr(row.assume_init().pw_name) };
    Some(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_or_numbers() {
        assert_eq!(user_name(0), "root (user id 0)");
        assert!(check_rights(Path::new("/"), &[Right::Read, Right::Search]).is_ok());
        let missing = check_rights(Path::new("/nowhere/at/all"), &[Right::Read]);
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(user_name(3_999_999_999), "with id 3999999999");
    }
}
