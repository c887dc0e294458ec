//! A request document: a header, and the members of the request.

use serde_json::{Value, json};

use super::members::wrong_type;
use super::{COMMANDS, Codec, Command, Members, json};
use crate::VERSION;
use crate::error::Result;
use crate::unit::local_timestamp;

/// The output format of the client; the daemon only echoes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Tables and fields.
    #[default]
    Text,
    /// JSON with names instead of codes.
    Json,
    /// JSON as the daemon sent it.
    Raw,
}

/// The header member that a client sets to `true` if it accepts strings with apostrophes.
pub(super) const QUOTES: &str = "Quotes";

/// A request document. Its members `Header` and `Request` are echoed in the response.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    header: Members,
    request: Members,
    code: i64,
}

impl Envelope {
    /// Parses a document. Members that the C program does not check may be missing here too.
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

    /// The document that the client sends.
    pub fn new(command: &Command, request: Members, codec: Codec, output: Output) -> Envelope {
        let header = json!({
            "ClientVersion": VERSION,
            "Command": command.code,
            "Compression": codec.compression.code(),
            "Encryption": codec.encryption.code(),
            QUOTES: true,
            "Output": match output {
                Output::Text => 0,
                Output::Json => 1,
                Output::Raw => 2,
            },
            "Timestamp": local_timestamp(),
        });
        let header = match header {
            Value::Object(header) => header,
            _ => Members::new(),
        };
        Envelope {
            header,
            request,
            code: command.code.into(),
        }
    }

    /// The command, if its code is known.
    pub fn command(&self) -> Option<&'static Command> {
        Command::find(COMMANDS, self.code)
    }

    /// The code of the command; 0 if it is missing.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// The members of the request, unchecked.
    pub fn request(&self) -> &Members {
        &self.request
    }

    /// The member `Server`, if it is a string.
    pub fn server(&self) -> Option<&str> {
        self.request.get("Server").and_then(Value::as_str)
    }

    /// Whether the member `Server` is a string or missing, which is the same as empty.
    pub fn server_member_is_valid(&self) -> bool {
        let server = self.request.get("Server").unwrap_or(&Value::Null);
        server.is_string() || server.is_null()
    }

    /// The document as compact JSON.
    pub fn text(&self) -> Result<String> {
        json::compact(&self.echo())
    }

    /// The members `Header` and `Request`, unchanged.
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
