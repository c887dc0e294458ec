//! Leaving the terminal.

use std::fs::File;
use std::io::{Read, Write};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::{Context, Failure, Kind, Result};

/// Which process one is after [`detach`].
pub enum Detached {
    /// The one that the shell started. The daemon runs, or said why it does not.
    Launcher(Result<()>),
    /// The daemon.
    Daemon(Ready),
}

/// The detached process's way to say that it has started. Dropping it unused says that it has not.
pub struct Ready(File);

/// Goes on in a process of its own session with the working directory `/`, umask 077, and `/dev/null` in place of the
/// three standard streams. The process that the shell started waits until the new one says how its start went. To
/// be called while there is one thread, after all paths were made absolute.
pub fn detach() -> Result<Detached> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).context("make a pipe")?;
    let daemonize = daemonize::Daemonize::new()
        .working_directory("/")
        .umask(0o077);
    let failed = |error: daemonize::Error| {
        Failure::new(Kind::Internal, error.to_string()).context("detach from the terminal")
    };
    match daemonize.execute() {
        daemonize::Outcome::Child(Ok(_)) => {
            drop(reader);
            Ok(Detached::Daemon(Ready(File::from(writer))))
        }
        daemonize::Outcome::Child(Err(error)) => {
            let failure = failed(error);
            Ready(File::from(writer)).failed(&failure);
            Err(failure)
        }
        daemonize::Outcome::Parent(Err(error)) => Err(failed(error)),
        daemonize::Outcome::Parent(Ok(_)) => {
            drop(writer);
            Ok(Detached::Launcher(wait(File::from(reader))))
        }
    }
}

/// The pipe's end comes with the end of the process, so this does not wait for ever.
fn wait(mut reader: File) -> Result<()> {
    let mut said = String::new();
    reader
        .read_to_string(&mut said)
        .context("wait for the daemon")?;
    match said.split_once('\n') {
        Some(("ready", _)) => Ok(()),
        Some((message, hint)) => {
            let failure = Failure::new(Kind::Internal, message);
            Err(if hint.is_empty() {
                failure
            } else {
                failure.hint(hint)
            })
        }
        None => Err(
            Failure::new(Kind::Internal, "the daemon ended while it started")
                .hint("its log may say why"),
        ),
    }
}

impl Ready {
    /// Says that the daemon runs; the launcher ends with success.
    pub fn done(self) {
        self.say("ready\n");
    }

    /// Says why it does not run; the launcher prints that and fails.
    pub fn failed(self, failure: &Failure) {
        let message = failure.message().replace('\n', " ");
        self.say(&format!(
            "{message}\n{}",
            failure.advice().unwrap_or_default()
        ));
    }

    fn say(mut self, text: &str) {
        if let Err(error) = self.0.write_all(text.as_bytes()) {
            log::warn!("the process that started the daemon is gone: {error}");
        }
    }
}
