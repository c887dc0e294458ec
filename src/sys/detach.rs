//! Detaching the daemon from the terminal.

use std::fs::File;
use std::io::{Read, Write};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::{Context, Error, ErrorKind, Result};

/// The process that returns from [`detach`].
pub enum Detached {
    /// The process that the shell started, with the result of the startup of the daemon.
    Launcher(Result<()>),
    /// The detached process, which reports the result of its startup.
    Daemon(StartupNotifier),
}

/// The pipe by which the detached process reports the result of its startup. Dropping it unused
/// reports a failure.
pub struct StartupNotifier(File);

/// Continues in a child process in a new session, with the working directory `/`, umask 077, and
/// the standard streams redirected to `/dev/null`. The parent waits until the child reports the
/// result of its startup. Must be called while the process has one thread, and after all paths were
/// made absolute.
pub fn detach() -> Result<Detached> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).context("create a pipe")?;
    let daemonize = daemonize::Daemonize::new()
        .working_directory("/")
        .umask(0o077);
    let failed = |error: daemonize::Error| {
        Error::new(ErrorKind::Internal, error.to_string()).context("detach from the terminal")
    };
    match daemonize.execute() {
        daemonize::Outcome::Child(Ok(_)) => {
            drop(reader);
            Ok(Detached::Daemon(StartupNotifier(File::from(writer))))
        }
        daemonize::Outcome::Child(Err(error)) => {
            let failure = failed(error);
            StartupNotifier(File::from(writer)).notify_failed(&failure);
            Err(failure)
        }
        daemonize::Outcome::Parent(Err(error)) => Err(failed(error)),
        daemonize::Outcome::Parent(Ok(_)) => {
            drop(writer);
            Ok(Detached::Launcher(wait(File::from(reader))))
        }
    }
}

/// Waits for the report, or for the end of the child, which closes the pipe.
fn wait(mut reader: File) -> Result<()> {
    let mut status = String::new();
    reader
        .read_to_string(&mut status)
        .context("wait for the daemon")?;
    match status.split_once('\n') {
        Some(("ready", _)) => Ok(()),
        Some((message, hint)) => {
            let failure = Error::new(ErrorKind::Internal, message);
            Err(if hint.is_empty() {
                failure
            } else {
                failure.with_hint(hint)
            })
        }
        None => Err(
            Error::new(ErrorKind::Internal, "the daemon exited during its startup")
                .with_hint("see its log for the reason"),
        ),
    }
}

impl StartupNotifier {
    /// Reports that the daemon is running; the parent exits with success.
    pub fn notify_ready(self) {
        self.send("ready\n");
    }

    /// Reports that the startup failed; the parent returns this error.
    pub fn notify_failed(self, failure: &Error) {
        let message = failure.message().replace('\n', " ");
        self.send(&format!(
            "{message}\n{}",
            failure.hint().unwrap_or_default()
        ));
    }

    fn send(mut self, text: &str) {
        if let Err(error) = self.0.write_all(text.as_bytes()) {
            log::warn!("the process that started the daemon has exited: {error}");
        }
    }
}
