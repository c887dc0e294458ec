//! The manual pages, the sample files and the table of options are consistent.
//!
//! The lists of options and of metrics in the manual are generated from the tables:
//! `PGMONETA_WRITE_MANUAL=1 cargo test manual` updates them.

use std::fs;
use std::path::{Path, PathBuf};

use super::harness::{Output, Scratch, program, user};

use pgmoneta::app::cli::command_line;
use pgmoneta::codec::Compression;
use pgmoneta::config::{
    CLIENT_OPTIONS, Config, Field, Files, OPTIONS, Scope, Setting, Support, ValueKind,
};
use pgmoneta::protocol::{COMMANDS, Command, CommandOption, Operand};
use pgmoneta::status::metrics::metrics;
use pgmoneta::unit::Encryption;

const BEGIN: &str = ".\\\" The options, made from the table by tests/manual.rs\n";
const END: &str = ".\\\" The end of the options\n";
const BEGIN_METRICS: &str = ".\\\" The metrics, made from the table by tests/manual.rs\n";
const END_METRICS: &str = ".\\\" The end of the metrics\n";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn every_option_is_in_the_manual() {
    assert_up_to_date("man/pgmoneta.conf.5", OPTIONS);
    assert_up_to_date("man/pgmoneta_cli.conf.5", CLIENT_OPTIONS);
}

#[test]
fn every_metric_is_in_the_manual() {
    let mut text = String::from(".Bl -tag -width Ds\n");
    for metric in metrics() {
        let labels: Vec<&str> = metric.labels().collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            labels => format!("; labels {}", labels.join(", ")),
        };
        let (name, kind, help) = (metric.name, metric.kind.word(), metric.help);
        text.push_str(&format!(".It Li {name}\n{help} ({kind}{labels}).\n"));
    }
    text.push_str(".El\n");
    assert_list(
        "man/pgmoneta-metrics.7",
        [BEGIN_METRICS, END_METRICS],
        &text,
    );
}

fn assert_up_to_date(name: &str, options: &[Setting]) {
    assert_list(name, [BEGIN, END], &list(options));
}

/// The text between two marks of a file is this one.
fn assert_list(name: &str, [begin, end]: [&str; 2], text: &str) {
    let old = fs::read_to_string(path(name)).unwrap();
    let (before, rest) = old.split_once(begin).expect("the mark before the list");
    let (_, after) = rest.split_once(end).expect("the mark behind the list");
    let new = format!("{before}{begin}{text}{end}{after}");
    if std::env::var_os("PGMONETA_WRITE_MANUAL").is_some() {
        fs::write(path(name), &new).unwrap();
    }
    assert!(
        old == new,
        "{name} is not up to date; PGMONETA_WRITE_MANUAL=1 cargo test manual"
    );
}

/// The options as an mdoc(7) list.
fn list(options: &[Setting]) -> String {
    let mut text = String::from(".Bl -tag -width Ds\n");
    for option in options
        .iter()
        .filter(|option| option.support == Support::Active)
    {
        text.push_str(&format!(
            ".It Ic {} = Ar {}\n{}\n",
            option.key,
            value_name(&option.kind()),
            option.help
        ));
        text.push_str(&properties(option));
    }
    text.push_str(".El\n");
    let mut rest = String::new();
    for option in options {
        match option.support {
            Support::Active => continue,
            Support::Planned(what) => {
                rest.push_str(&format!(".It Ic {}\nBelongs to {what}.\n", option.key))
            }
            Support::Ignored(why) => {
                rest.push_str(&format!(".It Ic {}\nHas no effect: {why}.\n", option.key))
            }
        }
    }
    if !rest.is_empty() {
        text.push_str(&format!(
            ".Ss Options that do nothing in this version\n\
             They are known and checked; a warning at the start names those that are set.\n\
             .Bl -tag -width Ds\n{rest}.El\n"
        ));
    }
    text
}

/// Section, values, default and unit of an option.
fn properties(option: &Setting) -> String {
    let mut properties = Vec::new();
    match option.scope() {
        Scope::Main => {}
        Scope::Server => properties.push("In the section of a server".to_owned()),
        Scope::Both => properties
            .push("In either section; a server without it takes that of\n.Bq pgmoneta".to_owned()),
    }
    let kind = option.kind();
    if let ValueKind::Enum(words) | ValueKind::EnumList(words) = &kind {
        properties.push(format!("Values: {}", words.join(", ")));
    }
    if option.required {
        properties.push("Required".to_owned());
    } else if !option.default.is_empty() {
        properties.push(format!("Default: {}", option.default));
    }
    let unit = match kind {
        ValueKind::Time => "seconds",
        ValueKind::Size => "bytes",
        _ => "",
    };
    let unit = Some(option.unit)
        .filter(|unit| !unit.is_empty())
        .unwrap_or(unit);
    if !unit.is_empty() {
        properties.push(format!("A bare number means {unit}"));
    }
    properties
        .iter()
        .map(|property| format!("{property}.\n").replace("\n.Bq pgmoneta.\n", "\n.Bq pgmoneta .\n"))
        .collect()
}

fn value_name(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::Text => "text",
        ValueKind::Path => "path",
        ValueKind::Boolean => "on | off",
        ValueKind::Integer => "number",
        ValueKind::Time => "time",
        ValueKind::Size => "size",
        ValueKind::SizeOrPercentage => "size | percentage",
        ValueKind::Level => "number | auto",
        ValueKind::Retention => "days[, weeks[, months[, years]]]",
        ValueKind::Enum(_) => "word",
        ValueKind::EnumList(_) => "word[, word ...]",
        ValueKind::List(_) => "list",
    }
}

/// Every option and every implemented command of a program is in its manual page.
#[test]
fn every_command_line_is_in_the_manual() {
    for name in ["pgmoneta", "pgmoneta-cli", "pgmoneta-admin"] {
        let page = fs::read_to_string(path(&format!("man/{name}.1"))).unwrap();
        let mut helps = vec![help(name, &[])];
        let commands: Vec<String> = commands(&helps[0]);
        for command in &commands {
            assert!(
                page.contains(&format!(" {command}")),
                "{name} {command} is not in the manual"
            );
            helps.push(help(name, &[command]));
        }
        let mut options = 0;
        for word in helps
            .iter()
            .flat_map(|help| help.split([' ', '\n', '=', ',', '`']))
        {
            if let Some(option) = word.strip_prefix("--").filter(|option| !option.is_empty()) {
                assert!(
                    page.contains(&format!("Fl -{option}")),
                    "{name} --{option} is not in the manual"
                );
                options += 1;
            }
        }
        assert!(options > 3, "{name} has no options");
    }
}

/// The implemented commands and their options that a manual page lacks.
fn missing_commands(page: &str, table: &[&Command]) -> Vec<String> {
    let rows = table.iter().filter(|row| row.implemented);
    let words = rows.flat_map(|row| {
        let options = row.options.iter();
        let options = options.map(|option| (format!("Fl -{}", option.long), option.long.into()));
        let command = (format!(" {}", row.full_name()), row.full_name());
        std::iter::once(command).chain(options)
    });
    words
        .filter(|(text, _)| !page.contains(text))
        .map(|(_, name)| name)
        .collect()
}

#[test]
fn every_row_of_the_commands_is_in_the_help_and_in_the_manual() {
    static LABEL: Command = Command {
        words: ("relabel", None),
        name: "relabel",
        operands: &[Operand::SERVER, Operand::BACKUP],
        options: &[CommandOption::flag(
            "unseen",
            "Unseen",
            "Print nothing of it",
        )],
        summary: "Change the label of a backup",
        code: 12_345,
        implemented: true,
        ..Command::BASE
    };
    let page = fs::read_to_string(path("man/pgmoneta-cli.1")).unwrap();
    assert_eq!(missing_commands(&page, COMMANDS), Vec::<String>::new());
    let table = [COMMANDS, &[&LABEL]].concat();
    assert_eq!(missing_commands(&page, &table), ["relabel", "unseen"]);
    let mut command_line = command_line(&table);
    let help = command_line.render_help().to_string();
    for row in &table {
        assert!(help.contains(&format!("\n  {} ", row.words.0)), "{row}");
    }
    assert!(help.contains("Change the label of a backup\n"), "{help}");
    let relabel = command_line.find_subcommand_mut("relabel").unwrap();
    let help = relabel.render_help().to_string();
    for text in [
        "relabel <SERVER> <BACKUP>",
        "--unseen",
        "Print nothing of it",
    ] {
        assert!(help.contains(text), "{help}");
    }
}

fn help(name: &str, arguments: &[&str]) -> String {
    let output = Output::of(user().command(program(name)).args(arguments).arg("--help"));
    assert_eq!(output.status, 0, "{name} {arguments:?}: {output}");
    output.stdout
}

/// The commands that the help lists, except those that are not implemented.
fn commands(help: &str) -> Vec<String> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or("");
    let list = list.split("\n\n").next().unwrap();
    list.lines()
        .filter(|line| !line.contains("not implemented"))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| !["conf", "clear", "s3", "wal", "help"].contains(command))
        .map(str::to_owned)
        .collect()
}

/// Every key in the sample files is known and has an effect.
#[test]
fn the_keys_of_the_sample_files_are_known_and_active() {
    for (name, options) in [
        ("conf/pgmoneta.conf", OPTIONS),
        ("conf/pgmoneta_cli.conf", CLIENT_OPTIONS),
    ] {
        let text = fs::read_to_string(path(name)).unwrap();
        assert!(!keys(&text).is_empty(), "{name} has no keys");
        assert_eq!(inactive_keys(&text, options), [""; 0], "{name}");
    }
}

/// The texts that list the methods and their levels list all of them.
#[test]
fn every_method_is_in_the_sample_file_and_the_manual() {
    let sample = fs::read_to_string(path("conf/pgmoneta.conf")).unwrap();
    for names in [&Compression::NAMES[..], &Encryption::NAMES] {
        let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        assert!(sample.contains(&names.join(", ")), "{names:?}");
    }
    let mut rows = OPTIONS.iter();
    let level = rows.find(|row| row.key == "compression_level").unwrap();
    for compression in Compression::ALL.into_iter().skip(1) {
        let (lowest, highest) = compression.levels().into_inner();
        let range = format!("{compression}: {lowest} to {highest}");
        assert!(level.help.contains(&range), "{range}");
    }
}

fn keys(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let keys = lines.filter_map(|line| line.split_once(" = "));
    keys.map(|(key, _)| key).collect()
}

/// The keys of a sample file that are not known, or that have no effect.
fn inactive_keys<'a>(text: &'a str, options: &[Setting]) -> Vec<&'a str> {
    let active = |key: &str| {
        let mut options = options.iter();
        options.any(|option| option.key == key && option.support == Support::Active)
    };
    let keys = keys(text).into_iter();
    keys.filter(|key| !active(key)).collect()
}

/// The list "One more configuration key" in CONTRIBUTING.md: a row and its field are enough for the
/// manual, the sample file, the reader and the list of values.
#[test]
fn one_more_key_is_a_row_and_a_field() {
    // A field that no other row has stands for the new one.
    let row = Setting::new(
        "example_file",
        Field::Daemon(|config| &mut config.admins_path),
        "/example",
        "An example.",
    );
    let rows = [OPTIONS, &[row]].concat();
    let entry = ".It Ic example_file = Ar path\nAn example.\nDefault: /example.\n";
    assert!(list(&rows).contains(entry));

    let scratch = Scratch::new("one-more-key");
    let sample = fs::read_to_string(path("conf/pgmoneta.conf")).unwrap();
    let sample = sample.replace("/run/pgmoneta", &scratch.path().display().to_string());
    let read = |text: &str| {
        let files = Files {
            main: scratch.write("pgmoneta.conf", text),
            users: scratch.join("pgmoneta_users.conf"),
            admins: None,
        };
        assert!(Config::load(&files).is_err() || text == sample, "{text}");
        assert_eq!(inactive_keys(text, &rows), [""; 0]);
        let config = Config::load_by(&rows, &files).unwrap().config;
        let values = config.values(&rows).unwrap();
        let value = values.into_iter().find(|value| value.1 == "example_file");
        (config.admins_path, value.unwrap().2)
    };
    let default = (Some(PathBuf::from("/example")), "/example".to_owned());
    assert_eq!(read(&sample), default);
    let text = sample.replace("[pgmoneta]", "[pgmoneta]\nexample_file = /else/where");
    let set = (Some(PathBuf::from("/else/where")), "/else/where".to_owned());
    assert_eq!(read(&text), set);
}
