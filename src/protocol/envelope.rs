//! A request document: who asks, and for what.

use serde_json::{Value, json};

use super::{Codec, Command, Members, VERSION, json};
use crate::error::{Failure, Kind, Result};
use crate::unit::timestamp;

/// How the client will show the answer; the daemon only echoes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// JSON with words for numbers.
    Json,
    /// The document as it came.
    Raw,
}

/// The member of a header by which a client says that it reads and prints texts with apostrophes.
pub(super) const QUOTES: &str = "Quotes";

/// A request document. Both of its members are echoed in the response.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    header: Members,
    request: Members,
    code: i64,
}

impl Envelope {
    /// Reads a document. Members that the C program does not check either may be missing.
    pub fn read(text: &str) -> Result<Envelope> {
        let mut document = json::parse(text)?;
        let header = object(document.remove("Header"), "Header")?;
        let request = object(document.remove("Request"), "Request")?;
        let code = match header.get("Command") {
            None => 0,
            Some(code) => code
                .as_i64()
                .ok_or_else(|| wrong_type("Command", "a number"))?,
        };
        Ok(Envelope {
            header,
            request,
            code,
        })
    }

    /// The document for a command of ours.
    pub fn new(command: Command, request: Members, codec: Codec, output: Output) -> Envelope {
        let header = json!({
            "ClientVersion": VERSION,
            "Command": command.code(),
            "Compression": codec.compression.code(),
            "Encryption": codec.encryption.code(),
            QUOTES: true,
            "Output": match output {
                Output::Text => 0,
                Output::Json => 1,
                Output::Raw => 2,
            },
            "Timestamp": timestamp(),
        });
        let header = match header {
            Value::Object(header) => header,
            _ => Members::new(),
        };
        Envelope {
            header,
            request,
            code: command.code().into(),
        }
    }

    /// The command, if its number is one.
    pub fn command(&self) -> Option<Command> {
        Command::from_code(self.code)
    }

    /// The number of the command; 0 if there was none.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// What is asked, still untyped.
    pub fn request(&self) -> &Members {
        &self.request
    }

    /// The name of the server that the request names, if it does.
    pub fn server(&self) -> Option<&str> {
        self.request.get("Server").and_then(Value::as_str)
    }

    /// Whether the member that names the server is a text, or is missing, which is as good as an empty one.
    pub fn names_server(&self) -> bool {
        let server = self.request.get("Server").unwrap_or(&Value::Null);
        server.is_string() || server.is_null()
    }

    /// The text of the document.
    pub fn text(&self) -> Result<String> {
        json::compact(&self.echo())
    }

    /// The two members as they came.
    pub(super) fn echo(&self) -> Members {
        let mut document = Members::new();
        document.insert("Header".to_owned(), self.header.clone().into());
        document.insert("Request".to_owned(), self.request.clone().into());
        document
    }
}

fn object(value: Option<Value>, name: &str) -> Result<Members> {
    match value {
        Some(Value::Object(members)) => Ok(members),
        None | Some(Value::Null) => Ok(Members::new()),
        Some(_) => Err(wrong_type(name, "an object")),
    }
}

/// The failure for a member of the wrong type.
pub(super) fn wrong_type(name: &str, wanted: &str) -> Failure {
    Failure::new(Kind::Protocol, format!("{name} is not {wanted}"))
}
