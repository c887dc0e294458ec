//! The program `pgmoneta` from its first line to its exit status.

use std::process::ExitCode;

use super::arguments::Arguments;
use crate::app::report::{EXIT_FAILURE, eprint, load_config, print, print_parsed, report};
use crate::config::{Config, locate};
use crate::daemon::{self, Mode};
use crate::error::{Error, ErrorKind, Result};
use crate::vault::UsersFile;
use crate::{logging, sys};

const NAME: &str = "pgmoneta";

/// Runs the program; returns the exit status.
pub fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(print_parsed(&error)),
    };
    let result = if arguments.check_config {
        check_config(&arguments)
    } else {
        run_daemon(&arguments)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(NAME, &failure);
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

fn run_daemon(arguments: &Arguments) -> Result<()> {
    sys::disable_core_dumps()?;
    if sys::user_id() == 0 {
        return Err(
            Error::new(ErrorKind::Permission, "the daemon must not run as root")
                .with_hint("run it as the user that owns the repository"),
        );
    }
    sys::raise_descriptor_limit()?;
    let loaded = load_config(NAME, &locate(&arguments.files)?)?;
    logging::start(&loaded.config.log)?;
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    daemon::run(loaded.config, mode(arguments))
}

fn mode(arguments: &Arguments) -> Mode {
    if arguments.detach {
        Mode::Detached
    } else {
        Mode::Foreground
    }
}

fn check_config(arguments: &Arguments) -> Result<()> {
    let loaded = load_config(NAME, &locate(&arguments.files)?)?;
    let config = &loaded.config;
    for warning in loaded.warnings.iter().chain(&config.not_implemented) {
        eprint(&format!("{NAME}: warning: {warning}\n"));
    }
    if sys::user_id() == 0 {
        check_users(config)?;
    } else {
        let mut problems = daemon::check(config, mode(arguments));
        if let Some(last) = problems.pop() {
            problems.iter().for_each(|problem| report(NAME, problem));
            return Err(last);
        }
    }
    let servers = match config.servers.len() {
        1 => "one server".to_owned(),
        count => format!("{count} servers"),
    };
    print(&format!(
        "{}: no problems, {servers}\n",
        config.path.display()
    ))
}

/// Checks that the users file has every configured user. The rest of what the start needs depends
/// on the user of the daemon, which is not root.
fn check_users(config: &Config) -> Result<()> {
    let file = match UsersFile::read(&config.users_path) {
        Err(failure) if failure.kind() == ErrorKind::Permission => {
            eprint(&format!(
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
