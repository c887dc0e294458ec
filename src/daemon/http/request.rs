//! Reading the head of a request.

use httparse::{EMPTY_HEADER, Error as ParseError, Header};

use super::Status;
use crate::error::{ErrorKind, Result};
use crate::net::{Deadline, Stream};
use crate::unit::first;

/// The largest head of a request, bytes.
const MAX_HEAD: usize = 8 << 10;

/// The most header fields of a request.
const MAX_FIELDS: usize = 100;

/// The method of a request, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    /// As GET, and the answer has no body.
    Head,
    Other,
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// The path with the query, from the first `/` on.
    pub target: String,
    /// The field `Host`.
    pub host: Option<String>,
    /// Whether the client wants to send another request afterwards.
    pub keep_alive: bool,
}

impl Request {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// What came instead of a request.
#[derive(Debug)]
pub(super) enum Next {
    Request(Request),
    /// The client has closed the connection, or sent nothing for the time that it may be idle.
    End,
    /// What the client sent is answered with this status, and the connection closed.
    Refused(Status),
}

/// The bytes of a connection that were read and belong to no request yet.
#[derive(Default)]
pub(super) struct RequestReader {
    buffer: Vec<u8>,
}

impl RequestReader {
    /// Reads the next request. It must begin until `idle`; `deadline` gives the time for the rest
    /// of it, once it has begun.
    pub(super) fn next(
        &mut self,
        stream: &mut Stream,
        idle: Deadline,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<Next> {
        if self.buffer.is_empty() && !self.begins(stream, idle)? {
            return Ok(Next::End);
        }
        let deadline = deadline();
        loop {
            if let Some(next) = self.parse() {
                return Ok(next);
            }
            if self.buffer.len() >= MAX_HEAD {
                return Ok(Next::Refused(self.too_large()));
            }
            match self.read(stream, deadline) {
                Ok(0) => return Ok(Next::End),
                Ok(_) => {}
                Err(failure) if failure.kind() == ErrorKind::Timeout => {
                    return Ok(Next::Refused(Status::RequestTimeout));
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn begins(&mut self, stream: &mut Stream, idle: Deadline) -> Result<bool> {
        match self.read(stream, idle) {
            Ok(count) => Ok(count > 0),
            Err(failure) if failure.kind() == ErrorKind::Timeout => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    fn read(&mut self, stream: &mut Stream, deadline: Deadline) -> Result<usize> {
        let mut bytes = [0; 2048];
        let count = stream.read(&mut bytes, deadline)?;
        self.buffer.extend_from_slice(first(&bytes, count));
        Ok(count)
    }

    /// The request in the buffer; `None` if it is not complete yet.
    fn parse(&mut self) -> Option<Next> {
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        let length = match parsed.parse(first(&self.buffer, MAX_HEAD.min(self.buffer.len()))) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return None,
            Err(error) => return Some(Next::Refused(status_of(error))),
        };
        let next = match head(&parsed) {
            Some(request) => Next::Request(request),
            None => Next::Refused(Status::BadRequest),
        };
        self.buffer.drain(..length.min(self.buffer.len()));
        Some(next)
    }

    fn too_large(&self) -> Status {
        // Empty lines before the request line are skipped.
        let mut lines = self.buffer.split(|byte| *byte == b'\n');
        let has_line = lines.any(|line| line.starts_with(b"GET ") || line.starts_with(b"HEAD "));
        let ends = self.buffer.iter().filter(|byte| **byte == b'\n').count();
        if has_line && ends > 0 {
            Status::FieldsTooLarge
        } else {
            Status::TargetTooLong
        }
    }
}

fn status_of(error: ParseError) -> Status {
    match error {
        ParseError::TooManyHeaders => Status::FieldsTooLarge,
        ParseError::Version => Status::VersionNotSupported,
        _ => Status::BadRequest,
    }
}

/// The request; `None` if it contradicts RFC 9112.
fn head(parsed: &httparse::Request<'_, '_>) -> Option<Request> {
    let is_1_1 = parsed.version? == 1;
    let method = match parsed.method? {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => Method::Other,
    };
    let fields = &*parsed.headers;
    let host = match values(fields, "host").as_slice() {
        [host] => Some(host.trim().to_owned()),
        // Section 3.2: exactly one in HTTP/1.1.
        [] if !is_1_1 => None,
        _ => return None,
    };
    let connection = values(fields, "connection").join(",").to_ascii_lowercase();
    let says = |word: &str| connection.split(',').any(|option| option.trim() == word);
    let has_body = !values(fields, "transfer-encoding").is_empty()
        || values(fields, "content-length")
            .iter()
            .any(|length| length.trim() != "0");
    let wanted = if is_1_1 {
        !says("close")
    } else {
        says("keep-alive")
    };
    Some(Request {
        method,
        target: target(parsed.path?)?,
        host,
        keep_alive: wanted && !has_body,
    })
}

fn values<'a>(fields: &[Header<'a>], name: &str) -> Vec<&'a str> {
    let named = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(name));
    // A value that is not UTF-8 is none that is known.
    let values = named.map(|field| std::str::from_utf8(field.value).unwrap_or("?"));
    values.collect()
}

/// The target from its path on, also of one in absolute form.
fn target(text: &str) -> Option<String> {
    let path = match text.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => rest
            .find(['/', '?'])
            .and_then(|at| rest.get(at..))
            .unwrap_or("/"),
        _ => text,
    };
    let graphic = path.bytes().all(|byte| byte.is_ascii_graphic());
    // `*` of OPTIONS, and the authority of CONNECT, are no path: they are not found.
    graphic.then(|| path.to_owned())
}
