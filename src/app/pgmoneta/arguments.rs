//! The command line of `pgmoneta`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::{Arg, ArgAction, Command};

use crate::VERSION;
use crate::config::FileOptions;

/// The parsed command line.
#[derive(Clone, Debug)]
pub(super) struct Arguments {
    /// The configuration files that are named, and the directory to search.
    pub files: FileOptions,
    /// Whether to detach from the terminal.
    pub detach: bool,
    /// Whether to check the configuration and exit.
    pub check_config: bool,
}

impl Arguments {
    /// Parses the command line; `--help` and `--version` are returned as errors with exit status 0.
    pub(super) fn parse(
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<Arguments, clap::Error> {
        let mut matches = command().try_get_matches_from(arguments)?;
        let mut path = |name: &str| matches.remove_one::<PathBuf>(name);
        let files = FileOptions {
            main: path("config"),
            users: path("users"),
            admins: path("admins"),
            directory: path("directory"),
        };
        Ok(Arguments {
            files,
            detach: matches.get_flag("daemon"),
            check_config: matches.get_flag("check-config"),
        })
    }
}

/// The command line, for the parser and for the help.
pub fn command() -> Command {
    let path = |name: &'static str, short: char, value: &'static str, help: &'static str| {
        Arg::new(name)
            .short(short)
            .long(name)
            .value_name(value)
            .help(help)
            .value_parser(PathBufValueParser::new())
            .overrides_with(name)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue)
            .overrides_with(name)
    };
    Command::new("pgmoneta")
        .version(VERSION)
        .about("Streams the WAL of PostgreSQL servers and takes their backups")
        .disable_help_flag(true)
        .arg(path("config", 'c', "FILE", "The configuration file"))
        .arg(path(
            "users",
            'u',
            "FILE",
            "The users file, with the passwords of PostgreSQL roles",
        ))
        .arg(path(
            "admins",
            'A',
            "FILE",
            "The admins file, with the users of remote management",
        ))
        .arg(path(
            "directory",
            'D',
            "DIRECTORY",
            "The directory to search for the three files first [env: PGMONETA_CONFIG_DIR]",
        ))
        .arg(flag("daemon", "Detach from the terminal").short('d'))
        .arg(flag(
            "check-config",
            "Report all problems of the configuration, and exit",
        ))
        .arg(
            Arg::new("help")
                .short('?')
                .long("help")
                .help("Print help")
                .action(ArgAction::Help),
        )
        .after_help(
            "Files that are not named are searched for in the directory, then in /etc/pgmoneta.\n\
             Exit status: 0 after a clean shutdown, 1 if the start or the stop failed,\n\
             2 for a wrong command line.",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn short_and_long_options_are_parsed() {
        command().debug_assert();
        for line in [
            "pgmoneta -c /x -d",
            "pgmoneta -d --config=/x",
            "pgmoneta --daemon --config /x",
            "pgmoneta -c /y -dc /x",
        ] {
            let arguments = parse(line).unwrap();
            assert_eq!(arguments.files.main, Some(PathBuf::from("/x")), "{line}");
            assert!(arguments.detach && !arguments.check_config, "{line}");
        }
        assert!(parse("pgmoneta --check-config -D /d").unwrap().check_config);
    }

    #[test]
    fn usage_errors_have_exit_status_2() {
        for line in [
            "pgmoneta -x",
            "pgmoneta --unknown",
            "pgmoneta word",
            "pgmoneta -c",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        for line in [
            "pgmoneta -V",
            "pgmoneta --version",
            "pgmoneta -?",
            "pgmoneta --help",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 0, "{line}");
        }
        assert_eq!(
            parse("pgmoneta -V").unwrap_err().to_string(),
            format!("pgmoneta {VERSION}\n")
        );
    }
}
