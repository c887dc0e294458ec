//! The command line of `pgmoneta-cli`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::commands::{COMMANDS, CommandSpec, GROUPS, find};
use crate::codec::Compression;
use crate::protocol::VERSION;
use crate::unit::{Encryption, Names};

/// The parsed command line.
pub(super) struct Arguments {
    /// The row of the command in the table.
    pub spec: &'static CommandSpec,
    /// The operands, in order; their number was checked.
    pub operands: Vec<String>,
    /// The options, from before and after the command.
    pub options: Options,
}

/// The options; `None`, `false` or empty where the command line has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The configuration file of the client, or of the daemon.
    pub config: Option<PathBuf>,
    /// The host of remote management.
    pub host: Option<String>,
    /// The port of remote management.
    pub port: Option<u16>,
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
    /// The order of `list-backup`, `asc` if missing.
    pub sort: Option<String>,
    /// `NAME=NEWPATH`, `OID=NEWPATH` or `PATH=NEWPATH` for each tablespace that is relocated.
    pub tablespaces: Vec<String>,
    /// Whether the restored server keeps `synchronous_standby_names`.
    pub keep_synchronous: bool,
    /// `archive_mode` of the restored server: `off` or `preserve`.
    pub archive_mode: Option<String>,
    /// Whether a restore only prints what it would write.
    pub dry_run: bool,
    /// Whether the backups that an incremental one depends on are changed too.
    pub cascade: bool,
    /// Whether a retained backup may be deleted.
    pub force: bool,
}

impl Arguments {
    /// Parses the command line; `--help` and `--version` are returned as errors with exit status 0.
    pub(super) fn parse(
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<Arguments, clap::Error> {
        let matches = command().try_get_matches_from(arguments)?;
        let missing = || {
            command().error(
                clap::error::ErrorKind::MissingSubcommand,
                "a command is missing",
            )
        };
        let (name, inner) = matches.subcommand().ok_or_else(missing)?;
        let (subcommand, innermost) = match inner.subcommand() {
            Some((subcommand, innermost)) => (Some(subcommand), innermost),
            None => (None, inner),
        };
        let spec = find(name, subcommand).ok_or_else(missing)?;
        let operands: Vec<OsString> = match innermost.try_get_many::<OsString>("operands") {
            Ok(Some(operands)) => operands.cloned().collect(),
            _ => Vec::new(),
        };
        let (min, max) = spec.operands;
        if !(min..=max).contains(&operands.len()) {
            let kind = clap::error::ErrorKind::WrongNumberOfValues;
            let message = match spec.usage {
                "" => format!("{} takes no arguments", spec.full_name()),
                usage => format!("{} takes {usage}", spec.full_name()),
            };
            return Err(command().error(kind, message));
        }
        let operands = operands_to_utf8(spec, operands).ok_or_else(|| {
            let message = "bytes that are not UTF-8 are allowed in a position only";
            command().error(clap::error::ErrorKind::InvalidUtf8, message)
        });
        Ok(Arguments {
            spec,
            operands: operands?,
            options: Options::of(&matches, innermost),
        })
    }
}

/// The operands as UTF-8. The position of a restore may contain the name of a restore point in any
/// encoding: there, invalid bytes become `\xHH`, an escape of the position syntax. `None` if
/// another operand has invalid bytes.
fn operands_to_utf8(spec: &CommandSpec, operands: Vec<OsString>) -> Option<Vec<String>> {
    let position = (spec.full_name() == "restore" && operands.len() == 4).then_some(2);
    let texts = operands.into_iter().enumerate().map(|(index, operand)| {
        let operand = operand.into_string();
        operand
            .or_else(|operand| {
                let bytes = operand.as_bytes();
                let text = (position == Some(index)).then(|| escape_invalid(bytes));
                text.ok_or(())
            })
            .ok()
    });
    texts.collect()
}

fn escape_invalid(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let backslashes = text.bytes().rev().take_while(|byte| *byte == b'\\');
        if !chunk.invalid().is_empty() && backslashes.count() % 2 == 1 {
            // Escape it: a literal backslash must not combine with the escape that follows.
            text.push('\\');
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

impl Options {
    /// Merges the options before the command (`outer`) and after it (`inner`, which take
    /// precedence).
    fn of(outer: &ArgMatches, inner: &ArgMatches) -> Options {
        let text = |name: &str| one::<String>(inner, name).or_else(|| one(outer, name));
        let path = |name: &str| one::<PathBuf>(inner, name).or_else(|| one(outer, name));
        let flag = |name: &str| {
            one::<bool>(inner, name) == Some(true) || one::<bool>(outer, name) == Some(true)
        };
        let tablespaces = [outer, inner].into_iter();
        let tablespaces = tablespaces
            .filter_map(|matches| matches.try_get_many::<String>("tablespace").ok().flatten());
        Options {
            config: path("config"),
            host: text("host"),
            port: one::<u16>(inner, "port").or_else(|| one(outer, "port")),
            logfile: path("logfile"),
            verbose: flag("verbose"),
            format: text("format"),
            compress: text("compress"),
            encrypt: text("encrypt"),
            sort: text("sort"),
            tablespaces: tablespaces.flatten().cloned().collect(),
            keep_synchronous: flag("keep-synchronous"),
            archive_mode: text("archive-mode"),
            dry_run: flag("dry-run"),
            cascade: flag("cascade"),
            force: flag("force"),
        }
    }
}

fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches.try_get_one::<T>(name).ok().flatten().cloned()
}

/// The command line, for the parser and for the help.
pub fn command() -> Command {
    let mut command = Command::new("pgmoneta-cli")
        .version(VERSION)
        .about("Client of the pgmoneta daemon: backups, restores, status")
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .arg_required_else_help(true)
        .subcommand_required(true)
        .args(global_options())
        .args(
            local_options(None)
                .into_iter()
                .map(|option| option.hide(true)),
        )
        .after_help(
            "`pgmoneta-cli <COMMAND> --help` shows the details of a command.\n\
             A backup is named by its label, a prefix of it, oldest, newest or latest.\n\
             Exit status: 0 for success, 1 if the operation failed, 2 for a wrong command line or\n\
             configuration, 3 if the daemon is not running, 130 after Ctrl-C.",
        );
    for spec in COMMANDS.iter().filter(|spec| spec.subcommand.is_none()) {
        let inner = COMMANDS
            .iter()
            .filter(|other| other.name == spec.name && other.subcommand.is_some());
        let inner = inner.filter_map(|inner| Some(subcommand_parser(inner, inner.subcommand?)));
        command = command.subcommand(subcommand_parser(spec, spec.name).subcommands(inner));
    }
    for (name, about) in GROUPS {
        let inner = COMMANDS.iter().filter(|spec| spec.name == *name);
        let inner = inner.filter_map(|spec| Some(subcommand_parser(spec, spec.subcommand?)));
        let group = Command::new(*name).about(*about).subcommands(inner);
        command = command.subcommand(group.subcommand_required(true).disable_help_flag(true));
    }
    command
}

fn subcommand_parser(spec: &CommandSpec, name: &'static str) -> Command {
    let full_name = spec.full_name();
    let about = if spec.available {
        spec.about.to_owned()
    } else {
        format!("{} (not implemented)", spec.about)
    };
    let mut command = Command::new(name)
        .about(about)
        .override_usage(format!("pgmoneta-cli [OPTIONS] {full_name} {}", spec.usage))
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .args(local_options(Some(spec)));
    let mut after_help = vec![];
    after_help.extend(Some(spec.after_help.to_owned()).filter(|text| !text.is_empty()));
    if !spec.example.is_empty() {
        after_help.push(format!("Example:\n  {}", spec.example));
    }
    command = command.after_help(after_help.join("\n\n"));
    if spec.operands.1 > 0 {
        // With options between the operands the parser sees several groups of them, so their
        // number is checked after parsing.
        let operands = Arg::new("operands").num_args(1..).action(ArgAction::Append);
        let operands = operands.value_parser(value_parser!(OsString));
        command = command.arg(operands.hide(true));
    }
    command
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
fn global_options() -> [Arg; 11] {
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
            .value_parser(path),
        text("host", "HOST", "The host of the daemon (not implemented)").short('h'),
        text("port", "PORT", "The port of the daemon (not implemented)")
            .short('p')
            .value_parser(value_parser!(u16)),
        text(
            "user",
            "NAME",
            "The user of remote management (not implemented)",
        )
        .short('U'),
        text(
            "password",
            "TEXT",
            "The password of remote management (not implemented)",
        )
        .short('P'),
        flag("verbose", "Print a last line with the error code").short('v'),
        Arg::new("help")
            .short('?')
            .long("help")
            .help("Print help")
            .action(ArgAction::Help),
    ]
    .map(|option| option.global(true))
}

/// The options of one command, or of all commands if `spec` is `None`: the C client accepts them
/// before the command too.
fn local_options(spec: Option<&CommandSpec>) -> Vec<Arg> {
    let of = |names: &[&str]| spec.is_none_or(|spec| names.contains(&spec.name));
    let mut options = Vec::new();
    if of(&["list-backup"]) {
        let sort = PossibleValuesParser::new(["asc", "desc", "ascending", "descending"]);
        options.push(
            text("sort", "ORDER", "Oldest or newest first [default: asc]")
                .short('s')
                .value_parser(sort),
        );
    }
    if of(&["restore"]) {
        let help = "Where a tablespace is restored to; may be repeated";
        let tablespace = Arg::new("tablespace")
            .long("tablespace")
            .value_name("NAME|OID|PATH=NEWPATH");
        options.push(tablespace.help(help).action(ArgAction::Append));
        options.push(flag(
            "keep-synchronous",
            "Keep synchronous_standby_names, which is emptied otherwise",
        ));
        let archive = PossibleValuesParser::new(["off", "preserve"]);
        options.push(
            text(
                "archive-mode",
                "MODE",
                "archive_mode of the restored server [default: preserve]",
            )
            .value_parser(archive),
        );
        options.push(flag(
            "dry-run",
            "Print what would be restored, and write nothing",
        ));
    }
    if of(&["retain", "expunge"]) {
        options.push(flag(
            "cascade",
            "Include the backups that this one depends on",
        ));
    }
    if of(&["delete"]) {
        options.push(flag("force", "Delete the backup even if it is retained"));
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Arguments, clap::Error> {
        let line = [&["pgmoneta-cli"], line].concat();
        Arguments::parse(line.into_iter().map(OsString::from))
    }

    #[test]
    fn every_command_of_the_table_is_parsed() {
        command().debug_assert();
        for spec in COMMANDS {
            let mut line = vec![spec.name];
            line.extend(spec.subcommand);
            line.extend(vec!["x"; spec.operands.0]);
            let arguments = parse(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            assert_eq!(arguments.spec.command, spec.command);
            assert_eq!(arguments.operands.len(), spec.operands.0);
            line.extend(vec!["x"; spec.operands.1 - spec.operands.0 + 1]);
            assert_eq!(parse(&line).err().unwrap().exit_code(), 2, "{line:?}");
            line.push("--help");
            line.drain(1 + spec.subcommand.iter().len()..line.len() - 1);
            let help = parse(&line).err().unwrap();
            assert_eq!(help.exit_code(), 0, "{line:?}");
            assert!(help.to_string().contains(spec.example), "{help}");
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
            assert_eq!(arguments.operands, ["primary"]);
            assert_eq!(arguments.options.sort.as_deref(), Some("desc"));
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
        let options = parse(&line).unwrap().options;
        assert_eq!(options.tablespaces, ["1=/a", "2=/b"]);
        assert!(options.dry_run);
        let host = parse(&["-h", "example", "-p", "5002", "ping"])
            .unwrap()
            .options;
        assert_eq!(
            (host.host.as_deref(), host.port),
            (Some("example"), Some(5002))
        );
    }

    #[test]
    fn only_a_position_may_have_bytes_that_are_not_utf8() {
        use std::os::unix::ffi::OsStringExt as _;
        let line = |at: usize| {
            let operands = [
                "pgmoneta-cli",
                "restore",
                "primary",
                "newest",
                "name=ü\\",
                "/r",
            ];
            let operands = operands.into_iter().enumerate();
            operands.map(move |(index, operand)| {
                let mut operand = operand.as_bytes().to_vec();
                if index == at {
                    operand.push(0xE9);
                }
                OsString::from_vec(operand)
            })
        };
        let arguments = Arguments::parse(line(4)).unwrap();
        assert_eq!(arguments.operands[2], r"name=ü\\\xe9");
        assert_eq!(Arguments::parse(line(3)).err().unwrap().exit_code(), 2);
        assert_eq!(Arguments::parse(line(5)).err().unwrap().exit_code(), 2);
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
