//! The command line of `pgmoneta-cli`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::commands::{COMMANDS, GROUPS, Row, find};
use crate::protocol::VERSION;

/// What the command line says.
pub(super) struct Arguments {
    /// The command.
    pub row: &'static Row,
    /// The words after it.
    pub words: Vec<String>,
    /// The options.
    pub options: Options,
}

/// The options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The client's configuration.
    pub config: Option<PathBuf>,
    /// The host of remote management.
    pub host: Option<String>,
    /// The port of remote management.
    pub port: Option<u16>,
    /// Where to log.
    pub logfile: Option<PathBuf>,
    /// Whether to print a last line with the outcome.
    pub verbose: bool,
    /// How to print the answer.
    pub format: Option<String>,
    /// How messages are compressed.
    pub compress: Option<String>,
    /// How messages are encrypted.
    pub encrypt: Option<String>,
    /// The order of a list.
    pub sort: Option<String>,
    /// Where tablespaces go.
    pub tablespaces: Vec<String>,
    /// Whether the restored server waits for the standbys of the one that was backed up.
    pub keep_synchronous: bool,
    /// Whether the restored server archives its WAL.
    pub archive_mode: Option<String>,
    /// Whether only to say what would be done.
    pub dry_run: bool,
    /// Whether to change the backups that one builds on too.
    pub cascade: bool,
    /// Whether to remove a retained backup too.
    pub force: bool,
}

impl Arguments {
    /// Reads the command line; an error also stands for help and version.
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
        let (word, inner) = matches.subcommand().ok_or_else(missing)?;
        let (subword, innermost) = match inner.subcommand() {
            Some((subword, innermost)) => (Some(subword), innermost),
            None => (None, inner),
        };
        let row = find(word, subword).ok_or_else(missing)?;
        let words: Vec<OsString> = match innermost.try_get_many::<OsString>("words") {
            Ok(Some(words)) => words.cloned().collect(),
            _ => Vec::new(),
        };
        let (least, most) = row.arguments;
        if !(least..=most).contains(&words.len()) {
            let kind = clap::error::ErrorKind::WrongNumberOfValues;
            let wrong = match row.usage {
                "" => format!("{} takes nothing more", row.name()),
                usage => format!("{} takes {usage}", row.name()),
            };
            return Err(command().error(kind, wrong));
        }
        let words = texts(row, words).ok_or_else(|| {
            let wrong = "what is not UTF-8 can be part of a position only";
            command().error(clap::error::ErrorKind::InvalidUtf8, wrong)
        });
        Ok(Arguments {
            row,
            words: words?,
            options: Options::of(&matches, innermost),
        })
    }
}

/// The words as text. In the position of a restore, which may have the name of a restore point of any encoding, bytes that
/// are no UTF-8 become `\xHH`, as a position has them; elsewhere these are wrong.
fn texts(row: &Row, words: Vec<OsString>) -> Option<Vec<String>> {
    let position = (row.name() == "restore" && words.len() == 4).then_some(2);
    let texts = words.into_iter().enumerate().map(|(index, word)| {
        let word = word.into_string();
        word.or_else(|word| {
            let bytes = word.as_bytes();
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
            // It stands for itself, not for the beginning of an escape.
            text.push('\\');
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

impl Options {
    /// An option may stand before or after the command.
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
        .about("Asks the daemon pgmoneta for backups, restores and how things are")
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .arg_required_else_help(true)
        .subcommand_required(true)
        .args(options())
        .args(
            own_options(None)
                .into_iter()
                .map(|option| option.hide(true)),
        )
        .after_help(
            "`pgmoneta-cli <COMMAND> --help` shows more of a command.\n\
             A backup is named by its label, the beginning of one, oldest, newest or latest.\n\
             Exit status: 0 for success, 1 if the operation failed, 2 for a wrong command line or\n\
             configuration, 3 if there is no daemon, 130 after Ctrl-C.",
        );
    for row in COMMANDS.iter().filter(|row| row.subword.is_none()) {
        let inner = COMMANDS
            .iter()
            .filter(|other| other.word == row.word && other.subword.is_some());
        let inner = inner.filter_map(|inner| Some(of_row(inner, inner.subword?)));
        command = command.subcommand(of_row(row, row.word).subcommands(inner));
    }
    for (word, about) in GROUPS {
        let inner = COMMANDS.iter().filter(|row| row.word == *word);
        let inner = inner.filter_map(|row| Some(of_row(row, row.subword?)));
        let group = Command::new(*word).about(*about).subcommands(inner);
        command = command.subcommand(group.subcommand_required(true).disable_help_flag(true));
    }
    command
}

fn of_row(row: &Row, name: &'static str) -> Command {
    let full = row.name();
    let about = if row.there {
        row.about.to_owned()
    } else {
        format!("{} (not there yet)", row.about)
    };
    let mut command = Command::new(name)
        .about(about)
        .override_usage(format!("pgmoneta-cli [OPTIONS] {full} {}", row.usage))
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .args(own_options(Some(row)));
    let mut more = vec![];
    more.extend(Some(row.more.to_owned()).filter(|more| !more.is_empty()));
    if !row.example.is_empty() {
        more.push(format!("Example:\n  {}", row.example));
    }
    command = command.after_help(more.join("\n\n"));
    if row.arguments.1 > 0 {
        // Options may stand between the words, so the parser sees them in parts: they are counted later.
        let words = Arg::new("words").num_args(1..).action(ArgAction::Append);
        let words = words.value_parser(value_parser!(OsString));
        command = command.arg(words.hide(true));
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

/// The options of every command.
fn options() -> [Arg; 11] {
    let path = value_parser!(PathBuf);
    [
        text("config", "FILE", "The client's configuration, or the daemon's [default: /etc/pgmoneta/pgmoneta_cli.conf]")
            .short('c')
            .value_parser(path.clone()),
        text("format", "FORMAT", "How to print the answer [default: text]")
            .short('F')
            .value_parser(PossibleValuesParser::new(["text", "json", "raw"])),
        text("compress", "METHOD", "Compress messages")
            .short('C')
            .value_parser(PossibleValuesParser::new(["none", "gz", "zstd", "lz4", "bz2", "gzip", "bzip2"])),
        text("encrypt", "METHOD", "Encrypt messages with the master key")
            .short('E')
            .value_parser(PossibleValuesParser::new(["none", "aes", "aes256", "aes192", "aes128"])),
        text("logfile", "FILE", "Where to log").short('L').value_parser(path),
        text("host", "HOST", "The host of the daemon (not there yet)").short('h'),
        text("port", "PORT", "The port of the daemon (not there yet)")
            .short('p')
            .value_parser(value_parser!(u16)),
        text("user", "NAME", "The user of remote management (not there yet)").short('U'),
        text("password", "TEXT", "The password of remote management (not there yet)").short('P'),
        flag("verbose", "Print a last line with the outcome").short('v'),
        Arg::new("help").short('?').long("help").help("Print help").action(ArgAction::Help),
    ]
    .map(|option| option.global(true))
}

/// The options of one command, or of any: the C client takes them before the command too.
fn own_options(row: Option<&Row>) -> Vec<Arg> {
    let of = |words: &[&str]| row.is_none_or(|row| words.contains(&row.word));
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
        let help = "Where a tablespace goes; may be given again for others";
        let tablespace = Arg::new("tablespace")
            .long("tablespace")
            .value_name("NAME|OID|PATH=NEWPATH");
        options.push(tablespace.help(help).action(ArgAction::Append));
        options.push(flag(
            "keep-synchronous",
            "Keep synchronous_standby_names, which is turned off else",
        ));
        let archive = PossibleValuesParser::new(["off", "preserve"]);
        options.push(
            text(
                "archive-mode",
                "MODE",
                "Whether the restored server archives its WAL as the other one does [default: preserve]",
            )
            .value_parser(archive),
        );
        options.push(flag("dry-run", "Say what would be done, and do nothing"));
    }
    if of(&["retain", "expunge"]) {
        options.push(flag("cascade", "The backups that this one builds on too"));
    }
    if of(&["delete"]) {
        options.push(flag("force", "A retained backup too"));
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
    fn the_table_makes_a_command_line() {
        command().debug_assert();
        for row in COMMANDS {
            let mut line = vec![row.word];
            line.extend(row.subword);
            line.extend(vec!["x"; row.arguments.0]);
            let arguments = parse(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            assert_eq!(arguments.row.command, row.command);
            assert_eq!(arguments.words.len(), row.arguments.0);
            line.extend(vec!["x"; row.arguments.1 - row.arguments.0 + 1]);
            assert_eq!(parse(&line).err().unwrap().exit_code(), 2, "{line:?}");
            line.push("--help");
            line.drain(1 + row.subword.iter().len()..line.len() - 1);
            let help = parse(&line).err().unwrap();
            assert_eq!(help.exit_code(), 0, "{line:?}");
            assert!(help.to_string().contains(row.example), "{help}");
        }
    }

    #[test]
    fn options_stand_anywhere() {
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
            assert_eq!(arguments.words, ["primary"]);
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
    fn only_a_position_may_have_other_bytes_than_utf8() {
        use std::os::unix::ffi::OsStringExt as _;
        let line = |at: usize| {
            let words = [
                "pgmoneta-cli",
                "restore",
                "primary",
                "newest",
                "name=ü\\",
                "/r",
            ];
            let words = words.into_iter().enumerate();
            words.map(move |(index, word)| {
                let mut word = word.as_bytes().to_vec();
                if index == at {
                    word.push(0xE9);
                }
                OsString::from_vec(word)
            })
        };
        let arguments = Arguments::parse(line(4)).unwrap();
        assert_eq!(arguments.words[2], r"name=ü\\\xe9");
        assert_eq!(Arguments::parse(line(3)).err().unwrap().exit_code(), 2);
        assert_eq!(Arguments::parse(line(5)).err().unwrap().exit_code(), 2);
    }

    #[test]
    fn what_is_unknown_is_wrong_usage() {
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
