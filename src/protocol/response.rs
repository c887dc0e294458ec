//! A response document: what came of a request.

use std::time::Duration;

use serde_json::Value;

use super::envelope::{QUOTES, wrong_type};
use super::{Cause, Envelope, Fields, Members, error_code, json};
use crate::error::{Failure, Result};

/// Our version, which goes into every document.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a request was not done.
#[derive(Debug)]
pub struct Refusal {
    /// What it was refused for; becomes the code.
    pub cause: Cause,
    /// The words.
    pub failure: Failure,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal {
            cause: Cause::Failed(failure.kind()),
            failure,
        }
    }
}

/// A response document.
#[derive(Clone, Debug, PartialEq)]
pub struct Response(Members);

/// What came of a request, typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it was done.
    pub status: bool,
    /// The code of the failure.
    pub error: Option<u64>,
    /// The part of the program that failed.
    pub workflow: Option<String>,
    /// How long it took, `HH:MM:S.ffff`.
    pub time: Option<String>,
    /// The failure in words; the C daemon sends none.
    pub message: Option<String>,
    /// What to do about it; the C daemon sends none.
    pub hint: Option<String>,
}

impl Response {
    /// The answer to a request that was done; `None` for the few commands that answer nothing more.
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

    /// The answer to a request that was not done; without an envelope if it could not be read. `Message` and `Hint`
    /// are ours.
    pub fn failure(envelope: Option<&Envelope>, refusal: &Refusal) -> Response {
        let command = envelope.and_then(Envelope::command);
        let early = !matches!(refusal.cause, Cause::Failed(_));
        let workflow = command
            .filter(|_| !early)
            .map_or("main", |command| command.workflow());
        let mut outcome = Fields::new()
            .with("Error", error_code(command, refusal.cause))
            .with("Status", false)
            .with("Workflow", workflow)
            .with("Message", refusal.failure.message());
        if let Some(hint) = refusal.failure.advice() {
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

    /// Reads a document that a daemon sent.
    pub fn read(text: &str) -> Result<Response> {
        let response = Response(json::parse(text)?);
        response.outcome()?;
        Ok(response)
    }

    /// The text of the document. The C client prints an apostrophe as `\'`, which no JSON reader takes: it gets U+2019.
    pub fn text(&self) -> Result<String> {
        let header = self.0.get("Header");
        if header.and_then(|header| header.get(QUOTES)) == Some(&Value::Bool(true)) {
            return json::compact(&self.0);
        }
        let mut document = self.0.clone();
        // What was asked goes back as it came.
        for name in ["Outcome", "Response"] {
            document.get_mut(name).map(replace_apostrophes);
        }
        json::compact(&document)
    }

    /// The whole document.
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

    /// What came of the request.
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
