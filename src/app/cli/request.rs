//! Builds the request of a command line.

use std::path::Path;

use super::arguments::Arguments;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::protocol::{Command, Members, Request, Restore, Sort, Value};

/// The request of the command line; paths are made absolute.
pub(super) fn request(arguments: &Arguments) -> Result<Request> {
    let spec = arguments.spec;
    let operand = |index: usize| arguments.operands.get(index).cloned();
    let required = |index: usize| operand(index).unwrap_or_default();
    Ok(match spec.command {
        Command::Backup => Request::Backup {
            server: required(0),
            parent: operand(1),
        },
        Command::ListBackup => Request::ListBackup {
            server: required(0),
            sort: match arguments.options.sort.as_deref() {
                Some(order) if order.starts_with("desc") => Sort::Descending,
                _ => Sort::Ascending,
            },
        },
        Command::Info => Request::Info {
            server: required(0),
            backup: required(1),
        },
        Command::Verify => verify(&arguments.operands)?,
        Command::Restore => Request::Restore(restore(arguments)?),
        Command::Progress => Request::Progress {
            server: required(0),
            command: required(1),
        },
        Command::WalBegin => Request::WalBegin {
            server: required(0),
        },
        Command::Status => Request::Status,
        Command::StatusDetails => Request::StatusDetails,
        Command::Shutdown => Request::Shutdown,
        Command::Ping => Request::Ping,
        command => Request::Other {
            command,
            members: passthrough_members(arguments)?,
        },
    })
}

/// The C client requires a directory before `failed` or `all`; here the directory is optional.
fn verify(operands: &[String]) -> Result<Request> {
    let operand = |index: usize| operands.get(index).cloned().unwrap_or_default();
    let (directory, files) = match operands.get(2..).unwrap_or_default() {
        [files] if matches!(files.as_str(), "failed" | "all") => (None, files.as_str()),
        [directory] => (Some(directory), "failed"),
        [directory, files] => (Some(directory), files.as_str()),
        _ => (None, "failed"),
    };
    if !matches!(files, "failed" | "all") {
        let message = format!("{files:?} is neither failed nor all");
        return Err(Error::new(ErrorKind::Usage, message));
    }
    Ok(Request::Verify {
        server: operand(0),
        backup: operand(1),
        directory: directory.map(|path| absolute(path)).transpose()?,
        all: files == "all",
    })
}

/// The members of a request that this version of the daemon does not implement, as the C client
/// sends them: the daemon may be the C program or another version.
fn passthrough_members(arguments: &Arguments) -> Result<Members> {
    let (operands, options) = (&arguments.operands, &arguments.options);
    let operand = |index: usize| {
        operands
            .get(index)
            .cloned()
            .map_or(Value::Null, Value::from)
    };
    let path = |index: usize| operands.get(index).map(|text| absolute(text)).transpose();
    let mut members = Members::new();
    let mut insert = |name: &str, value: Value| members.insert(name.to_owned(), value);
    let command = arguments.spec.command;
    if command.takes_server() {
        insert("Server", operand(0));
    }
    match command {
        Command::Archive => {
            let archive = restore(arguments)?;
            insert("Backup", archive.backup.into());
            insert("Position", archive.position.into());
            insert("Directory", archive.directory.into());
        }
        Command::Delete => {
            insert("Backup", operand(1));
            insert("Force", options.force.into());
        }
        Command::Retain | Command::Expunge => {
            insert("Backup", operand(1));
            insert("Cascade", options.cascade.into());
        }
        Command::Annotate => {
            for (index, name) in (1..).zip(["Backup", "Action", "Key", "Comment"]) {
                insert(name, operand(index));
            }
        }
        Command::Mode => {
            insert("Action", operand(1));
        }
        Command::ConfSet => {
            insert("ConfigKey", operand(0));
            insert("ConfigValue", operand(1));
        }
        Command::Decrypt | Command::Encrypt | Command::Decompress | Command::Compress => {
            insert("SourceFile", path(0)?.into());
        }
        Command::S3Ls if operands.len() > 1 => {
            insert("S3Prefix", operand(1));
        }
        Command::S3Restore => {
            let last = operands.len().saturating_sub(1);
            insert("S3Prefix", operand(1));
            insert("Position", if last > 2 { operand(2) } else { Value::Null });
            insert("Directory", path(last)?.into());
        }
        _ => {}
    }
    Ok(members)
}

fn restore(arguments: &Arguments) -> Result<Restore> {
    let (server, backup, position, directory) = match arguments.operands.as_slice() {
        [server, backup, position, directory] => (server, backup, Some(position), directory),
        [server, backup, directory] => (server, backup, None, directory),
        _ => {
            return Err(Error::new(
                ErrorKind::Usage,
                "restore takes a server, a backup, a position and a directory",
            ));
        }
    };
    let tablespaces = arguments.options.tablespaces.iter();
    let tablespaces: Result<Vec<_>> = tablespaces.map(|text| tablespace(text)).collect();
    Ok(Restore {
        server: server.clone(),
        backup: backup.clone(),
        position: position.cloned(),
        directory: absolute(directory)?,
        tablespaces: tablespaces?,
        keep_synchronous: arguments.options.keep_synchronous,
        archive_off: arguments.options.archive_mode.as_deref() == Some("off"),
        dry_run: arguments.options.dry_run,
    })
}

fn tablespace(text: &str) -> Result<(String, String)> {
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
    Ok((from.to_owned(), absolute(to)?))
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
    use serde_json::json;
    use std::ffi::OsString;

    fn parse(line: &str) -> Result<Request> {
        let line = format!("pgmoneta-cli {line}");
        let line = line.split(' ').map(OsString::from);
        request(&Arguments::parse(line).unwrap())
    }

    #[test]
    fn paths_of_a_restore_are_made_absolute() {
        let here = std::env::current_dir().unwrap();
        let expected = Restore {
            server: "primary".to_owned(),
            backup: "newest".to_owned(),
            position: Some("current".to_owned()),
            directory: here.join("new").to_str().unwrap().to_owned(),
            tablespaces: vec![(
                "/old=1".split('=').next().unwrap().to_owned(),
                here.join("ts").to_str().unwrap().to_owned(),
            )],
            keep_synchronous: true,
            archive_off: true,
            dry_run: false,
        };
        let line = "restore primary newest current new --tablespace /old=ts --archive-mode=off --keep-synchronous";
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
            let all = request.map(|request| matches!(request, Request::Verify { all: true, .. }));
            assert_eq!(all, expected, "{operands:?}");
        }
    }

    #[test]
    fn unimplemented_commands_are_sent_as_the_c_client_sends_them() {
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
                "archive primary newest current /a",
                json!({"Server": "primary", "Backup": "newest", "Position": "current", "Directory": "/a"}),
            ),
            (
                "annotate primary newest add k",
                json!({"Server": "primary", "Backup": "newest", "Action": "add", "Key": "k", "Comment": null}),
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
            ("compress /f", json!({"SourceFile": "/f"})),
            ("s3 ls primary", json!({"Server": "primary"})),
            (
                "s3 restore primary p /d",
                json!({"Server": "primary", "S3Prefix": "p", "Position": null, "Directory": "/d"}),
            ),
        ] {
            let request = parse(line).unwrap();
            assert_eq!(Value::Object(request.members()), members, "{line}");
        }
        let verify = parse("verify primary oldest /tmp/v").unwrap();
        assert_eq!(verify.members()["Directory"], "/tmp/v");
    }
}
