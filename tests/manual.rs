//! The manual pages, the sample files and the table of options are consistent.
//!
//! The list of options in `man/pgmoneta.conf.5` is generated from the table:
//! `PGMONETA_WRITE_MANUAL=1 cargo test manual` updates it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::harness::{Output, program, user};

use pgmoneta::codec::Compression;
use pgmoneta::config::{CLIENT_OPTIONS, OPTIONS, Scope, Setting, Support, ValueKind};
use pgmoneta::unit::Encryption;

const BEGIN: &str = ".\\\" The options, made from the table by tests/manual.rs\n";
const END: &str = ".\\\" The end of the options\n";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn every_option_is_in_the_manual() {
    assert_up_to_date("man/pgmoneta.conf.5", OPTIONS);
    assert_up_to_date("man/pgmoneta_cli.conf.5", CLIENT_OPTIONS);
}

fn assert_up_to_date(name: &str, options: &[Setting]) {
    let old = fs::read_to_string(path(name)).unwrap();
    let (before, rest) = old.split_once(BEGIN).expect("the mark before the options");
    let (_, after) = rest.split_once(END).expect("the mark behind the options");
    let new = format!("{before}{BEGIN}{}{END}{after}", list(options));
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
            value_name(option.kind),
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
            ".Ss Options that do nothing in this version\nThey are known and checked; a warning at the start names those that are set.\n\
             .Bl -tag -width Ds\n{rest}.El\n"
        ));
    }
    text
}

/// Section, values, default and unit of an option.
fn properties(option: &Setting) -> String {
    let mut properties = Vec::new();
    match option.scope {
        Scope::Main => {}
        Scope::Server => properties.push("In the section of a server".to_owned()),
        Scope::Both => properties
            .push("In either section; a server without it takes that of\n.Bq pgmoneta".to_owned()),
    }
    if let ValueKind::Enum(words) | ValueKind::EnumList(words) = option.kind {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        properties.push(format!("Values: {}", words.join(", ")));
    }
    if option.required {
        properties.push("Required".to_owned());
    } else if !option.default.is_empty() {
        properties.push(format!("Default: {}", option.default));
    }
    if !option.unit.is_empty() {
        properties.push(format!("A bare number means {}", option.unit));
    }
    properties
        .iter()
        .map(|property| format!("{property}.\n").replace("\n.Bq pgmoneta.\n", "\n.Bq pgmoneta .\n"))
        .collect()
}

fn value_name(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Text => "text",
        ValueKind::Path | ValueKind::PlainPath => "path",
        ValueKind::Pattern => "pattern",
        ValueKind::Boolean | ValueKind::InheritedBoolean => "on | off",
        ValueKind::Integer(..) => "number",
        ValueKind::Time(_) => "time",
        ValueKind::Size => "size",
        ValueKind::Rate | ValueKind::ServerRate => "size",
        ValueKind::Level => "number | auto",
        ValueKind::Retention => "days[, weeks[, months[, years]]]",
        ValueKind::Enum(_) => "word",
        ValueKind::EnumList(_) => "word[, word ...]",
        ValueKind::List(..) => "list",
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
        let known: BTreeSet<_> = options
            .iter()
            .filter(|option| option.support == Support::Active)
            .map(|option| option.key)
            .collect();
        let text = fs::read_to_string(path(name)).unwrap();
        let mut keys = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((key, _)) = line.split_once(" = ") {
                assert!(known.contains(key), "{name}: {key}");
                keys += 1;
            }
        }
        assert!(keys > 0, "{name} has no keys");
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
