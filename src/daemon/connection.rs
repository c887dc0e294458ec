//! One client: a frame in, a frame out.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::dispatch::{Services, dispatch};
use crate::error::{Failure, Kind, Result};
use crate::net::{Deadline, Stream};
use crate::protocol::{Cause, Codec, Command, Envelope, Frame, Refusal, Response};
use crate::sys;

/// How long a client has to take an answer.
const WRITE: Duration = Duration::from_secs(30);

/// How long to wait for a client to close before we do.
const LINGER: Duration = Duration::from_millis(500);

/// Serves a client to its end. It always gets an answer, unless it is gone.
pub(super) fn serve(socket: UnixStream, services: &Services) {
    let permitted = permitted(&socket);
    let mut stream = match Stream::from_unix(socket, services.context.stop.clone()) {
        Ok(stream) => stream,
        Err(failure) => return log::error!("serve a client: {failure}"),
    };
    let answer = match permitted {
        Ok(()) => converse(&mut stream, services),
        Err(failure) => {
            log::warn!("{}", failure.told());
            Answer::refused(None, Cause::Undecodable, failure)
        }
    };
    if let Err(failure) = answer.send(&mut stream, services) {
        // What was done is done and in the catalogue, whether the client hears of it or not.
        log::warn!("answer a client: {failure}");
    }
    if answer.stops {
        services.wake.shut_down();
    }
}

/// Tells a client that it cannot be served, without waiting for anything: the answer fits into the socket's buffer.
pub(super) fn overloaded(mut socket: UnixStream, why: &str) {
    let failure = Failure::new(Kind::Busy, why).hint("try again later");
    log::warn!("refuse a client: {failure}");
    let answer = Answer::refused(None, Cause::Overload, failure);
    let sent = answer.frame(None).and_then(|frame| frame.bytes());
    let sent = sent.and_then(|bytes| {
        socket.set_nonblocking(true)?;
        Ok(socket.write_all(&bytes)?)
    });
    if let Err(failure) = sent {
        log::warn!("refuse a client: {failure}");
    }
}

/// Only our own user and root may talk to us, whatever the mode of the socket is.
fn permitted(socket: &UnixStream) -> Result<()> {
    let peer = sys::peer_user_id(socket)?;
    if peer == 0 || peer == sys::user_id() {
        return Ok(());
    }
    let refused = format!("a client of user id {peer} is refused: it is neither ours nor root's");
    Err(Failure::new(Kind::Authentication, refused)
        .hint("run pgmoneta-cli as the user that runs the daemon"))
}

/// The answer to one client.
struct Answer {
    codec: Codec,
    response: Response,
    /// Whether the daemon stops once it is sent.
    stops: bool,
}

impl Answer {
    fn refused(envelope: Option<&Envelope>, cause: Cause, failure: Failure) -> Answer {
        Answer {
            codec: Codec::PLAIN,
            response: Response::failure(envelope, &Refusal { cause, failure }),
            stops: false,
        }
    }

    fn frame(&self, services: Option<&Services>) -> Result<Frame> {
        let key = services.map(|services| &*services.context.key);
        Frame::encode(&self.response.text()?, self.codec, key)
    }

    fn send(&self, stream: &mut Stream, services: &Services) -> Result<()> {
        let bytes = self.frame(Some(services))?.bytes()?;
        stream.write_all(&bytes, Deadline::after(WRITE))?;
        linger(stream);
        Ok(())
    }
}

/// Closing a socket with unread bytes resets it, and the client may lose the answer: take what is still coming.
fn linger(stream: &mut Stream) {
    let deadline = Deadline::after(LINGER);
    let mut buffer = [0; 4096];
    while stream.readable_now().is_ok_and(|more| more) && !deadline.passed() {
        if !matches!(stream.read(&mut buffer, deadline), Ok(1..)) {
            break;
        }
    }
}

fn converse(stream: &mut Stream, services: &Services) -> Answer {
    let deadline = Deadline::after(services.context.config.authentication_timeout.duration());
    let undecodable = |failure: Failure| {
        log::warn!("a request cannot be read: {failure}");
        Answer::refused(None, Cause::Undecodable, failure)
    };
    let frame = match Frame::read(&mut |buffer| stream.read(buffer, deadline)) {
        Ok(frame) => frame,
        Err(failure) => return undecodable(failure),
    };
    let text = frame.decode(Some(&services.context.key));
    let envelope = match text.and_then(|text| Envelope::read(&text)) {
        Ok(envelope) => envelope,
        Err(failure) => return undecodable(failure),
    };
    let response = respond(&envelope, services);
    let stops = envelope.command() == Some(Command::Shutdown);
    Answer {
        // It was just decoded by it.
        codec: frame.codec().unwrap_or(Codec::PLAIN),
        stops: stops && response.outcome().is_ok_and(|outcome| outcome.status),
        response,
    }
}

fn respond(envelope: &Envelope, services: &Services) -> Response {
    let begun = Instant::now();
    // A panic is a bug, but not a reason to leave a client without an answer.
    let result = catch_unwind(AssertUnwindSafe(|| dispatch(envelope, services)));
    let result = result.unwrap_or_else(|_| {
        let failure = Failure::new(Kind::Internal, "the job panicked, which is a bug");
        Err(failure.hint("the log of the daemon says where").into())
    });
    match result {
        Ok(fields) => Response::success(envelope, begun.elapsed(), fields),
        Err(refusal) => {
            let command = envelope.command();
            let name =
                command.map_or_else(|| format!("command {}", envelope.code()), |c| c.to_string());
            log::error!("{name}: {}", refusal.failure.told());
            Response::failure(Some(envelope), &refusal)
        }
    }
}
