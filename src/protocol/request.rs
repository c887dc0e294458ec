//! The requests, with their members in typed form.

use serde_json::Value;

use super::envelope::wrong_type;
use super::{Command, Members};
use crate::error::{Error, ErrorKind, Result};

/// The maximum length of a string in a request, in bytes: `PATH_MAX` of Linux.
const MAX_STRING: usize = 4096;

/// The order of a list of backups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// A request to restore a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restore {
    /// The name of the server, unchecked.
    pub server: String,
    /// A label, a prefix of one, `oldest`, `newest` or `latest`.
    pub backup: String,
    /// The recovery target and its options, separated by commas; `None` is the end of the backup.
    pub position: Option<String>,
    /// The directory in which the data directory is created.
    pub directory: String,
    /// The tablespaces to relocate: name, OID or old path, and new path. The C program does not
    /// have it.
    pub tablespaces: Vec<(String, String)>,
    /// Whether `synchronous_standby_names` is kept. The C program does not have it.
    pub keep_synchronous: bool,
    /// Whether `archive_mode` is turned off. The C program does not have it.
    pub archive_off: bool,
    /// Whether to respond with the plan only and write nothing. The C program does not have it.
    pub dry_run: bool,
}

/// A request. The names of servers and backups are unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Check whether the daemon is running.
    Ping,
    /// Stop the daemon.
    Shutdown,
    /// Show all servers.
    Status,
    /// Show all servers and their backups.
    StatusDetails,
    /// Take a backup of the server.
    Backup {
        /// The name of the server.
        server: String,
        /// The parent of an incremental backup; `None` for a full one.
        parent: Option<String>,
    },
    /// List the backups of the server.
    ListBackup {
        /// The name of the server.
        server: String,
        /// The order of the list.
        sort: Sort,
    },
    /// Restore a backup.
    Restore(Restore),
    /// Show one backup.
    Info {
        /// The name of the server.
        server: String,
        /// A label, a prefix of one, `oldest`, `newest` or `latest`.
        backup: String,
    },
    /// Verify one backup.
    Verify {
        /// The name of the server.
        server: String,
        /// A label, a prefix of one, `oldest`, `newest` or `latest`.
        backup: String,
        /// The directory to which the C program restores the backup first; ignored here.
        directory: Option<String>,
        /// Whether to list the good files too.
        all: bool,
    },
    /// Show the progress of the operation on the server.
    Progress {
        /// The name of the server.
        server: String,
        /// The command of the operation; any operation if it is unknown.
        command: String,
    },
    /// Allow a new WAL archive of the server.
    WalBegin {
        /// The name of the server.
        server: String,
    },
    /// A command that this version does not implement.
    Other {
        /// The command, which no other variant has.
        command: Command,
        /// The members of the request, unchecked.
        members: Members,
    },
}

impl Request {
    /// Parses the members of a request. Unknown members are ignored.
    pub fn read(command: Command, members: &Members) -> Result<Request> {
        let reader = MemberReader(members);
        let server = || Ok::<_, Error>(reader.text("Server")?.unwrap_or_default());
        let backup = || Ok::<_, Error>(reader.text("Backup")?.unwrap_or_default());
        Ok(match command {
            Command::Ping => Request::Ping,
            Command::Shutdown => Request::Shutdown,
            Command::Status => Request::Status,
            Command::StatusDetails => Request::StatusDetails,
            Command::Backup => Request::Backup {
                server: server()?,
                parent: reader.text("Backup")?,
            },
            Command::ListBackup => Request::ListBackup {
                server: server()?,
                sort: sort(reader.text("Sort")?.as_deref())?,
            },
            Command::Restore => Request::Restore(reader.restore(server()?, backup()?)?),
            Command::Info => Request::Info {
                server: server()?,
                backup: backup()?,
            },
            Command::Verify => Request::Verify {
                server: server()?,
                backup: backup()?,
                directory: reader.text("Directory")?,
                all: reader
                    .text("Files")?
                    .is_some_and(|files| files.eq_ignore_ascii_case("all")),
            },
            Command::Progress => Request::Progress {
                server: server()?,
                command: reader.text("Command")?.unwrap_or_default(),
            },
            Command::WalBegin => Request::WalBegin { server: server()? },
            other => Request::Other {
                command: other,
                members: members.clone(),
            },
        })
    }

    /// The command of the request.
    pub fn command(&self) -> Command {
        match self {
            Request::Ping => Command::Ping,
            Request::Shutdown => Command::Shutdown,
            Request::Status => Command::Status,
            Request::StatusDetails => Command::StatusDetails,
            Request::Backup { .. } => Command::Backup,
            Request::ListBackup { .. } => Command::ListBackup,
            Request::Restore(_) => Command::Restore,
            Request::Info { .. } => Command::Info,
            Request::Verify { .. } => Command::Verify,
            Request::Progress { .. } => Command::Progress,
            Request::WalBegin { .. } => Command::WalBegin,
            Request::Other { command, .. } => *command,
        }
    }

    /// The members of the request, as the C client sends them. Members that the C program does not
    /// have are added only if they are set.
    pub fn members(&self) -> Members {
        let mut members = Members::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        match self {
            Request::Backup { server, parent } => {
                put("Server", server.as_str().into());
                put("Backup", parent.as_deref().into());
            }
            Request::ListBackup { server, sort } => {
                put("Server", server.as_str().into());
                let ascending = *sort == Sort::Ascending;
                put("Sort", if ascending { "asc" } else { "desc" }.into());
            }
            Request::Restore(restore) => {
                put("Server", restore.server.as_str().into());
                put("Backup", restore.backup.as_str().into());
                put("Position", restore.position.as_deref().into());
                put("Directory", restore.directory.as_str().into());
                if !restore.tablespaces.is_empty() {
                    let map = restore.tablespaces.iter();
                    let map = map.map(|(from, to)| (from.clone(), Value::from(to.as_str())));
                    put("Tablespaces", Value::Object(map.collect()));
                }
                if restore.keep_synchronous {
                    put("KeepSynchronous", true.into());
                }
                if restore.archive_off {
                    put("ArchiveMode", "off".into());
                }
                if restore.dry_run {
                    put("DryRun", true.into());
                }
            }
            Request::Info { server, backup } => {
                put("Server", server.as_str().into());
                put("Backup", backup.as_str().into());
            }
            Request::Verify {
                server,
                backup,
                directory,
                all,
            } => {
                put("Server", server.as_str().into());
                put("Backup", backup.as_str().into());
                put("Directory", directory.as_deref().into());
                put("Files", if *all { "all" } else { "failed" }.into());
            }
            Request::Progress { server, command } => {
                put("Server", server.as_str().into());
                put("Command", command.as_str().into());
            }
            Request::WalBegin { server } => {
                put("Server", server.as_str().into());
            }
            Request::Other {
                members: others, ..
            } => return others.clone(),
            Request::Ping | Request::Shutdown | Request::Status | Request::StatusDetails => {}
        }
        members
    }
}

/// The C client checks the first letters only and sends the string unchanged.
fn sort(text: Option<&str>) -> Result<Sort> {
    match text {
        None => Ok(Sort::Ascending),
        Some(text) if text.starts_with("asc") => Ok(Sort::Ascending),
        Some(text) if text.starts_with("desc") => Ok(Sort::Descending),
        Some(_) => Err(Error::new(ErrorKind::Usage, "Sort is neither asc nor desc")),
    }
}

/// Typed access to the members of a request.
struct MemberReader<'a>(&'a Members);

impl MemberReader<'_> {
    /// A string; an empty one is `None`, since the C program does not distinguish them.
    fn text(&self, name: &str) -> Result<Option<String>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => check_length(name, text),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong_type(name, "true or false")),
        }
    }

    fn restore(&self, server: String, backup: String) -> Result<Restore> {
        Ok(Restore {
            server,
            backup,
            position: self.text("Position")?,
            directory: self.text("Directory")?.unwrap_or_default(),
            tablespaces: self.tablespaces()?,
            keep_synchronous: self.flag("KeepSynchronous")?,
            archive_off: match self.text("ArchiveMode")?.as_deref() {
                None | Some("preserve") => false,
                Some("off") => true,
                Some(_) => return Err(wrong_type("ArchiveMode", "off or preserve")),
            },
            dry_run: self.flag("DryRun")?,
        })
    }

    fn tablespaces(&self) -> Result<Vec<(String, String)>> {
        let invalid = || wrong_type("Tablespaces", "an object of strings");
        match self.0.get("Tablespaces") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Object(map)) => map
                .iter()
                .map(|(from, to)| {
                    let to = to.as_str().ok_or_else(invalid)?;
                    let text = |text| {
                        Ok::<_, Error>(check_length("Tablespaces", text)?.unwrap_or_default())
                    };
                    Ok((text(from)?, text(to)?))
                })
                .collect(),
            Some(_) => Err(invalid()),
        }
    }
}

/// The string, or `None` if it is empty.
fn check_length(name: &str, text: &str) -> Result<Option<String>> {
    if text.len() > MAX_STRING {
        return Err(Error::new(
            ErrorKind::Protocol,
            format!("{name} is longer than {MAX_STRING} bytes"),
        ));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}
