//! Where a password comes from.

use std::io::{BufRead, IsTerminal};
use std::os::unix::ffi::OsStringExt;

use super::arguments::Arguments;
use crate::app::report::complain;
use crate::crypto::Secret;
use crate::error::{Context, Failure, Kind, Result};
use crate::vault::generate_password;

/// The environment variable that a password may be in.
const VARIABLE: &str = "PGMONETA_PASSWORD";

/// What a prompt asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The password of a user, twice.
    Password,
    /// The master key.
    MasterKey,
}

/// A password, and whether we thought of it.
pub(super) struct Answer {
    /// The password.
    pub secret: Secret,
    /// Whether nobody has seen it yet.
    pub generated: bool,
}

/// The password from `-P`, else `-g`, else the environment, else standard input. `check` says whether it will do;
/// at a terminal the question is repeated until it does.
pub(super) fn obtain(
    arguments: &mut Arguments,
    wanted: Wanted,
    check: fn(&Secret) -> Result<()>,
) -> Result<Answer> {
    let known = |secret: Secret, generated| {
        check(&secret)?;
        Ok(Answer { secret, generated })
    };
    if let Some(password) = arguments.password.take() {
        return known(Secret::new(password.into_bytes()), false);
    }
    if arguments.generate {
        return known(generate_password(arguments.length.into())?, true);
    }
    if let Some(password) = std::env::var_os(VARIABLE) {
        return known(Secret::new(password.into_vec()), false);
    }
    if !std::io::stdin().is_terminal() {
        return known(Secret::new(line()?.into_bytes()), false);
    }
    loop {
        let secret = prompt(wanted)?;
        match check(&secret) {
            Ok(()) => {
                return Ok(Answer {
                    secret,
                    generated: false,
                });
            }
            Err(failure) => complain(&format!("{failure}\n")),
        }
    }
}

/// Asks at the terminal, with echo off.
fn prompt(wanted: Wanted) -> Result<Secret> {
    if wanted == Wanted::MasterKey {
        return hidden("Master key: ");
    }
    loop {
        let first = hidden("Password : ")?;
        let second = hidden("Verify   : ")?;
        if first.expose() == second.expose() {
            return Ok(first);
        }
        complain("the passwords differ\n");
    }
}

fn hidden(question: &str) -> Result<Secret> {
    rpassword::prompt_password(question)
        .map(|answer| Secret::new(answer.into_bytes()))
        .context("ask for a password")
}

/// The user of `-U`, else from standard input; at a terminal the question is repeated while the answer is empty.
pub(super) fn user(arguments: &mut Arguments) -> Result<String> {
    if let Some(user) = arguments.user.take() {
        return Ok(user);
    }
    let terminal = std::io::stdin().is_terminal();
    loop {
        if terminal {
            complain("User name: ");
        }
        let user = line()?;
        if !user.is_empty() || !terminal {
            return Ok(user);
        }
    }
}

/// A line of standard input, without its end.
fn line() -> Result<String> {
    let mut line = String::new();
    let length = std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("read standard input")?;
    if length == 0 {
        return Err(
            Failure::new(Kind::Usage, "standard input ended before an answer")
                .hint("-U names the user; -P, -g or PGMONETA_PASSWORD give the password"),
        );
    }
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}
