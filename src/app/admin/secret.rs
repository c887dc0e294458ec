//! Obtains the password, the master key and the user name from options, environment or standard
//! input.

use std::io::{BufRead, IsTerminal};
use std::os::unix::ffi::OsStringExt;

use super::arguments::Arguments;
use crate::app::report::eprint;
use crate::crypto::Secret;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::vault::generate_password;

/// The environment variable with the password or master key.
const PASSWORD_VARIABLE: &str = "PGMONETA_PASSWORD";

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
        return checked(Secret::new(read_line()?.into_bytes()), false);
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

fn read_hidden(prompt: &str) -> Result<Secret> {
    rpassword::prompt_password(prompt)
        .map(|answer| Secret::new(answer.into_bytes()))
        .context("read a password from the terminal")
}

/// The user name of `-U`, else from standard input; at a terminal the prompt is repeated while it
/// is empty.
pub(super) fn user(arguments: &mut Arguments) -> Result<String> {
    if let Some(user) = arguments.user.take() {
        return Ok(user);
    }
    let terminal = std::io::stdin().is_terminal();
    loop {
        if terminal {
            eprint("User name: ");
        }
        let user = read_line()?;
        if !user.is_empty() || !terminal {
            return Ok(user);
        }
    }
}

/// A line of standard input, without its line break.
fn read_line() -> Result<String> {
    let mut line = String::new();
    let length = std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("read standard input")?;
    if length == 0 {
        return Err(Error::new(
            ErrorKind::Usage,
            "standard input ended before the user name or password",
        )
        .with_hint("-U names the user; -P, -g or PGMONETA_PASSWORD give the password"));
    }
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}
