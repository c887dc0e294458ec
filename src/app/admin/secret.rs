//! Obtains the password, the master key and the user name from options, environment or standard
//! input.

use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;

use super::arguments::Arguments;
use crate::app::prompt::{PASSWORD_VARIABLE, read_hidden, read_line, read_user_name};
use crate::app::report::eprint;
use crate::crypto::Secret;
use crate::error::Result;
use crate::vault::generate_password;

/// What gives the user name and the password without a prompt.
const HINT: &str = "-U names the user; -P, -g or PGMONETA_PASSWORD give the password";

/// Which secret a prompt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretKind {
    /// The password of a user, which is prompted for twice.
    Password,
    /// The secret of the master key.
    MasterKey,
}

/// A password or master key, and its source.
pub(super) struct ObtainedSecret {
    /// The password or master key.
    pub secret: Secret,
    /// Whether it was generated, so that a password must be printed.
    pub generated: bool,
}

/// The secret from `-P`, else `-g`, else the environment, else standard input. At a terminal the
/// prompt is repeated until `check` succeeds.
pub(super) fn obtain(
    arguments: &mut Arguments,
    kind: SecretKind,
    check: fn(&Secret) -> Result<()>,
) -> Result<ObtainedSecret> {
    let checked = |secret: Secret, generated| {
        check(&secret)?;
        Ok(ObtainedSecret { secret, generated })
    };
    if let Some(password) = arguments.password.take() {
        return checked(Secret::new(password.into_bytes()), false);
    }
    if arguments.generate {
        return checked(generate_password(arguments.length.into())?, true);
    }
    if let Some(password) = std::env::var_os(PASSWORD_VARIABLE) {
        return checked(Secret::new(password.into_vec()), false);
    }
    if !std::io::stdin().is_terminal() {
        return checked(Secret::new(read_line(HINT)?.into_bytes()), false);
    }
    loop {
        let secret = prompt(kind)?;
        match check(&secret) {
            Ok(()) => {
                return Ok(ObtainedSecret {
                    secret,
                    generated: false,
                });
            }
            Err(failure) => eprint(&format!("{failure}\n")),
        }
    }
}

/// Prompts at the terminal, with echo off.
fn prompt(kind: SecretKind) -> Result<Secret> {
    if kind == SecretKind::MasterKey {
        return read_hidden("Master key: ");
    }
    loop {
        let first = read_hidden("Password : ")?;
        let second = read_hidden("Verify   : ")?;
        if first.expose() == second.expose() {
            return Ok(first);
        }
        eprint("the passwords differ\n");
    }
}

/// The user name of `-U`, else from standard input.
pub(super) fn user(arguments: &mut Arguments) -> Result<String> {
    match arguments.user.take() {
        Some(user) => Ok(user),
        None => read_user_name(HINT),
    }
}
