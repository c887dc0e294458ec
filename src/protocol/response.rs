//! A response document: the outcome of a request, and its result.

use std::time::Duration;

use serde_json::Value;

use super::envelope::QUOTES;
use super::members::wrong_type;
use super::{Cause, Envelope, Fields, Members, error_code, json};
use crate::VERSION;
use crate::error::{Error, Result};

/// Why a request failed.
#[derive(Debug)]
pub struct RequestError {
    /// From which the error code follows.
    pub cause: Cause,
    /// The members `Message` and `Hint`.
    pub failure: Error,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// The response to a request that succeeded; `fields` is `None` for the commands without a
    /// result.
    pub fn success(envelope: &Envelope, elapsed: Duration, fields: Option<Fields>) -> Response {
        let outcome = Fields::new()
            .with("Status", true)
            .with("Time", duration_text(elapsed));
        let mut document = envelope.echo();
        document.insert("Outcome".to_owned(), outcome.into());
        if let Some(fields) = fields {
            let fields = fields.with("ServerVersion", VERSION);
            document.insert("Response".to_owned(), fields.into());
        }
        Response(document)
    }

    /// The response to a request that failed; `envelope` is `None` if it could not be decoded. The
    /// C program has neither `Message` nor `Hint`.
    pub fn failure(envelope: Option<&Envelope>, error: &RequestError) -> Response {
        let command = envelope.and_then(Envelope::command);
        let not_started = !matches!(error.cause, Cause::Failed(_));
        let workflow = command
            .filter(|_| !not_started)
            .map_or("main", |command| command.workflow);
        let mut outcome = Fields::new()
            .with("Error", error_code(command, error.cause))
            .with("Status", false)
            .with("Workflow", workflow)
            .with("Message", error.failure.message());
        if let Some(hint) = error.failure.hint() {
            outcome = outcome.with("Hint", hint);
        }
        let fields = Fields::new()
            .with("Server", envelope.and_then(Envelope::server))
            .with("ServerVersion", VERSION);
        let mut document = envelope.map(Envelope::echo).unwrap_or_default();
        document.insert("Outcome".to_owned(), outcome.into());
        document.insert("Response".to_owned(), fields.into());
        Response(document)
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
    pub fn fields(&self) -> Members {
        match self.0.get("Response") {
            Some(Value::Object(fields)) => fields.clone(),
            _ => Members::new(),
        }
    }

    /// The outcome of the request; an error if the document does not have it.
    pub fn outcome(&self) -> Result<Outcome> {
        let Some(Value::Object(outcome)) = self.0.get("Outcome") else {
            return Err(wrong_type("Outcome", "an object"));
        };
        let text = |name: &str| outcome.get(name).and_then(Value::as_str).map(str::to_owned);
        let status = outcome.get("Status").and_then(Value::as_bool);
        Ok(Outcome {
            status: status.ok_or_else(|| wrong_type("Status", "true or false"))?,
            error: outcome.get("Error").and_then(Value::as_u64),
            workflow: text("Workflow"),
            time: text("Time"),
            message: text("Message"),
            hint: text("Hint"),
        })
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
