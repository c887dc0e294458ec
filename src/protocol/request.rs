//! What a request asks, typed.

use serde_json::Value;

use super::envelope::wrong_type;
use super::{Command, Members};
use crate::error::{Failure, Kind, Result};

/// The longest text that a request may carry, in bytes: `PATH_MAX` of Linux.
const LONGEST_TEXT: usize = 4096;

/// The order of a list of backups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// What to restore, from where, to where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restore {
    /// The server, unchecked.
    pub server: String,
    /// A label, a prefix of one, `oldest`, `newest` or `latest`.
    pub backup: String,
    /// The recovery target and its modifiers, separated by commas.
    pub position: Option<String>,
    /// The directory below which the cluster is made.
    pub directory: String,
    /// Where tablespaces go: name, OID or old path, and new path. The C program does not know it.
    pub tablespaces: Vec<(String, String)>,
    /// Whether `synchronous_standby_names` stays as it was. The C program does not know it.
    pub keep_synchronous: bool,
    /// Whether the restored server does not archive its WAL. The C program does not know it.
    pub archive_off: bool,
    /// Whether to say what would be done, and do nothing. The C program does not know it.
    pub dry_run: bool,
}

/// What a request asks. Names of servers and backups are texts that nobody checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A sign of life.
    Ping,
    /// Stop the daemon.
    Shutdown,
    /// Show all servers.
    Status,
    /// Show all servers and their backups.
    StatusDetails,
    /// Take a backup of the server.
    Backup {
        /// The server.
        server: String,
        /// The backup to build on; none for a full one.
        parent: Option<String>,
    },
    /// List the backups of the server.
    ListBackup {
        /// The server.
        server: String,
        /// The order.
        sort: Sort,
    },
    /// Restore a backup.
    Restore(Restore),
    /// Show one backup.
    Info {
        /// The server.
        server: String,
        /// The backup.
        backup: String,
    },
    /// Check one backup.
    Verify {
        /// The server.
        server: String,
        /// The backup.
        backup: String,
        /// The directory that the C program checks in; this one does not need it.
        directory: Option<String>,
        /// Whether to list the good files too.
        all: bool,
    },
    /// Say how far the operation on the server has come.
    Progress {
        /// The server.
        server: String,
        /// The command that is asked for; any if it is none of ours.
        command: String,
    },
    /// Let the WAL archive of the server begin.
    WalBegin {
        /// The server.
        server: String,
    },
    /// A command of the C program that this version cannot do, with the members of its request.
    Other {
        /// The command.
        command: Command,
        /// What it is asked.
        members: Members,
    },
}

impl Request {
    /// Types the members of a request. Members that the command does not know are fine.
    pub fn read(command: Command, members: &Members) -> Result<Request> {
        let fields = Fields(members);
        let server = || Ok::<_, Failure>(fields.text("Server")?.unwrap_or_default());
        let backup = || Ok::<_, Failure>(fields.text("Backup")?.unwrap_or_default());
        Ok(match command {
            Command::Ping => Request::Ping,
            Command::Shutdown => Request::Shutdown,
            Command::Status => Request::Status,
            Command::StatusDetails => Request::StatusDetails,
            Command::Backup => Request::Backup {
                server: server()?,
                parent: fields.text("Backup")?,
            },
            Command::ListBackup => Request::ListBackup {
                server: server()?,
                sort: sort(fields.text("Sort")?.as_deref())?,
            },
            Command::Restore => Request::Restore(fields.restore(server()?, backup()?)?),
            Command::Info => Request::Info {
                server: server()?,
                backup: backup()?,
            },
            Command::Verify => Request::Verify {
                server: server()?,
                backup: backup()?,
                directory: fields.text("Directory")?,
                all: fields
                    .text("Files")?
                    .is_some_and(|files| files.eq_ignore_ascii_case("all")),
            },
            Command::Progress => Request::Progress {
                server: server()?,
                command: fields.text("Command")?.unwrap_or_default(),
            },
            Command::WalBegin => Request::WalBegin { server: server()? },
            other => Request::Other {
                command: other,
                members: members.clone(),
            },
        })
    }

    /// The command.
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

    /// The members of the request, as the C client sends them; ours are there only if they say something.
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

/// The C client checks the first letters only and sends the rest along.
fn sort(text: Option<&str>) -> Result<Sort> {
    match text {
        None => Ok(Sort::Ascending),
        Some(text) if text.starts_with("asc") => Ok(Sort::Ascending),
        Some(text) if text.starts_with("desc") => Ok(Sort::Descending),
        Some(_) => Err(Failure::new(Kind::Usage, "Sort is neither asc nor desc")),
    }
}

/// Typed access to the members of a request.
struct Fields<'a>(&'a Members);

impl Fields<'_> {
    /// A text; the C program cannot tell an empty one from none.
    fn text(&self, name: &str) -> Result<Option<String>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => checked(name, text),
            Some(_) => Err(wrong_type(name, "a text")),
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
        let wrong = || wrong_type("Tablespaces", "an object of texts");
        match self.0.get("Tablespaces") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Object(map)) => map
                .iter()
                .map(|(from, to)| {
                    let to = to.as_str().ok_or_else(wrong)?;
                    let text =
                        |text| Ok::<_, Failure>(checked("Tablespaces", text)?.unwrap_or_default());
                    Ok((text(from)?, text(to)?))
                })
                .collect(),
            Some(_) => Err(wrong()),
        }
    }
}

fn checked(name: &str, text: &str) -> Result<Option<String>> {
    if text.len() > LONGEST_TEXT {
        return Err(Failure::new(
            Kind::Protocol,
            format!("{name} is longer than {LONGEST_TEXT} bytes"),
        ));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}
