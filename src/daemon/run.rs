//! The life of the daemon.

use super::prepare::Prepared;
use super::supervisor::Supervisor;
use crate::config::Config;
use crate::error::{Failure, Kind, Result};
use crate::logging::{self, LogKind};
use crate::sys::{self, Detached};

/// Where the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the process that was started, until it is told to stop.
    Foreground,
    /// In a process of its own; the one that was started ends once the daemon serves, or with its failure.
    Detached,
}

/// Runs the daemon. The log has been started; there is one thread.
pub fn run(config: Config, mode: Mode) -> Result<()> {
    if mode == Mode::Detached && config.log.kind == LogKind::Console {
        return Err(Failure::new(
            Kind::Configuration,
            "a daemon without a terminal cannot log to the console",
        )
        .hint("set log_type = file or syslog, or leave -d out"));
    }
    sys::set_private_umask();
    // A console log would say it twice: whoever called us prints it.
    let fatal = match config.log.kind {
        LogKind::Console => |_: &Failure| {},
        _ => |failure: &Failure| logging::fatal(failure.told()),
    };
    let prepared = Prepared::new(config).inspect_err(fatal)?;
    if mode == Mode::Foreground {
        return Supervisor::start(prepared).inspect_err(fatal)?.run();
    }
    match sys::detach()? {
        Detached::Launcher(result) => result,
        Detached::Daemon(ready) => match Supervisor::start(prepared).inspect_err(fatal) {
            Ok(supervisor) => {
                ready.done();
                supervisor.run()
            }
            Err(failure) => {
                ready.failed(&failure);
                Err(failure)
            }
        },
    }
}
