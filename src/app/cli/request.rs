//! Builds the request of a command line.

use std::path::Path;

use super::arguments::Arguments;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::protocol::{CommandOption, MemberKind, Members, Operand, Presence, Request, Value};

/// The request of the command line; paths are made absolute.
pub(super) fn request(arguments: &Arguments) -> Result<Request> {
    Request::read(arguments.command, &members(arguments)?)
}

/// The members of the request, as the rows of the operands and options say.
fn members(arguments: &Arguments) -> Result<Members> {
    let mut members = Members::new();
    for row in arguments.command.operands {
        if row.presence != Presence::Omitted {
            members.insert(row.member.to_owned(), Value::Null);
        }
    }
    for (row, text) in &arguments.operands {
        members.insert(row.member.to_owned(), operand(row, text)?.into());
    }
    for row in arguments.command.options {
        let set = arguments.own.iter().find(|(own, _)| *own == row);
        let value = match (row.kind, set) {
            (MemberKind::Flag, set) => set.is_some().into(),
            (_, None) => continue,
            (_, Some((row, values))) => option(row, values)?,
        };
        members.insert(row.member.to_owned(), value);
    }
    // Of operands that are not sent.
    members.remove("");
    Ok(members)
}

fn operand(row: &Operand, text: &str) -> Result<String> {
    if !row.words.is_empty() && !row.words.contains(&text) {
        let message = format!("{text:?} is neither {}", row.words.join(" nor "));
        return Err(Error::new(ErrorKind::Usage, message));
    }
    match row.kind {
        MemberKind::Path => absolute(text),
        _ => Ok(text.to_owned()),
    }
}

fn option(row: &CommandOption, values: &[String]) -> Result<Value> {
    match row.kind {
        MemberKind::Tablespaces => {
            let tablespaces = values.iter().map(|text| tablespace(text));
            let tablespaces: Result<Members> = tablespaces.collect();
            Ok(Value::Object(tablespaces?))
        }
        _ => Ok(values.concat().into()),
    }
}

fn tablespace(text: &str) -> Result<(String, Value)> {
    let invalid = || {
        Error::new(
            ErrorKind::Usage,
            format!("--tablespace {text:?} is not NAME=NEWPATH, OID=NEWPATH or PATH=NEWPATH"),
        )
        .with_hint("for example --tablespace 16384=/fast/new")
    };
    let (from, to) = text.split_once('=').ok_or_else(invalid)?;
    if from.is_empty() || to.is_empty() {
        return Err(invalid());
    }
    Ok((from.to_owned(), absolute(to)?.into()))
}

/// Makes a path absolute: the working directory of the daemon is another one.
fn absolute(path: &str) -> Result<String> {
    if path.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "the directory is empty"));
    }
    let path = std::path::absolute(Path::new(path)).context("find the working directory")?;
    path.into_os_string()
        .into_string()
        .map_err(|_| Error::new(ErrorKind::Usage, "the directory is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{
        ArchiveMode, COMMANDS, Cause, Codec, Command, CommandOption, Envelope, ErrorCodes, Files,
        Output, RestoreRequest, error_code,
    };
    use serde_json::json;
    use std::ffi::OsString;

    fn parse(line: &str) -> Result<Request> {
        let line = format!("pgmoneta-cli {line}");
        let line = line.split(' ').map(OsString::from);
        request(&Arguments::parse(COMMANDS, line).unwrap())
    }

    #[test]
    fn paths_of_a_restore_are_made_absolute() {
        let here = std::env::current_dir().unwrap();
        let expected = RestoreRequest {
            server: "primary".to_owned(),
            backup: "newest".to_owned(),
            position: Some("current".to_owned()),
            directory: here.join("new").to_str().unwrap().to_owned(),
            tablespaces: [(
                "/old=1".split('=').next().unwrap().to_owned(),
                here.join("ts").to_str().unwrap().to_owned(),
            )]
            .into(),
            keep_synchronous: true,
            archive_mode: ArchiveMode::Off,
            dry_run: false,
        };
        let line = "restore primary newest current new --tablespace /old=ts \
            --archive-mode=off --keep-synchronous";
        assert_eq!(parse(line).unwrap(), Request::Restore(expected));
        assert!(parse("restore primary newest new --tablespace 16384").is_err());
        assert!(parse("restore primary newest new --tablespace =x").is_err());
    }

    #[test]
    fn verify_accepts_the_operands_of_the_c_client_and_fewer() {
        for (operands, expected) in [
            ("", Some(false)),
            (" all", Some(true)),
            (" failed", Some(false)),
            (" /tmp", Some(false)),
            (" /tmp all", Some(true)),
            (" /tmp failed", Some(false)),
            (" /tmp nonsense", None),
        ] {
            let request = parse(&format!("verify primary newest{operands}")).ok();
            let all = request.map(
                |request| matches!(request, Request::Verify(verify) if verify.files == Files::All),
            );
            assert_eq!(all, expected, "{operands:?}");
        }
    }

    #[test]
    fn unimplemented_commands_are_sent_as_the_c_client_sends_them() {
        for (line, members) in [
            (
                "archive primary newest current /a",
                json!({
                    "Server": "primary", "Backup": "newest", "Position": "current",
                    "Directory": "/a"
                }),
            ),
            (
                "mode primary offline",
                json!({"Server": "primary", "Action": "offline"}),
            ),
            (
                "conf set log_level debug",
                json!({"ConfigKey": "log_level", "ConfigValue": "debug"}),
            ),
            ("conf get", json!({})),
            ("s3 ls primary", json!({"Server": "primary"})),
            (
                "s3 restore primary p /d",
                json!({"Server": "primary", "S3Prefix": "p", "Position": null, "Directory": "/d"}),
            ),
        ] {
            let request = parse(line).unwrap();
            assert_eq!(Value::Object(request.members().unwrap()), members, "{line}");
        }
        let verify = parse("verify primary oldest /tmp/v").unwrap();
        assert_eq!(verify.members().unwrap()["Directory"], "/tmp/v");
    }

    #[test]
    fn changes_of_backups_are_sent_as_the_c_client_sends_them() {
        for (line, members) in [
            (
                "delete primary oldest --force",
                json!({"Server": "primary", "Backup": "oldest", "Force": true}),
            ),
            (
                "retain primary newest",
                json!({"Server": "primary", "Backup": "newest", "Cascade": false}),
            ),
            (
                "expunge --cascade primary newest",
                json!({"Server": "primary", "Backup": "newest", "Cascade": true}),
            ),
            (
                "annotate primary newest remove k",
                json!({
                    "Server": "primary", "Backup": "newest", "Action": "remove", "Key": "k",
                    "Comment": null
                }),
            ),
        ] {
            let request = parse(line).unwrap();
            assert_eq!(Value::Object(request.members().unwrap()), members, "{line}");
        }
    }

    static LABEL: Command = Command {
        words: ("wal", Some("label")),
        name: "wal label",
        operands: &[
            Operand::SERVER,
            Operand::text("TEXT", "Text").optional(),
            Operand::DIRECTORY,
        ],
        options: &[CommandOption::flag("quiet", "Quiet", "Print nothing")],
        code: 12_345,
        errors: ErrorCodes::per_server(7, 8),
        ..Command::BASE
    };

    /// A row is all that the client needs to send a request, and the daemon to decode it.
    #[test]
    fn a_command_line_becomes_a_request_as_its_row_says() {
        let table = [COMMANDS, &[&LABEL]].concat();
        for (line, members) in [
            (
                "--quiet wal label primary /d",
                json!({"Server": "primary", "Text": null, "Directory": "/d", "Quiet": true}),
            ),
            (
                "wal label primary text /d",
                json!({"Server": "primary", "Text": "text", "Directory": "/d", "Quiet": false}),
            ),
        ] {
            let line = format!("pgmoneta-cli {line}");
            let line = line.split(' ').map(OsString::from);
            let request = request(&Arguments::parse(&table, line).unwrap()).unwrap();
            let sent = request.members().unwrap();
            let sent = Envelope::new(request.command(), sent, Codec::PLAIN, Output::Text);
            let read = Envelope::read(&sent.text().unwrap()).unwrap();
            assert_eq!(Command::find(&table, read.code()), Some(&LABEL));
            assert_eq!(Value::Object(read.request().clone()), members);
        }
        assert!(LABEL.takes_server());
        assert_eq!(error_code(Some(&LABEL), Cause::UnknownServer), 7);
    }
}
