//! The user and the password of remote management.

use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::arguments::Arguments;
use crate::app::prompt::{PASSWORD_VARIABLE, read_hidden, read_line, read_user_name};
use crate::app::report::eprint;
use crate::crypto::Secret;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage::{Access, check_access};
use crate::vault::check_password;

/// What gives both without a prompt.
const HINT: &str = "-U names the user; --password-file, PGMONETA_PASSWORD or -P give the password";

/// The maximum size of a file with a password, more than the longest one needs.
const MAX_FILE_SIZE: u64 = 64 << 10;

/// A user of remote management.
pub(super) struct Credentials {
    pub user: String,
    pub password: Secret,
}

impl Credentials {
    /// The user of `-U`, else from standard input. The password of `-P`, else of the file, else of
    /// the environment, else from standard input; at a terminal the prompt is repeated until it can
    /// be a password.
    pub(super) fn obtain(arguments: &mut Arguments) -> Result<Credentials> {
        let options = &arguments.options;
        let user = match &options.user {
            Some(user) => user.clone(),
            None => read_user_name(HINT)?,
        };
        let given = match (arguments.password.take(), &options.password_file) {
            (Some(password), _) => Some(password),
            (None, Some(path)) => Some(read_file(path)?),
            (None, None) => {
                let variable = std::env::var_os(PASSWORD_VARIABLE);
                variable.map(|password| Secret::new(password.into_vec()))
            }
        };
        let password = match given {
            Some(password) => password,
            None if std::io::stdin().is_terminal() => prompt()?,
            None => Secret::new(read_line(HINT)?.into_bytes()),
        };
        check_password(&password)?;
        Ok(Credentials { user, password })
    }
}

/// Asks for the password until it can be one.
fn prompt() -> Result<Secret> {
    loop {
        let password = read_hidden("Password : ")?;
        match check_password(&password) {
            Ok(()) => return Ok(password),
            Err(failure) => eprint(&format!("{failure}\n")),
        }
    }
}

/// The first line of a file to which nobody else has access.
fn read_file(path: &Path) -> Result<Secret> {
    let action = || format!("read the password from {}", path.display());
    check_access(path, Access::Private).with_context(action)?;
    let length = path.metadata().with_context(action)?.len();
    if length > MAX_FILE_SIZE {
        let message = format!("it has {length} bytes; the maximum is {MAX_FILE_SIZE}");
        return Err(Error::new(ErrorKind::Usage, message).context(action()));
    }
    let text = Zeroizing::new(std::fs::read(path).with_context(action)?);
    let mut lines = text.split(|&byte| byte == b'\n');
    let line = lines.next().unwrap_or_default();
    Ok(Secret::new(
        line.strip_suffix(b"\r").unwrap_or(line).to_vec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_is_private_and_its_first_line_counts() {
        let path = std::env::temp_dir().join(format!("pgmoneta-password-{}", std::process::id()));
        let read = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
            read_file(&path).map(|secret| secret.expose().to_vec())
        };
        for text in [" secret ", " secret \n", " secret \r\nnote\n"] {
            assert_eq!(read(text, 0o600).unwrap(), b" secret ");
        }
        let failure = read("secret\n", 0o640).unwrap_err();
        assert!(
            failure.hint().unwrap().starts_with("chmod 0600"),
            "{failure}"
        );
        std::fs::remove_file(&path).unwrap();
        assert!(read_file(&path).is_err());
    }
}
