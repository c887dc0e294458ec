//! Passwords and user names from the terminal or from standard input.

use std::io::{BufRead, IsTerminal};

use super::report::eprint;
use crate::crypto::Secret;
use crate::error::{Context, Error, ErrorKind, Result};

/// The environment variable with a password.
pub(super) const PASSWORD_VARIABLE: &str = "PGMONETA_PASSWORD";

/// Asks for a secret on the terminal, with echo off.
pub(super) fn read_hidden(prompt: &str) -> Result<Secret> {
    rpassword::prompt_password(prompt)
        .map(|answer| Secret::new(answer.into_bytes()))
        .context("read a password from the terminal")
}

/// A user name from standard input; at a terminal the prompt is repeated while it is empty. `hint`
/// names the options instead.
pub(super) fn read_user_name(hint: &str) -> Result<String> {
    let terminal = std::io::stdin().is_terminal();
    loop {
        if terminal {
            eprint("User name: ");
        }
        let user = read_line(hint)?;
        if !user.is_empty() || !terminal {
            return Ok(user);
        }
    }
}

/// A line of standard input, without its line break.
pub(super) fn read_line(hint: &str) -> Result<String> {
    let mut line = String::new();
    let length = std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("read standard input")?;
    if length == 0 {
        let message = "standard input ended before the user name or password";
        return Err(Error::new(ErrorKind::Usage, message).with_hint(hint));
    }
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}
