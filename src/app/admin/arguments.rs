//! The command line of `pgmoneta-admin`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::config::Asked;
use crate::protocol::VERSION;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Make the master key.
    MasterKey,
    /// Add a user.
    Add,
    /// Give a user another password.
    Edit,
    /// Remove a user.
    Remove,
    /// List the users.
    List,
    /// Make the repository.
    CreateRepository,
}

impl Verb {
    /// The number in documents.
    pub(super) fn code(self) -> u32 {
        match self {
            Verb::MasterKey => 100,
            Verb::Add => 101,
            Verb::Edit => 102,
            Verb::Remove => 103,
            Verb::List => 104,
            // Not of the C program.
            Verb::CreateRepository => 1100,
        }
    }
}

/// How the outcome is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// As one document.
    Json,
}

/// What the command line says.
pub(super) struct Arguments {
    /// What to do.
    pub verb: Verb,
    /// The users file; there for the verbs that have to do with users.
    pub file: PathBuf,
    /// The directory of a new repository.
    pub repository: Option<PathBuf>,
    /// Where the configuration of the daemon is.
    pub files: Asked,
    /// The name of the user.
    pub user: Option<String>,
    /// The password or master key.
    pub password: Option<String>,
    /// Whether to think of one.
    pub generate: bool,
    /// How long that one is, in characters.
    pub length: u16,
    /// How the outcome is shown.
    pub format: Format,
}

impl Arguments {
    /// Reads the command line; an error also stands for help and version.
    pub(super) fn parse(
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<Arguments, clap::Error> {
        let matches = command().try_get_matches_from(arguments)?;
        let missing = || command().error(ErrorKind::MissingSubcommand, "a command is missing");
        let (verb, matches) = verb(&matches).ok_or_else(missing)?;
        let file = matches.get_one::<PathBuf>("file").cloned();
        if file.is_none() && !matches!(verb, Verb::MasterKey | Verb::CreateRepository) {
            let what = "the users file is missing: -f FILE";
            return Err(command().error(ErrorKind::MissingRequiredArgument, what));
        }
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let path = |name: &str| match matches.try_get_one::<PathBuf>(name) {
            Ok(path) => path.cloned(),
            // Only one of the commands has it.
            Err(_) => None,
        };
        Ok(Arguments {
            verb,
            file: file.unwrap_or_default(),
            repository: path("repository"),
            files: Asked {
                main: path("config"),
                directory: path("directory"),
                ..Asked::default()
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

fn verb(matches: &ArgMatches) -> Option<(Verb, &ArgMatches)> {
    let (word, inner) = matches.subcommand()?;
    if word == "master-key" {
        return Some((Verb::MasterKey, inner));
    }
    let (word, inner) = inner.subcommand()?;
    let verb = match word {
        "add" => Verb::Add,
        "edit" => Verb::Edit,
        "del" => Verb::Remove,
        "create" => Verb::CreateRepository,
        _ => Verb::List,
    };
    Some((verb, inner))
}

/// The command line, for the parser and for the help.
pub fn command() -> Command {
    let verb = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let users = Command::new("user")
        .about("Keep the users of a users or admins file (-f)")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(verb(
            "add",
            "Add a user; the file is made if it is not there",
        ))
        .subcommand(verb("edit", "Give a user another password"))
        .subcommand(verb("del", "Remove a user"))
        .subcommand(verb("ls", "List the users"));
    let key = verb(
        "master-key",
        "Make the master key, $HOME/.pgmoneta/master.key; one that exists stays",
    );
    Command::new("pgmoneta-admin")
        .version(VERSION)
        .about("Makes the master key and the repository, and keeps the users and their passwords")
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
            "A password comes from -P, else -g, else the environment variable PGMONETA_PASSWORD, else a prompt.\n\
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
        .about("Make the repository: base_dir of the configuration, or the directory that is named")
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
                .help("The configuration of the daemon"),
        )
        .arg(
            path("directory")
                .short('D')
                .long("directory")
                .value_name("DIRECTORY")
                .help("Where to look for it first [env: PGMONETA_CONFIG_DIR]"),
        );
    Command::new("repository")
        .about("Make the repository, once; the daemon does not start without it")
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
        option("user", 'U', "NAME", "The user"),
        option(
            "password",
            'P',
            "PASSWORD",
            "The password or master key; others can see it while the program runs",
        )
        .allow_hyphen_values(true),
        Arg::new("generate")
            .short('g')
            .long("generate")
            .help("Think of a password or master key")
            .action(ArgAction::SetTrue)
            .global(true)
            .overrides_with("generate"),
        option(
            "length",
            'l',
            "NUMBER",
            "Its length, 1 to 1024 [default: 64]",
        )
        .value_parser(value_parser!(u16).range(1..=1024)),
        option(
            "format",
            'F',
            "FORMAT",
            "How the outcome is shown [default: text]",
        )
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
    fn options_may_stand_anywhere() {
        command().debug_assert();
        for line in [
            "pgmoneta-admin -f /x -U u -P -p -F json user add",
            "pgmoneta-admin user -f /x --user=u add -P-p --format json",
            "pgmoneta-admin user add --file=/x -U u --password -p -F text -F json",
        ] {
            let arguments = parse(line).unwrap();
            assert_eq!(arguments.verb, Verb::Add, "{line}");
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
        assert_eq!(arguments.verb, Verb::MasterKey);
        assert_eq!((arguments.generate, arguments.length), (true, 1024));
    }

    #[test]
    fn a_repository_is_named_or_found() {
        let arguments = parse("pgmoneta-admin repository create /r").unwrap();
        assert_eq!(arguments.verb, Verb::CreateRepository);
        assert_eq!(arguments.repository, Some(PathBuf::from("/r")));
        let arguments = parse("pgmoneta-admin repository create -c /x -D /d -F json").unwrap();
        assert_eq!(arguments.files.main, Some(PathBuf::from("/x")));
        assert_eq!(arguments.files.directory, Some(PathBuf::from("/d")));
        assert_eq!(arguments.repository, None);
    }

    #[test]
    fn what_is_wrong_usage_is_told_from_help_and_version() {
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
