//! One request and its answer.

use std::time::Duration;

use super::target::Target;
use crate::crypto::MasterKey;
use crate::error::{Failure, Kind, Result};
use crate::net::{Deadline, Stream};
use crate::protocol::{Command, Envelope, Frame, Output, Request, Response};
use crate::sys::Stop;
use crate::unit::Encryption;
use crate::vault;

/// How long the daemon has to take a connection and a request.
const CONNECT: Duration = Duration::from_secs(30);

/// How long it has to answer what takes no time.
const ANSWER: Duration = Duration::from_secs(120);

/// What it takes to ask the daemon.
pub(super) struct Client {
    target: Target,
    output: Output,
    key: Option<MasterKey>,
}

/// Why there is no answer.
pub(super) enum Silence {
    /// Nobody listens.
    NoDaemon(Failure),
    /// We stopped waiting.
    Interrupted,
    /// Something broke on the way.
    Broken(Failure),
}

impl From<Failure> for Silence {
    fn from(failure: Failure) -> Self {
        if failure.kind() == Kind::Stopped {
            Silence::Interrupted
        } else {
            Silence::Broken(failure)
        }
    }
}

impl Client {
    /// Reads the master key if messages are encrypted.
    pub(super) fn new(target: Target, output: Output) -> Result<Client> {
        let encrypted = target.codec.encryption != Encryption::None;
        let key = encrypted.then(|| vault::load_master_key(&vault::master_key_path()?));
        Ok(Client {
            target,
            output,
            key: key.transpose()?,
        })
    }

    /// Asks, and waits for the answer or for `stop`.
    pub(super) fn ask(
        &self,
        request: &Request,
        stop: &Stop,
    ) -> std::result::Result<Response, Silence> {
        let (codec, socket) = (self.target.codec, &self.target.socket);
        let envelope = Envelope::new(request.command(), request.members(), codec, self.output);
        let frame = Frame::encode(&envelope.text()?, codec, self.key.as_ref())?.bytes()?;
        let connect = Deadline::after(CONNECT);
        let mut stream = match Stream::unix(socket, connect, stop) {
            Ok(stream) => stream,
            Err(failure) if failure.kind() == Kind::Stopped => return Err(Silence::Interrupted),
            Err(failure) => return Err(Silence::NoDaemon(no_daemon(failure))),
        };
        // A daemon that refuses us may answer and close before it has read all.
        let sent = stream.write_all(&frame, connect);
        let deadline = match request.command() {
            Command::Ping
            | Command::Status
            | Command::StatusDetails
            | Command::Progress
            | Command::ListBackup
            | Command::Info
            | Command::Shutdown
            | Command::ConfLs
            | Command::ConfGet
            | Command::ConfSet
            | Command::ConfReload
            | Command::Clear
            | Command::Mode => Deadline::after(ANSWER),
            _ => Deadline::after(Duration::MAX),
        };
        let answer = Frame::read(&mut |buffer| stream.read(buffer, deadline));
        match (answer, sent) {
            (Ok(frame), _) => Ok(Response::read(&frame.decode(self.key.as_ref())?)?),
            (Err(_), Err(failure)) => Err(failure.into()),
            (Err(failure), Ok(())) => Err(silent(request.command(), failure).into()),
        }
    }
}

/// The daemon took the request and was gone before it answered.
fn silent(command: Command, failure: Failure) -> Failure {
    let failure = failure.context("wait for the answer");
    match command {
        Command::Backup => {
            failure.hint("`pgmoneta-cli list-backup` shows the backup if it was completed")
        }
        Command::Restore => failure
            .hint("what was written may be incomplete: the log of the daemon says how it ended"),
        _ => failure,
    }
}

fn no_daemon(failure: Failure) -> Failure {
    let hint = if failure.message().contains("ermission denied") {
        "run pgmoneta-cli as the user that runs the daemon"
    } else {
        "is pgmoneta running, with the same unix_socket_dir?"
    };
    failure.context("no daemon").hint(hint)
}
