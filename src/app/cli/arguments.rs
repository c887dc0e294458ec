//! The command line of `pgmoneta-cli`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::operands::{assign, operands_to_utf8};
use crate::VERSION;
use crate::codec::Compression;
use crate::crypto::Secret;
use crate::protocol::{Command, CommandOption, GROUPS, MemberKind, Operand};
use crate::unit::{Encryption, Names};

/// The parsed command line.
pub(super) struct Arguments {
    /// The row of the command in the table.
    pub command: &'static Command,
    /// The operands, in order, with their rows; their number was checked.
    pub operands: Vec<(&'static Operand, String)>,
    /// The options of the command that are set, with their values; none for a flag.
    pub own: Vec<(&'static CommandOption, Vec<String>)>,
    /// The options that every command has.
    pub options: Options,
    /// The password of remote management.
    pub password: Option<Secret>,
}

/// The options that every command has, from before and after the command; `None` or `false` where
/// the command line has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The configuration file of the client, or of the daemon.
    pub config: Option<PathBuf>,
    /// The host of remote management.
    pub host: Option<String>,
    /// The port of remote management.
    pub port: Option<u16>,
    /// The user of remote management.
    pub user: Option<String>,
    /// The file with the password of the user.
    pub password_file: Option<PathBuf>,
    /// Whether the connection must be encrypted.
    pub tls: bool,
    /// The log file; overrides `log_type` and `log_path`.
    pub logfile: Option<PathBuf>,
    /// Whether to print a last line with the error code.
    pub verbose: bool,
    /// The output format: `text`, `json` or `raw`.
    pub format: Option<String>,
    /// The compression method of messages; overrides the configuration.
    pub compress: Option<String>,
    /// The encryption method of messages; overrides the configuration.
    pub encrypt: Option<String>,
}

impl Arguments {
    /// Parses the command line of a table of commands; `--help` and `--version` are returned as
    /// errors with exit status 0.
    pub(super) fn parse(
        table: &[&'static Command],
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<Arguments, clap::Error> {
        let matches = command_line(table).try_get_matches_from(arguments)?;
        let invalid = |kind, message: String| command_line(table).error(kind, message);
        let missing = || {
            let message = "a command is missing".to_owned();
            invalid(clap::error::ErrorKind::MissingSubcommand, message)
        };
        let (word, inner) = matches.subcommand().ok_or_else(missing)?;
        let (second, innermost) = match inner.subcommand() {
            Some((second, innermost)) => (Some(second), innermost),
            None => (None, inner),
        };
        let mut rows = table.iter();
        let command = rows.find(|row| row.words == (word, second));
        let command = command.ok_or_else(missing)?;
        let operands: Vec<OsString> = match innermost.try_get_many::<OsString>("operands") {
            Ok(Some(operands)) => operands.cloned().collect(),
            _ => Vec::new(),
        };
        let operands = assign(command, operands).ok_or_else(|| {
            let message = match command.usage() {
                usage if usage.is_empty() => format!("{} takes no arguments", command.full_name()),
                usage => format!("{} takes {usage}", command.full_name()),
            };
            invalid(clap::error::ErrorKind::WrongNumberOfValues, message)
        })?;
        let operands = operands_to_utf8(operands).ok_or_else(|| {
            let message = "bytes that are not UTF-8 are allowed in a position only".to_owned();
            invalid(clap::error::ErrorKind::InvalidUtf8, message)
        })?;
        Ok(Arguments {
            command,
            operands,
            own: own_options(command, &matches, innermost),
            options: Options::of(&matches, innermost),
            password: one::<String>(innermost, "password")
                .or_else(|| one(&matches, "password"))
                .map(|text| Secret::new(text.into_bytes())),
        })
    }
}

impl Options {
    /// Merges the options before the command (`outer`) and after it (`inner`, which take
    /// precedence).
    fn of(outer: &ArgMatches, inner: &ArgMatches) -> Options {
        let text = |name: &str| one::<String>(inner, name).or_else(|| one(outer, name));
        let path = |name: &str| one::<PathBuf>(inner, name).or_else(|| one(outer, name));
        Options {
            config: path("config"),
            host: text("host"),
            port: one::<u16>(inner, "port").or_else(|| one(outer, "port")),
            user: text("user"),
            password_file: path("password-file"),
            tls: is_set(outer, inner, "tls"),
            logfile: path("logfile"),
            verbose: is_set(outer, inner, "verbose"),
            format: text("format"),
            compress: text("compress"),
            encrypt: text("encrypt"),
        }
    }
}

/// The options of the command that are set; those after it take precedence over those before it.
fn own_options(
    command: &'static Command,
    outer: &ArgMatches,
    inner: &ArgMatches,
) -> Vec<(&'static CommandOption, Vec<String>)> {
    let set = command.options.iter().filter_map(|row| {
        let values: Vec<String> = match row.kind {
            MemberKind::Flag => return is_set(outer, inner, row.long).then(|| (row, vec![])),
            MemberKind::Tablespaces => [outer, inner]
                .into_iter()
                .filter_map(|matches| matches.try_get_many::<String>(row.long).ok().flatten())
                .flatten()
                .cloned()
                .collect(),
            _ => one(inner, row.long)
                .or_else(|| one(outer, row.long))
                .into_iter()
                .collect(),
        };
        (!values.is_empty()).then_some((row, values))
    });
    set.collect()
}

fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches.try_get_one::<T>(name).ok().flatten().cloned()
}

fn is_set(outer: &ArgMatches, inner: &ArgMatches, name: &str) -> bool {
    [outer, inner]
        .map(|matches| one::<bool>(matches, name))
        .contains(&Some(true))
}

/// The command line of a table of commands, for the parser and for the help.
pub fn command_line(table: &[&'static Command]) -> clap::Command {
    // The C client accepts the options of every command before the command too.
    let options = table.iter().flat_map(|row| row.options);
    let options: BTreeMap<&str, &CommandOption> = options.map(|row| (row.long, row)).collect();
    let mut command_line = clap::Command::new("pgmoneta-cli")
        .version(VERSION)
        .about("Client of the pgmoneta daemon: backups, restores, status")
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .arg_required_else_help(true)
        .subcommand_required(true)
        .args(global_options())
        .args(options.values().map(|row| own_option(row).hide(true)))
        .after_help(
            "`pgmoneta-cli <COMMAND> --help` shows the details of a command.\n\
             A backup is named by its label, a prefix of it, oldest, newest or latest.\n\
             Exit status: 0 for success, 1 if the operation failed, 2 for a wrong command line or\n\
             configuration, 3 if the daemon is not running, 130 after Ctrl-C.",
        );
    let seconds = |word| {
        let rows = table.iter().filter(move |row| row.words.0 == word);
        rows.filter_map(|row| Some(subcommand(row, row.words.1?)))
    };
    for row in table.iter().filter(|row| row.words.1.is_none()) {
        let word = row.words.0;
        command_line = command_line.subcommand(subcommand(row, word).subcommands(seconds(word)));
    }
    for (word, summary) in GROUPS {
        let group = clap::Command::new(*word).about(*summary);
        let group = group.subcommands(seconds(word)).subcommand_required(true);
        command_line = command_line.subcommand(group.disable_help_flag(true));
    }
    command_line
}

fn subcommand(row: &'static Command, word: &'static str) -> clap::Command {
    let summary = format!(
        "{}{}",
        row.summary,
        if row.implemented {
            ""
        } else {
            " (not implemented)"
        }
    );
    let usage = format!("pgmoneta-cli [OPTIONS] {} {}", row.full_name(), row.usage());
    let mut details = vec![];
    details.extend(Some(row.details.to_owned()).filter(|text| !text.is_empty()));
    if !row.example.is_empty() {
        details.push(format!("Example:\n  {}", row.example));
    }
    let mut command = clap::Command::new(word)
        .about(summary)
        .override_usage(usage)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .args(row.options.iter().map(own_option))
        .after_help(details.join("\n\n"));
    if !row.operands.is_empty() {
        // With options between the operands the parser sees several groups of them, so their
        // number is checked after parsing.
        let operands = Arg::new("operands").num_args(1..).action(ArgAction::Append);
        let operands = operands.value_parser(value_parser!(OsString));
        command = command.arg(operands.hide(true));
    }
    command
}

fn own_option(row: &CommandOption) -> Arg {
    let option = match row.kind {
        MemberKind::Flag => flag(row.long, row.help),
        MemberKind::Tablespaces => Arg::new(row.long)
            .long(row.long)
            .value_name(row.value)
            .help(row.help)
            .action(ArgAction::Append),
        _ => text(row.long, row.value, row.help),
    };
    let option = match row.short {
        Some(short) => option.short(short),
        None => option,
    };
    if row.words.is_empty() {
        return option;
    }
    option.value_parser(PossibleValuesParser::new(row.words))
}

fn text(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(value)
        .help(help)
        .overrides_with(name)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::SetTrue)
        .overrides_with(name)
}

/// A value with these names; the help shows the first name of each.
fn any_of(values: &'static [Names]) -> PossibleValuesParser {
    let values = values.iter();
    PossibleValuesParser::new(
        values.map(|(name, aliases)| PossibleValue::new(name).aliases(*aliases)),
    )
}

/// The options that every command has.
fn global_options() -> [Arg; 13] {
    let path = value_parser!(PathBuf);
    [
        text(
            "config",
            "FILE",
            "The configuration of the client or daemon [default: /etc/pgmoneta/pgmoneta_cli.conf]",
        )
        .short('c')
        .value_parser(path.clone()),
        text("format", "FORMAT", "The output format [default: text]")
            .short('F')
            .value_parser(PossibleValuesParser::new(["text", "json", "raw"])),
        text("compress", "METHOD", "Compress messages")
            .short('C')
            .value_parser(any_of(&Compression::NAMES)),
        text("encrypt", "METHOD", "Encrypt messages with the master key")
            .short('E')
            .value_parser(any_of(&Encryption::NAMES)),
        text("logfile", "FILE", "The log file")
            .short('L')
            .value_parser(path.clone()),
        text(
            "host",
            "HOST",
            "The host of the daemon, for remote management",
        )
        .short('h'),
        text("port", "PORT", "The port of remote management")
            .short('p')
            .value_parser(value_parser!(u16).range(1..)),
        text(
            "user",
            "NAME",
            "The user of remote management [default: prompt]",
        )
        .short('U'),
        text(
            "password",
            "TEXT",
            "The password of the user [default: prompt]",
        )
        .short('P'),
        text("password-file", "FILE", "The file with the password").value_parser(path),
        flag(
            "tls",
            "Require TLS; the default if ~/.pgmoneta has root.crt or pgmoneta.key",
        ),
        flag("verbose", "Print a last line with the error code").short('v'),
        Arg::new("help")
            .short('?')
            .long("help")
            .help("Print help")
            .action(ArgAction::Help),
    ]
    .map(|option| option.global(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{COMMANDS, Presence};

    fn parse(line: &[&str]) -> Result<Arguments, clap::Error> {
        let line = [&["pgmoneta-cli"], line].concat();
        Arguments::parse(COMMANDS, line.into_iter().map(OsString::from))
    }

    fn values(arguments: &Arguments) -> Vec<&str> {
        let operands = arguments.operands.iter();
        operands.map(|(_, text)| text.as_str()).collect()
    }

    fn own<'a>(arguments: &'a Arguments, long: &str) -> Option<&'a [String]> {
        let mut own = arguments.own.iter();
        let found = own.find(|(row, _)| row.long == long);
        found.map(|(_, values)| values.as_slice())
    }

    #[test]
    fn every_command_of_the_table_is_parsed() {
        command_line(COMMANDS).debug_assert();
        for row in COMMANDS {
            let mut line = vec![row.words.0];
            line.extend(row.words.1);
            let required = row.operands.iter();
            let required = required.filter(|operand| operand.presence == Presence::Required);
            let required = required.count();
            line.extend(vec!["x"; required]);
            let arguments = parse(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            assert_eq!(&arguments.command, row);
            assert_eq!(arguments.operands.len(), required);
            line.extend(vec!["x"; row.operands.len() - required + 1]);
            assert_eq!(parse(&line).err().unwrap().exit_code(), 2, "{line:?}");
            line.push("--help");
            line.drain(1 + row.words.1.iter().len()..line.len() - 1);
            let help = parse(&line).err().unwrap();
            assert_eq!(help.exit_code(), 0, "{line:?}");
            assert!(help.to_string().contains(row.example), "{help}");
        }
    }

    #[test]
    fn options_are_accepted_before_and_after_the_command() {
        for line in [
            &[
                "-c",
                "/x",
                "-F",
                "json",
                "-s",
                "desc",
                "list-backup",
                "primary",
            ][..],
            &[
                "list-backup",
                "primary",
                "--sort=desc",
                "--format=json",
                "--config=/x",
            ],
            &[
                "list-backup",
                "-c",
                "/x",
                "-s",
                "asc",
                "-s",
                "desc",
                "primary",
                "-F",
                "json",
            ],
        ] {
            let arguments = parse(line).unwrap();
            assert_eq!(values(&arguments), ["primary"]);
            assert_eq!(own(&arguments, "sort"), Some(&["desc".to_owned()][..]));
            assert_eq!(arguments.options.format.as_deref(), Some("json"));
            assert_eq!(arguments.options.config, Some(PathBuf::from("/x")));
        }
        let line = [
            "restore",
            "--tablespace",
            "1=/a",
            "p",
            "newest",
            "--tablespace=2=/b",
            "/r",
            "--dry-run",
        ];
        let arguments = parse(&line).unwrap();
        let tablespaces = ["1=/a", "2=/b"].map(str::to_owned);
        assert_eq!(own(&arguments, "tablespace"), Some(&tablespaces[..]));
        assert_eq!(own(&arguments, "dry-run"), Some(&[][..]));
        let host = parse(&["-h", "example", "-p", "5002", "ping"])
            .unwrap()
            .options;
        assert_eq!(
            (host.host.as_deref(), host.port),
            (Some("example"), Some(5002))
        );
    }

    #[test]
    fn usage_errors_have_exit_status_2() {
        for line in [
            &[][..],
            &["nonsense"],
            &["backup"],
            &["conf"],
            &["conf", "nonsense"],
            &["status", "nonsense"],
            &["-F", "xml", "ping"],
            &["-C", "zip", "ping"],
            &["ping", "--tablespace", "1=/a"],
            &["--unknown", "ping"],
        ] {
            assert_eq!(parse(line).err().unwrap().exit_code(), 2, "{line:?}");
        }
    }
}
