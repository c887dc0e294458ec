//! Starts the daemon in the foreground or detached.

use super::startup::{self, Startup};
use super::supervisor::Supervisor;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::logging::{self, LogKind};
use crate::sys::{self, Detached};

/// Whether the daemon detaches from the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Runs in the calling process until it is stopped.
    Foreground,
    /// Runs in a new process. The calling one ends when the daemon serves, or with its error.
    Detached,
}

/// What the start would refuse before it detaches, as far as it can be seen without creating,
/// locking or changing a file.
pub fn check(config: &Config, mode: Mode) -> Vec<Error> {
    let log = [check_log_kind(config, mode), logging::check(&config.log)];
    let log = log.into_iter().filter_map(Result::err);
    log.chain(startup::check(config)).collect()
}

fn check_log_kind(config: &Config, mode: Mode) -> Result<()> {
    if mode == Mode::Detached && config.log.kind == LogKind::Console {
        return Err(Error::new(
            ErrorKind::Configuration,
            "a detached daemon cannot log to the console",
        )
        .with_hint("set log_type = file or syslog, or omit -d"));
    }
    Ok(())
}

/// Runs the daemon. The log must be open, and there must be one thread.
pub fn run(config: Config, mode: Mode) -> Result<()> {
    check_log_kind(&config, mode)?;
    sys::set_private_umask();
    // The caller prints the error; a console log would repeat it.
    let fatal = match config.log.kind {
        LogKind::Console => |_: &Error| {},
        _ => |failure: &Error| logging::fatal(failure.message_with_hint()),
    };
    let startup = Startup::new(config).inspect_err(fatal)?;
    if mode == Mode::Foreground {
        return Supervisor::start(startup).inspect_err(fatal)?.run();
    }
    match sys::detach()? {
        Detached::Launcher(result) => result,
        Detached::Daemon(notifier) => match Supervisor::start(startup).inspect_err(fatal) {
            Ok(supervisor) => {
                notifier.notify_ready();
                supervisor.run()
            }
            Err(failure) => {
                notifier.notify_failed(&failure);
                Err(failure)
            }
        },
    }
}
