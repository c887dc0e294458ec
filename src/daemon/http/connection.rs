//! The requests of one connection.

use std::time::Duration;

use super::request::{Next, RequestReader};
use super::response::Body;
use super::{Method, Request, Response};
use crate::error::{ErrorKind, Result};
use crate::net::{Deadline, Stream};

/// How long what a client still sends is read and discarded before the connection is closed:
/// closing a socket with unread bytes resets the connection, and the client may lose the answer.
const LINGER: Duration = Duration::from_secs(1);

/// How long the steps of a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the start of a request to the end of its head; for the first one from the start of the
    /// connection on.
    pub request: Duration,
    /// Until the client has read the answer.
    pub response: Duration,
    /// Until the next request begins.
    pub idle: Duration,
}

/// A connection to a client.
pub struct Connection<'a> {
    pub stream: &'a mut Stream,
    pub limits: Limits,
    /// When the first request must be there.
    pub first: Deadline,
    /// Called before the wait for each request; `false` ends the connection.
    pub waits: &'a dyn Fn() -> bool,
}

impl Connection<'_> {
    /// Answers requests until the client or a deadline ends the connection. An error of the client
    /// is answered, if it can be.
    pub fn serve(self, answer: &dyn Fn(&Request) -> Response) -> Result<()> {
        let mut reader = RequestReader::default();
        let mut is_first = true;
        while (self.waits)() {
            let is_next = !std::mem::take(&mut is_first);
            let limits = self.limits;
            let deadline = move |time: Duration| match is_next {
                true => Deadline::after(time),
                false => self.first,
            };
            let begins = deadline(limits.idle);
            let next = reader.next(self.stream, begins, || deadline(limits.request))?;
            let end = Deadline::after(limits.response);
            match next {
                Next::End => return Ok(()),
                Next::Request(request) => {
                    let keep_alive = request.keep_alive;
                    let response = answer(&request);
                    let body = match request.method {
                        Method::Head => Body::Omitted,
                        Method::Get | Method::Other => Body::Sent,
                    };
                    response.send(self.stream, body, keep_alive, end)?;
                    if !keep_alive {
                        break;
                    }
                }
                Next::Refused(status) => {
                    Response::of(status).send(self.stream, Body::Sent, false, end)?;
                    break;
                }
            }
        }
        linger(self.stream)
    }
}

fn linger(stream: &mut Stream) -> Result<()> {
    let deadline = Deadline::after(LINGER);
    let discarded = stream.finish(deadline).and_then(|()| {
        let mut buffer = [0; 8192];
        while stream.read(&mut buffer, deadline)? > 0 && !deadline.passed() {}
        Ok(())
    });
    match discarded {
        // The answer was sent, and the client may close when it wants.
        Err(failure) if failure.kind() != ErrorKind::Stopped => Ok(()),
        result => result,
    }
}
