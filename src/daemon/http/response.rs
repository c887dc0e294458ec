//! Answers.

use std::sync::Arc;

use super::Status;
use crate::error::Result;
use crate::net::{Deadline, Stream};
use crate::unit::Timestamp;

/// The type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    Html,
    Text,
    /// The exposition format of Prometheus.
    Exposition,
}

impl ContentType {
    fn text(self) -> &'static str {
        match self {
            ContentType::Html => "text/html; charset=utf-8",
            ContentType::Text => "text/plain; charset=utf-8",
            ContentType::Exposition => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Whether the body of an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Sent,
    Omitted,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: Status,
    content_type: ContentType,
    body: Arc<str>,
    /// A further header field: name and value.
    field: Option<(&'static str, String)>,
}

impl Response {
    /// With this body.
    pub fn ok(content_type: ContentType, body: Arc<str>) -> Response {
        Response {
            status: Status::Ok,
            content_type,
            body,
            field: None,
        }
    }

    /// With a line about the status as its body.
    pub fn of(status: Status) -> Response {
        Response {
            status,
            content_type: ContentType::Text,
            body: format!("{}\n", status.line()).into(),
            field: None,
        }
    }

    /// With one more header field. Its value must be visible ASCII.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Response {
        self.field = Some((name, value));
        self
    }

    /// Sends the answer, with its body unless the request was a HEAD.
    pub(super) fn send(
        &self,
        stream: &mut Stream,
        body: Body,
        keep_alive: bool,
        deadline: Deadline,
    ) -> Result<()> {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut head = format!(
            "HTTP/1.1 {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: \
             {connection}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'none'\r\n",
            self.status.line(),
            Timestamp::now().http_date(),
            self.content_type.text(),
            self.body.len(),
        );
        if let Some((name, value)) = &self.field {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        if body == Body::Omitted {
            return stream.write_all(head.as_bytes(), deadline);
        }
        if self.body.len() < 1024 {
            head.push_str(&self.body);
            return stream.write_all(head.as_bytes(), deadline);
        }
        stream.write_all(head.as_bytes(), deadline)?;
        stream.write_all(self.body.as_bytes(), deadline)
    }
}
