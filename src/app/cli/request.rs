//! From the command line to a request.

use std::path::Path;

use super::arguments::Arguments;
use crate::error::{Context, Failure, Kind, Result};
use crate::protocol::{Command, Members, Request, Restore, Sort, Value};

/// The request for a command line.
pub(super) fn request(arguments: &Arguments) -> Result<Request> {
    let row = arguments.row;
    let word = |index: usize| arguments.words.get(index).cloned();
    let needed = |index: usize| word(index).unwrap_or_default();
    Ok(match row.command {
        Command::Backup => Request::Backup {
            server: needed(0),
            parent: word(1),
        },
        Command::ListBackup => Request::ListBackup {
            server: needed(0),
            sort: match arguments.options.sort.as_deref() {
                Some(order) if order.starts_with("desc") => Sort::Descending,
                _ => Sort::Ascending,
            },
        },
        Command::Info => Request::Info {
            server: needed(0),
            backup: needed(1),
        },
        Command::Verify => verify(&arguments.words)?,
        Command::Restore => Request::Restore(restore(arguments)?),
        Command::Progress => Request::Progress {
            server: needed(0),
            command: needed(1),
        },
        Command::WalBegin => Request::WalBegin { server: needed(0) },
        Command::Status => Request::Status,
        Command::StatusDetails => Request::StatusDetails,
        Command::Shutdown => Request::Shutdown,
        Command::Ping => Request::Ping,
        command => Request::Other {
            command,
            members: other(arguments)?,
        },
    })
}

/// The C client wants a directory before `failed` or `all`; without one the word may stand alone.
fn verify(words: &[String]) -> Result<Request> {
    let word = |index: usize| words.get(index).cloned().unwrap_or_default();
    let (directory, files) = match words.get(2..).unwrap_or_default() {
        [word] if matches!(word.as_str(), "failed" | "all") => (None, word.as_str()),
        [directory] => (Some(directory), "failed"),
        [directory, word] => (Some(directory), word.as_str()),
        _ => (None, "failed"),
    };
    if !matches!(files, "failed" | "all") {
        let message = format!("{files:?} is neither failed nor all");
        return Err(Failure::new(Kind::Usage, message));
    }
    Ok(Request::Verify {
        server: word(0),
        backup: word(1),
        directory: directory.map(|path| absolute(path)).transpose()?,
        all: files == "all",
    })
}

/// The members of a request that this version only passes on, as the C client sends them: the daemon may be another one
/// than ours.
fn other(arguments: &Arguments) -> Result<Members> {
    let (words, options) = (&arguments.words, &arguments.options);
    let word = |index: usize| words.get(index).cloned().map_or(Value::Null, Value::from);
    let path = |index: usize| words.get(index).map(|text| absolute(text)).transpose();
    let mut members = Members::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    let command = arguments.row.command;
    if command.is_of_server() {
        put("Server", word(0));
    }
    match command {
        Command::Archive => {
            let archive = restore(arguments)?;
            put("Backup", archive.backup.into());
            put("Position", archive.position.into());
            put("Directory", archive.directory.into());
        }
        Command::Delete => {
            put("Backup", word(1));
            put("Force", options.force.into());
        }
        Command::Retain | Command::Expunge => {
            put("Backup", word(1));
            put("Cascade", options.cascade.into());
        }
        Command::Annotate => {
            for (index, name) in (1..).zip(["Backup", "Action", "Key", "Comment"]) {
                put(name, word(index));
            }
        }
        Command::Mode => {
            put("Action", word(1));
        }
        Command::ConfSet => {
            put("ConfigKey", word(0));
            put("ConfigValue", word(1));
        }
        Command::Decrypt | Command::Encrypt | Command::Decompress | Command::Compress => {
            put("SourceFile", path(0)?.into());
        }
        Command::S3Ls if words.len() > 1 => {
            put("S3Prefix", word(1));
        }
        Command::S3Restore => {
            let last = words.len().saturating_sub(1);
            put("S3Prefix", word(1));
            put("Position", if last > 2 { word(2) } else { Value::Null });
            put("Directory", path(last)?.into());
        }
        _ => {}
    }
    Ok(members)
}

fn restore(arguments: &Arguments) -> Result<Restore> {
    let (server, backup, position, directory) = match arguments.words.as_slice() {
        [server, backup, position, directory] => (server, backup, Some(position), directory),
        [server, backup, directory] => (server, backup, None, directory),
        _ => {
            return Err(Failure::new(
                Kind::Usage,
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
    let wrong = || {
        Failure::new(
            Kind::Usage,
            format!("--tablespace {text:?} is not NAME=NEWPATH, OID=NEWPATH or PATH=NEWPATH"),
        )
        .hint("such as --tablespace 16384=/fast/new")
    };
    let (from, to) = text.split_once('=').ok_or_else(wrong)?;
    if from.is_empty() || to.is_empty() {
        return Err(wrong());
    }
    Ok((from.to_owned(), absolute(to)?))
}

/// The daemon works in another directory than we do.
fn absolute(path: &str) -> Result<String> {
    if path.is_empty() {
        return Err(Failure::new(Kind::Usage, "the directory is empty"));
    }
    let path = std::path::absolute(Path::new(path)).context("find the working directory")?;
    path.into_os_string()
        .into_string()
        .map_err(|_| Failure::new(Kind::Usage, "the directory is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::ffi::OsString;

    fn of(line: &str) -> Result<Request> {
        let line = format!("pgmoneta-cli {line}");
        let line = line.split(' ').map(OsString::from);
        request(&Arguments::parse(line).unwrap())
    }

    #[test]
    fn a_restore_has_absolute_directories() {
        let here = std::env::current_dir().unwrap();
        let wanted = Restore {
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
        assert_eq!(of(line).unwrap(), Request::Restore(wanted));
        assert!(of("restore primary newest new --tablespace 16384").is_err());
        assert!(of("restore primary newest new --tablespace =x").is_err());
    }

    #[test]
    fn verify_takes_what_the_c_client_takes_and_less() {
        for (words, wanted) in [
            ("", Some(false)),
            (" all", Some(true)),
            (" failed", Some(false)),
            (" /tmp", Some(false)),
            (" /tmp all", Some(true)),
            (" /tmp failed", Some(false)),
            (" /tmp nonsense", None),
        ] {
            let request = of(&format!("verify primary newest{words}")).ok();
            let all = request.map(|request| matches!(request, Request::Verify { all: true, .. }));
            assert_eq!(all, wanted, "{words:?}");
        }
    }

    #[test]
    fn what_another_daemon_can_do_is_sent_as_the_c_client_does() {
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
            let request = of(line).unwrap();
            assert_eq!(Value::Object(request.members()), members, "{line}");
        }
        let verify = of("verify primary oldest /tmp/v").unwrap();
        assert_eq!(verify.members()["Directory"], "/tmp/v");
    }
}
