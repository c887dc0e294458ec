//! The program `pgmoneta` from its first line to its exit status.

use std::process::ExitCode;

use super::arguments::Arguments;
use crate::app::report::{FAILED, USAGE, complain, load, print, report};
use crate::config::{Config, locate};
use crate::daemon::{self, Mode};
use crate::error::{Failure, Kind, Result};
use crate::vault::UsersFile;
use crate::{logging, sys};

const NAME: &str = "pgmoneta";

/// The program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            let status = u8::try_from(error.exit_code()).unwrap_or(USAGE);
            return match error.print() {
                Ok(()) => ExitCode::from(status),
                Err(_) => ExitCode::from(FAILED),
            };
        }
    };
    let result = if arguments.check {
        check(&arguments)
    } else {
        serve(&arguments)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(NAME, &failure);
            ExitCode::from(FAILED)
        }
    }
}

fn serve(arguments: &Arguments) -> Result<()> {
    sys::forbid_core_dumps()?;
    if sys::user_id() == 0 {
        return Err(
            Failure::new(Kind::Permission, "the daemon does not run as root")
                .hint("run it as the user that owns the repository"),
        );
    }
    let loaded = load(NAME, &locate(&arguments.files)?)?;
    logging::start(&loaded.config.log)?;
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let mode = if arguments.detach {
        Mode::Detached
    } else {
        Mode::Foreground
    };
    daemon::run(loaded.config, mode)
}

fn check(arguments: &Arguments) -> Result<()> {
    let loaded = load(NAME, &locate(&arguments.files)?)?;
    let config = &loaded.config;
    for warning in loaded.warnings.iter().chain(&config.not_yet) {
        complain(&format!("{NAME}: warning: {warning}\n"));
    }
    check_users(config)?;
    let servers = match config.servers.len() {
        1 => "one server".to_owned(),
        count => format!("{count} servers"),
    };
    print(&format!(
        "{}: no problems, {servers}\n",
        config.path.display()
    ))
}

/// The names in the users file; whether the passwords open is seen at the start, with the master key.
fn check_users(config: &Config) -> Result<()> {
    let file = match UsersFile::read(&config.users_path) {
        // Root reads everything, but is not the one that must be able to.
        Err(failure) if sys::user_id() == 0 && failure.kind() == Kind::Permission => {
            complain(&format!(
                "{NAME}: warning: the users are not checked: {failure}\n"
            ));
            return Ok(());
        }
        result => result?,
    };
    let names = file.names();
    config.check_users(|name| names.contains(&name))?;
    Ok(())
}
