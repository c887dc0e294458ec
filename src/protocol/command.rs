//! What a command is: how it is typed, what its request has, how it runs and how it fails.
//!
//! The rows are beside the documents of the commands; client and daemon read the same ones.

use std::fmt;

use super::code::{Cause, ErrorCodes};

/// A row of the table of commands.
pub struct Command {
    /// How it is typed: a word, and a second one for the commands of a group.
    pub words: (&'static str, Option<&'static str>),
    /// The name in translated documents of the C client, in logs and in errors.
    pub name: &'static str,
    /// The positional arguments, in order.
    pub operands: &'static [Operand],
    /// The options that only this command has.
    pub options: &'static [CommandOption],
    /// The summary in the help, one line.
    pub summary: &'static str,
    /// The details at the end of the command's help; empty for none.
    pub details: &'static str,
    /// An example command line for the help; empty for none.
    pub example: &'static str,
    /// The number in the header of a request.
    pub code: u16,
    /// The member `Workflow` of a failed response, as in the C program.
    pub workflow: &'static str,
    /// The error codes of failed responses.
    pub errors: ErrorCodes,
    /// How it runs.
    pub run: Run,
    /// The hint where the connection ended before the response; empty for none.
    pub lost_response: &'static str,
    /// What its response describes.
    pub describes: Describes,
    /// Whether this version implements it. The requests of the others are sent all the same: the
    /// daemon may be another one.
    pub implemented: bool,
}

/// A positional argument of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The name in the usage line; empty if it is accepted, but not in the help.
    pub name: &'static str,
    /// The member of the request; empty if it is not sent.
    pub member: &'static str,
    /// Its type.
    pub kind: MemberKind,
    /// The words that are allowed; empty for any.
    pub words: &'static [&'static str],
    /// Whether it may be missing.
    pub presence: Presence,
}

/// Whether an operand may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must be there.
    Required,
    /// The member is null if it is missing.
    Optional,
    /// There is no member if it is missing.
    Omitted,
}

/// An option of a command, without the leading hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandOption {
    /// The long name.
    pub long: &'static str,
    /// The short name, if it has one.
    pub short: Option<char>,
    /// The name of the value in the help; empty for a flag.
    pub value: &'static str,
    /// The help, one line.
    pub help: &'static str,
    /// The member of the request.
    pub member: &'static str,
    /// Its type.
    pub kind: MemberKind,
    /// The words that are allowed; empty for any.
    pub words: &'static [&'static str],
}

/// The type of a member of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A string.
    Text,
    /// A string that the client makes from bytes of any encoding: it escapes what is not UTF-8.
    EscapedText,
    /// The path of a file or directory, which the client makes absolute.
    Path,
    /// True if the option is set.
    Flag,
    /// An object: names, OIDs or old paths of tablespaces, and their new paths. May be repeated.
    Tablespaces,
}

/// How a command runs. From this follow the client's deadline for the response, its progress line
/// and its text after Ctrl-C, and the daemon's log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Responds at once and changes nothing; monitoring runs it often.
    Monitoring,
    /// Responds at once.
    Instant,
    /// Takes an unknown time.
    Unbounded,
    /// A long operation on a server, which has progress and is completed without its client.
    Operation,
}

/// What the members of a response describe, for the output as JSON with names instead of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Describes {
    /// Nothing that has codes or sizes.
    Other,
    /// One backup.
    Backup,
    /// `Backups` is a list of backups.
    Backups,
    /// `Servers` is a list of servers with their backups.
    Servers,
}

impl Command {
    /// A row for `..`: an instant command without arguments that this version does not implement.
    pub const BASE: Command = Command {
        words: ("", None),
        name: "",
        operands: &[],
        options: &[],
        summary: "",
        details: "",
        example: "",
        code: 0,
        workflow: "main",
        errors: ErrorCodes::all(0),
        run: Run::Instant,
        lost_response: "",
        describes: Describes::Other,
        implemented: false,
    };

    /// The command with that code in a table, if there is one.
    pub fn find(table: &[&'static Command], code: i64) -> Option<&'static Command> {
        let row = table.iter().find(|row| i64::from(row.code) == code);
        row.copied()
    }

    /// The words, as they are typed.
    pub fn full_name(&self) -> String {
        match self.words {
            (word, Some(second)) => format!("{word} {second}"),
            (word, None) => word.to_owned(),
        }
    }

    /// The operands for the usage line: `<SERVER> [KEY]`.
    pub fn usage(&self) -> String {
        let named = self
            .operands
            .iter()
            .filter(|operand| !operand.name.is_empty());
        let shown = named.map(|operand| match operand.presence {
            Presence::Required if operand.name.contains('|') => operand.name.to_owned(),
            Presence::Required => format!("<{}>", operand.name),
            Presence::Optional | Presence::Omitted => format!("[{}]", operand.name),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    /// Whether the request has the member `Server`.
    pub fn takes_server(&self) -> bool {
        self.operands.first() == Some(&Operand::SERVER)
    }
}

/// The error code of a cause; `command` is `None` if it is unknown.
pub fn error_code(command: Option<&Command>, cause: Cause) -> u16 {
    command
        .map_or(ErrorCodes::all(2), |command| command.errors)
        .code(cause)
}

impl Operand {
    /// The name of a server.
    pub const SERVER: Operand = Operand::text("SERVER", "Server");

    /// A label, a prefix of one, `oldest`, `newest` or `latest`.
    pub const BACKUP: Operand = Operand::text("BACKUP", "Backup");

    /// The directory below which the command writes.
    pub const DIRECTORY: Operand = Operand::path("DIRECTORY", "Directory");

    /// The recovery target and its options.
    pub const POSITION: Operand = Operand {
        kind: MemberKind::EscapedText,
        ..Operand::text("POSITION", "Position").optional()
    };

    /// A required text.
    pub const fn text(name: &'static str, member: &'static str) -> Operand {
        Operand {
            name,
            member,
            kind: MemberKind::Text,
            words: &[],
            presence: Presence::Required,
        }
    }

    /// A required path.
    pub const fn path(name: &'static str, member: &'static str) -> Operand {
        let mut operand = Operand::text(name, member);
        operand.kind = MemberKind::Path;
        operand
    }

    /// The same, but it may be missing; its member is null then.
    pub const fn optional(mut self) -> Operand {
        self.presence = Presence::Optional;
        self
    }
}

impl CommandOption {
    /// A flag without a short name.
    pub const fn flag(
        long: &'static str,
        member: &'static str,
        help: &'static str,
    ) -> CommandOption {
        CommandOption {
            long,
            short: None,
            value: "",
            help,
            member,
            kind: MemberKind::Flag,
            words: &[],
        }
    }
}

impl PartialEq for Command {
    fn eq(&self, other: &Command) -> bool {
        self.code == other.code
    }
}

impl Eq for Command {}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
