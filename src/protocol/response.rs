//! A response document: the outcome of a request, and its result.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::envelope::QUOTES;
use super::members::{read, wrong_type};
use super::{Cause, Envelope, Members, error_code, json};
use crate::VERSION;
use crate::error::{Context as _, Error, ErrorKind, Result};

/// Why a request failed.
#[derive(Debug)]
pub struct RequestError {
    /// From which the error code follows.
    pub cause: Cause,
    /// The members `Message` and `Hint`.
    pub failure: Error,
}

impl RequestError {
    /// The error for what this version does not implement.
    pub fn not_implemented(what: &str) -> RequestError {
        let message = format!("{what} is not implemented in version {VERSION}");
        RequestError {
            cause: Cause::Unsupported,
            failure: Error::new(ErrorKind::Usage, message),
        }
    }
}

impl From<Error> for RequestError {
    fn from(failure: Error) -> Self {
        RequestError {
            cause: Cause::Failed(failure.kind()),
            failure,
        }
    }
}

/// A response document, of valid JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Response(Members);

/// The member `Outcome` of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Outcome {
    /// Whether the request succeeded.
    pub status: bool,
    /// The error code, if it failed.
    pub error: Option<u64>,
    /// The part of the program that failed, in the terms of the C program.
    pub workflow: Option<String>,
    /// The elapsed time, `HH:MM:S.ffff`.
    pub time: Option<String>,
    /// The error message; the C daemon sends none.
    pub message: Option<String>,
    /// The hint; the C daemon sends none.
    pub hint: Option<String>,
}

impl Response {
    /// The response to a request that succeeded; `reply` is `None` for the commands without a
    /// result.
    pub fn success(envelope: &Envelope, elapsed: Duration, reply: Option<Members>) -> Response {
        let outcome = json!({"Status": true, "Time": duration_text(elapsed)});
        let mut document = envelope.echo();
        document.insert("Outcome".to_owned(), outcome);
        if let Some(mut reply) = reply {
            reply.insert("ServerVersion".to_owned(), VERSION.into());
            document.insert("Response".to_owned(), reply.into());
        }
        Response(document)
    }

    /// The response to a request that failed; `envelope` is `None` if it could not be decoded. The
    /// C program has neither `Message` nor `Hint`.
    pub fn failure(envelope: Option<&Envelope>, error: &RequestError) -> Response {
        let command = envelope.and_then(Envelope::command);
        let started = matches!(error.cause, Cause::Failed(_));
        let workflow = command
            .filter(|_| started)
            .map_or("main", |command| command.workflow);
        let outcome = [
            ("Error", error_code(command, error.cause).into()),
            ("Status", false.into()),
            ("Workflow", workflow.into()),
            ("Message", error.failure.message().into()),
        ];
        let hint = error.failure.hint().map(|hint| ("Hint", hint.into()));
        let outcome = outcome.into_iter().chain(hint);
        let outcome: Members = outcome
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let server = envelope.and_then(Envelope::server);
        let mut document = envelope.map(Envelope::echo).unwrap_or_default();
        document.insert("Outcome".to_owned(), outcome.into());
        document.insert(
            "Response".to_owned(),
            json!({"Server": server, "ServerVersion": VERSION}),
        );
        Response(document)
    }

    /// With another component as the one that failed.
    #[must_use]
    pub fn with_workflow(mut self, workflow: &str) -> Response {
        if let Some(Value::Object(outcome)) = self.0.get_mut("Outcome") {
            outcome.insert("Workflow".to_owned(), workflow.into());
        }
        self
    }

    /// Parses a document that a daemon sent.
    pub fn read(text: &str) -> Result<Response> {
        let response = Response(json::parse(text)?);
        response.outcome()?;
        Ok(response)
    }

    /// The document as it is sent. The C client prints an apostrophe as `\'`, which is invalid
    /// JSON: for it, apostrophes are replaced by U+2019.
    pub fn text(&self) -> Result<String> {
        let header = self.0.get("Header");
        if header.and_then(|header| header.get(QUOTES)) == Some(&Value::Bool(true)) {
            return json::compact(&self.0);
        }
        let mut document = self.0.clone();
        // The echoed request is not changed.
        for name in ["Outcome", "Response"] {
            document.get_mut(name).map(replace_apostrophes);
        }
        json::compact(&document)
    }

    /// All members of the document.
    pub fn document(&self) -> &Members {
        &self.0
    }

    /// The members of `Response`; empty if there are none.
    pub fn members(&self) -> Members {
        match self.0.get("Response") {
            Some(Value::Object(members)) => members.clone(),
            _ => Members::new(),
        }
    }

    /// The member `Response`, typed. Members that the daemon does not send have default values.
    pub fn reply<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.members()).context("read the response")
    }

    /// The outcome of the request; an error if the document does not have it.
    pub fn outcome(&self) -> Result<Outcome> {
        match self.0.get("Outcome") {
            Some(Value::Object(outcome)) => read(outcome).context("read the outcome"),
            _ => Err(wrong_type("Outcome", "an object")),
        }
    }
}

fn replace_apostrophes(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\'') => *text = text.replace('\'', "\u{2019}"),
        Value::Array(items) => items.iter_mut().for_each(replace_apostrophes),
        Value::Object(members) => members.values_mut().for_each(replace_apostrophes),
        _ => {}
    }
}

/// `HH:MM:S.ffff`: hours and minutes have two digits, seconds as many as they need.
pub fn duration_text(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let fraction = elapsed.subsec_micros() / 100;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{}.{fraction:04}", seconds % 60)
}
