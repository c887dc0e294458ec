//! The command line of `pgmoneta-admin`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::VERSION;
use crate::config::FileOptions;

/// A command of `pgmoneta-admin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// `master-key`: create the master key.
    CreateMasterKey,
    /// `user add`.
    AddUser,
    /// `user edit`: change the password of a user.
    EditUser,
    /// `user del`.
    RemoveUser,
    /// `user ls`.
    ListUsers,
    /// `repository create`.
    CreateRepository,
}

impl Action {
    /// The member `Command` of the document.
    pub(super) fn code(self) -> u32 {
        match self {
            Action::CreateMasterKey => 100,
            Action::AddUser => 101,
            Action::EditUser => 102,
            Action::RemoveUser => 103,
            Action::ListUsers => 104,
            // The C program has no such command.
            Action::CreateRepository => 1100,
        }
    }
}

/// The output format of `-F`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// One line of text.
    #[default]
    Text,
    /// A JSON document.
    Json,
}

/// The parsed command line.
pub(super) struct Arguments {
    /// The command to run.
    pub action: Action,
    /// The users file; empty for the actions that are not on users.
    pub file: PathBuf,
    /// The directory of the new repository; `base_dir` of the configuration if `None`.
    pub repository: Option<PathBuf>,
    /// The configuration of the daemon that is named, and the directory to search.
    pub files: FileOptions,
    /// The user name of `-U`.
    pub user: Option<String>,
    /// The password or master key of `-P`.
    pub password: Option<String>,
    /// Whether to generate the password or master key.
    pub generate: bool,
    /// The length of a generated one, in characters, 1 to 1024.
    pub length: u16,
    /// The output format of `-F`.
    pub format: Format,
}

impl Arguments {
    /// Parses the command line; `--help` and `--version` are returned as errors with exit status 0.
    pub(super) fn parse(
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<Arguments, clap::Error> {
        let matches = command().try_get_matches_from(arguments)?;
        let missing = || command().error(ErrorKind::MissingSubcommand, "a command is missing");
        let (action, matches) = action(&matches).ok_or_else(missing)?;
        let file = matches.get_one::<PathBuf>("file").cloned();
        if file.is_none() && !matches!(action, Action::CreateMasterKey | Action::CreateRepository) {
            let message = "the users file is missing: -f FILE";
            return Err(command().error(ErrorKind::MissingRequiredArgument, message));
        }
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let path = |name: &str| match matches.try_get_one::<PathBuf>(name) {
            Ok(path) => path.cloned(),
            // Only `repository create` has this option.
            Err(_) => None,
        };
        Ok(Arguments {
            action,
            file: file.unwrap_or_default(),
            repository: path("repository"),
            files: FileOptions {
                main: path("config"),
                directory: path("directory"),
                ..FileOptions::default()
            },
            user: text("user"),
            password: text("password"),
            generate: matches.get_flag("generate"),
            length: matches.get_one("length").copied().unwrap_or(64),
            format: match text("format").as_deref() {
                Some("json") => Format::Json,
                _ => Format::Text,
            },
        })
    }
}

fn action(matches: &ArgMatches) -> Option<(Action, &ArgMatches)> {
    let (name, inner) = matches.subcommand()?;
    if name == "master-key" {
        return Some((Action::CreateMasterKey, inner));
    }
    let (name, inner) = inner.subcommand()?;
    let action = match name {
        "add" => Action::AddUser,
        "edit" => Action::EditUser,
        "del" => Action::RemoveUser,
        "create" => Action::CreateRepository,
        _ => Action::ListUsers,
    };
    Some((action, inner))
}

/// The command line, for the parser and for the help.
pub fn command() -> Command {
    let subcommand = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let users = Command::new("user")
        .about("Manage the users of a users or admins file (-f)")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(subcommand(
            "add",
            "Add a user; the file is created if it does not exist",
        ))
        .subcommand(subcommand("edit", "Change the password of a user"))
        .subcommand(subcommand("del", "Remove a user"))
        .subcommand(subcommand("ls", "List the users"));
    let key = subcommand(
        "master-key",
        "Create the master key, $HOME/.pgmoneta/master.key; an existing one is never replaced",
    );
    Command::new("pgmoneta-admin")
        .version(VERSION)
        .about("Creates the master key and the repository, and manages users and their passwords")
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .arg_required_else_help(true)
        .subcommand_required(true)
        .subcommand(key)
        .subcommand(users)
        .subcommand(repository())
        .args(options())
        .after_help(
            "A password comes from -P, else -g, else the environment variable PGMONETA_PASSWORD,\n\
             else a prompt.\n\
             Exit status: 0 for success, 1 if the operation failed, 2 for a wrong command line.",
        )
}

fn repository() -> Command {
    let path = |name: &'static str| {
        Arg::new(name)
            .value_parser(PathBufValueParser::new())
            .overrides_with(name)
    };
    let create = Command::new("create")
        .about("Create the repository in base_dir of the configuration or in DIRECTORY")
        .arg(
            path("repository")
                .value_name("DIRECTORY")
                .help("The directory; it must be empty or missing"),
        )
        .arg(
            path("config")
                .short('c')
                .long("config")
                .value_name("FILE")
                .help("The configuration file of the daemon"),
        )
        .arg(
            path("directory")
                .short('D')
                .long("directory")
                .value_name("DIRECTORY")
                .help("The directory to search for it first [env: PGMONETA_CONFIG_DIR]"),
        );
    Command::new("repository")
        .about("Create the repository, once; the daemon does not start without it")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(create)
}

fn options() -> [Arg; 8] {
    let option = |name: &'static str, short: char, value: &'static str, help: &'static str| {
        Arg::new(name)
            .short(short)
            .long(name)
            .value_name(value)
            .help(help)
            .global(true)
            .overrides_with(name)
    };
    [
        option("file", 'f', "FILE", "The users or admins file")
            .value_parser(PathBufValueParser::new()),
        option("user", 'U', "NAME", "The user name"),
        option(
            "password",
            'P',
            "PASSWORD",
            "The password or master key; visible in the process list",
        )
        .allow_hyphen_values(true),
        Arg::new("generate")
            .short('g')
            .long("generate")
            .help("Generate a password or master key")
            .action(ArgAction::SetTrue)
            .global(true)
            .overrides_with("generate"),
        option(
            "length",
            'l',
            "NUMBER",
            "The length of what is generated, 1 to 1024 [default: 64]",
        )
        .value_parser(value_parser!(u16).range(1..=1024)),
        option("format", 'F', "FORMAT", "The output format [default: text]")
            .value_parser(["text", "json"]),
        Arg::new("version")
            .short('V')
            .long("version")
            .help("Print the version")
            .action(ArgAction::Version),
        Arg::new("help")
            .short('?')
            .long("help")
            .help("Print help")
            .action(ArgAction::Help)
            .global(true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn options_are_accepted_before_and_after_the_command() {
        command().debug_assert();
        for line in [
            "pgmoneta-admin -f /x -U u -P -p -F json user add",
            "pgmoneta-admin user -f /x --user=u add -P-p --format json",
            "pgmoneta-admin user add --file=/x -U u --password -p -F text -F json",
        ] {
            let arguments = parse(line).unwrap();
            assert_eq!(arguments.action, Action::AddUser, "{line}");
            assert_eq!(arguments.file, PathBuf::from("/x"), "{line}");
            assert_eq!(arguments.user.as_deref(), Some("u"), "{line}");
            assert_eq!(arguments.password.as_deref(), Some("-p"), "{line}");
            assert_eq!(arguments.format, Format::Json, "{line}");
            assert_eq!(
                (arguments.generate, arguments.length),
                (false, 64),
                "{line}"
            );
        }
        let arguments = parse("pgmoneta-admin master-key -g -l 1024").unwrap();
        assert_eq!(arguments.action, Action::CreateMasterKey);
        assert_eq!((arguments.generate, arguments.length), (true, 1024));
    }

    #[test]
    fn the_repository_is_named_or_from_the_configuration() {
        let arguments = parse("pgmoneta-admin repository create /r").unwrap();
        assert_eq!(arguments.action, Action::CreateRepository);
        assert_eq!(arguments.repository, Some(PathBuf::from("/r")));
        let arguments = parse("pgmoneta-admin repository create -c /x -D /d -F json").unwrap();
        assert_eq!(arguments.files.main, Some(PathBuf::from("/x")));
        assert_eq!(arguments.files.directory, Some(PathBuf::from("/d")));
        assert_eq!(arguments.repository, None);
    }

    #[test]
    fn usage_errors_have_exit_status_2_help_and_version_0() {
        for line in [
            "pgmoneta-admin",
            "pgmoneta-admin user",
            "pgmoneta-admin user add",
            "pgmoneta-admin user change -f /x",
            "pgmoneta-admin master-key now",
            "pgmoneta-admin repository",
            "pgmoneta-admin repository make",
            "pgmoneta-admin repository create /r /s",
            "pgmoneta-admin -l 0 -g master-key",
            "pgmoneta-admin -l 1025 -g master-key",
            "pgmoneta-admin -F xml master-key",
            "pgmoneta-admin -x master-key",
            "pgmoneta-admin -f",
        ] {
            assert_eq!(parse(line).err().unwrap().exit_code(), 2, "{line}");
        }
        for line in [
            "pgmoneta-admin -?",
            "pgmoneta-admin --help",
            "pgmoneta-admin user --help",
            "pgmoneta-admin user add -?",
            "pgmoneta-admin -V",
        ] {
            assert_eq!(parse(line).err().unwrap().exit_code(), 0, "{line}");
        }
        let version = parse("pgmoneta-admin --version").err().unwrap();
        assert_eq!(version.to_string(), format!("pgmoneta-admin {VERSION}\n"));
    }
}
