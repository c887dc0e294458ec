//! From the command line to a request.

use std::path::Path;

use super::arguments::Arguments;
use crate::error::{Context, Failure, Kind, Result};
use crate::protocol::{Command, Request, Restore, Sort, VERSION};

/// The request for a command line.
pub(super) fn request(arguments: &Arguments) -> Result<Request> {
    let row = arguments.row;
    if !row.there {
        let name = row.name();
        return Err(Failure::new(
            Kind::Internal,
            format!("{name} is not there yet in version {VERSION}"),
        ));
    }
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
        Command::Verify => Request::Verify {
            server: needed(0),
            backup: needed(1),
            all: all_files(&arguments.words)?,
        },
        Command::Restore => Request::Restore(restore(arguments)?),
        Command::Progress => Request::Progress {
            server: needed(0),
            command: needed(1),
        },
        Command::Status => Request::Status,
        Command::StatusDetails => Request::StatusDetails,
        Command::Shutdown => Request::Shutdown,
        Command::Ping => Request::Ping,
        other => Request::NotYet(other),
    })
}

/// The C client wants a directory before `failed` or `all`; without one the word may stand alone.
fn all_files(words: &[String]) -> Result<bool> {
    match words.get(2..).unwrap_or_default() {
        [word] | [_, word] if word == "all" => Ok(true),
        [_, word] if word != "failed" => Err(Failure::new(
            Kind::Usage,
            format!("{word:?} is neither failed nor all"),
        )),
        _ => Ok(false),
    }
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
        dry_run: arguments.options.dry_run,
    })
}

fn tablespace(text: &str) -> Result<(String, String)> {
    let wrong = || {
        Failure::new(
            Kind::Usage,
            format!("--tablespace {text:?} is not OID=NEWPATH or PATH=NEWPATH"),
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
            dry_run: false,
        };
        let line = "restore primary newest current new --tablespace /old=ts";
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
    fn what_is_not_there_yet_says_so() {
        let failure = of("delete primary oldest").unwrap_err();
        assert_eq!(
            failure.message(),
            format!("delete is not there yet in version {VERSION}")
        );
    }
}
