//! One management connection: one request frame, one response frame.

use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::dispatch::{Services, dispatch};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Deadline, Stream};
use crate::protocol::{
    Cause, Codec, Envelope, Frame, FrameLimits, RequestError, Response, SHUTDOWN,
};
use crate::sys;

/// How long a client may take to read the response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to read and discard what a client still sends, before closing.
const LINGER_TIMEOUT: Duration = Duration::from_millis(500);

/// Where a request comes from.
pub(super) enum Origin {
    /// The management socket.
    Local,
    /// The port of remote management.
    Remote { user: String, address: IpAddr },
}

impl Origin {
    /// The component in the response to a request that cannot be decoded.
    fn workflow(&self) -> &'static str {
        match self {
            Origin::Local => "main",
            Origin::Remote { .. } => "remote",
        }
    }
}

impl fmt::Display for Origin {
    /// What follows a request in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Local => Ok(()),
            Origin::Remote { user, address } => write!(f, " by {user:?} at {address}"),
        }
    }
}

/// Serves one client. It always gets a response, unless it has disconnected.
pub(super) fn serve(socket: UnixStream, services: &Services) {
    let permitted = permitted(&socket);
    let mut stream = match Stream::from_unix(socket, services.daemon.stop.clone()) {
        Ok(stream) => stream,
        Err(failure) => return log::error!("serve a client: {failure}"),
    };
    let answer = match permitted {
        Ok(()) => handle(&mut stream, services, &Origin::Local),
        Err(failure) => {
            log::warn!("{}", failure.message_with_hint());
            Answer::refused(None, Cause::Undecodable, failure)
        }
    };
    finish(answer, &mut stream, services);
}

/// Serves one client that has logged in.
pub(super) fn serve_remote(stream: &mut Stream, services: &Services, origin: &Origin) {
    let answer = handle(stream, services, origin);
    finish(answer, stream, services);
}

fn finish(answer: Answer, stream: &mut Stream, services: &Services) {
    if let Err(failure) = answer.send(stream, services) {
        // The command took effect, although the client did not get the response.
        log::warn!("send a response to a client: {failure}");
    }
    if answer.stops {
        services.waker.shut_down();
    }
}

/// Sends an error without blocking: the response fits into the buffer of the socket.
pub(super) fn refuse_overload(mut socket: UnixStream, why: &str) {
    let failure = Error::new(ErrorKind::Busy, why).with_hint("try again later");
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

/// Accepts only the daemon's user and root, whatever the mode of the socket is.
fn permitted(socket: &UnixStream) -> Result<()> {
    let peer = sys::peer_user_id(socket)?;
    if peer == 0 || peer == sys::user_id() {
        return Ok(());
    }
    let refused =
        format!("a client of user id {peer} is refused: it is neither the daemon's user nor root");
    Err(Error::new(ErrorKind::Authentication, refused)
        .with_hint("run pgmoneta-cli as the user that runs the daemon"))
}

/// A response, and how to encode it.
struct Answer {
    codec: Codec,
    response: Response,
    /// Whether the daemon stops after sending it.
    stops: bool,
}

impl Answer {
    fn refused(envelope: Option<&Envelope>, cause: Cause, failure: Error) -> Answer {
        Answer {
            codec: Codec::PLAIN,
            response: Response::failure(envelope, &RequestError { cause, failure }),
            stops: false,
        }
    }

    fn frame(&self, services: Option<&Services>) -> Result<Frame> {
        let key = services.map(|services| &*services.daemon.key);
        Frame::encode(&self.response.text()?, self.codec, key)
    }

    fn send(&self, stream: &mut Stream, services: &Services) -> Result<()> {
        let bytes = self.frame(Some(services))?.bytes()?;
        let deadline = Deadline::after(WRITE_TIMEOUT);
        stream.write_all(&bytes, deadline)?;
        stream.finish(deadline)?;
        linger(stream);
        Ok(())
    }
}

/// Reads and discards what the client still sends: closing a socket with unread bytes resets the
/// connection, and the client may lose the response.
fn linger(stream: &mut Stream) {
    let deadline = Deadline::after(LINGER_TIMEOUT);
    let mut buffer = [0; 4096];
    while stream.readable_now().is_ok_and(|more| more) && !deadline.passed() {
        if !matches!(stream.read(&mut buffer, deadline), Ok(1..)) {
            break;
        }
    }
}

fn handle(stream: &mut Stream, services: &Services, origin: &Origin) -> Answer {
    let deadline = Deadline::after(services.daemon.config.authentication_timeout.duration());
    let undecodable = |failure: Error| {
        log::warn!("read a request{origin}: {failure}");
        let refused = Answer::refused(None, Cause::Undecodable, failure);
        Answer {
            response: refused.response.with_workflow(origin.workflow()),
            ..refused
        }
    };
    let frame = match Frame::read(
        &mut |buffer| stream.read(buffer, deadline),
        FrameLimits::REQUEST,
    ) {
        Ok(frame) => frame,
        Err(failure) => return undecodable(failure),
    };
    let text = frame.decode(Some(&services.daemon.key), FrameLimits::REQUEST);
    let envelope = match text.and_then(|text| Envelope::read(&text)) {
        Ok(envelope) => envelope,
        Err(failure) => return undecodable(failure),
    };
    let response = respond(&envelope, services, origin);
    let stops = envelope.command() == Some(&SHUTDOWN);
    Answer {
        // Never the default: the frame was decoded with this codec.
        codec: frame.codec().unwrap_or(Codec::PLAIN),
        stops: stops && response.outcome().is_ok_and(|outcome| outcome.status),
        response,
    }
}

fn respond(envelope: &Envelope, services: &Services, origin: &Origin) -> Response {
    let begun = Instant::now();
    // The client gets a response after a panic too.
    let result = catch_unwind(AssertUnwindSafe(|| dispatch(envelope, services, origin)));
    let result = result.unwrap_or_else(|_| {
        let failure = Error::new(ErrorKind::Internal, "the job panicked, which is a bug");
        Err(failure.with_hint("see the log of the daemon").into())
    });
    match result {
        Ok(fields) => Response::success(envelope, begun.elapsed(), fields),
        Err(refusal) => {
            let command = envelope.command();
            let name =
                command.map_or_else(|| format!("command {}", envelope.code()), |c| c.to_string());
            log::error!("{name}{origin}: {}", refusal.failure.message_with_hint());
            Response::failure(Some(envelope), &refusal)
        }
    }
}
