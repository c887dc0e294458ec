//! What the restored configuration would do to others: settings that name a place outside of the restored directory,
//! commits that wait for standbys of another server, WAL that goes into another server's archive. Each is put out of
//! force, or the person is told.

use super::Options;
use super::configuration::{Configuration, Entry, Known, Place};
use super::position::Role;
use super::recovery_files::AUTO_CONF;
use super::settings::{Lasting, Setting};

/// What is done about a setting.
enum Rule {
    /// The line becomes a comment: no later file can take it back.
    Comment(&'static str),
    /// Another value is set in `postgresql.auto.conf`.
    Override(&'static str, &'static str),
    /// The person is told.
    Tell(&'static str),
}

/// Settings that are looked at wherever they are set to something.
const ALWAYS: [(&str, Rule); 8] = [
    (
        "data_directory",
        Rule::Comment(
            "the server would start the cluster in that directory instead of the restored one",
        ),
    ),
    ("recovery_target", Rule::Comment(EARLIER)),
    ("recovery_target_lsn", Rule::Comment(EARLIER)),
    ("recovery_target_name", Rule::Comment(EARLIER)),
    ("recovery_target_time", Rule::Comment(EARLIER)),
    ("recovery_target_xid", Rule::Comment(EARLIER)),
    (
        "external_pid_file",
        Rule::Override("", "the pid file of another server would be overwritten"),
    ),
    (
        "restore_command",
        Rule::Tell("recovery does not use it; standbys of the restored server will"),
    ),
];

/// Settings that are looked at where they name an absolute path.
const ABSOLUTE: [(&str, Rule); 12] = [
    (
        "log_directory",
        Rule::Override("log", "the logs of two servers would be in one place"),
    ),
    (
        // PostgreSQL 13 and 14.
        "stats_temp_directory",
        Rule::Override(
            "pg_stat_tmp",
            "the statistics of another server would be overwritten",
        ),
    ),
    ("hba_file", Rule::Tell(READ)),
    ("ident_file", Rule::Tell(READ)),
    (
        "unix_socket_directories",
        Rule::Tell("the sockets of two servers with one port cannot be in one directory"),
    ),
    ("ssl_cert_file", Rule::Tell(READ)),
    ("ssl_key_file", Rule::Tell(READ)),
    ("ssl_ca_file", Rule::Tell(READ)),
    ("ssl_crl_file", Rule::Tell(READ)),
    ("ssl_crl_dir", Rule::Tell(READ)),
    ("ssl_dh_params_file", Rule::Tell(READ)),
    ("krb_server_keyfile", Rule::Tell(READ)),
];

const EARLIER: &str =
    "it is of an earlier recovery, and standbys of the restored server would stop there";
const READ: &str = "it is read from there, not from the backup";

/// What is done.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Settings for `postgresql.auto.conf`.
    pub lasting: Vec<Lasting>,
    /// Lines that become comments, not of `postgresql.auto.conf`.
    pub comments: Vec<Place>,
    /// What the person is told.
    pub warnings: Vec<String>,
}

impl Outside {
    /// Looks at a configuration.
    pub fn of(configuration: &Configuration, options: &Options, role: Role) -> Outside {
        let mut outside = Outside::default();
        outside.files(configuration);
        for (name, rule) in &ALWAYS {
            outside.apply(configuration, name, rule, |value| !value.is_empty());
        }
        for (name, rule) in &ABSOLUTE {
            outside.apply(configuration, name, rule, is_absolute);
        }
        outside.synchronous(configuration, options);
        outside.archive(configuration, options, role);
        outside
    }

    /// Files that the backup does not have, or PostgreSQL would not take.
    fn files(&mut self, configuration: &Configuration) {
        if !configuration.has_main && configuration.unread {
            self.tell(
                "the configuration of the server is not in its data directory: archive_command, and paths that are set \
                 there, could not be looked at",
            );
        }
        for (place, path) in &configuration.outside {
            let path = path.display();
            self.tell(format!(
                "{place} includes {path}: it is read from there, not from the restored directory"
            ));
        }
        for place in &configuration.wrong {
            self.tell(format!("{place}: PostgreSQL does not start with it"));
        }
    }

    fn apply(
        &mut self,
        configuration: &Configuration,
        name: &'static str,
        rule: &Rule,
        concerns: impl Fn(&[u8]) -> bool,
    ) {
        let names = [name];
        let mut lines: Vec<&Entry> = configuration.all(&names).collect();
        if !configuration.has_main && !matches!(rule, Rule::Override(..)) {
            // The person is told to look at those outside of the data directory.
            lines.retain(|entry| entry.place.file.is_relative());
        }
        match rule {
            Rule::Comment(why) => {
                // Each line: the one before would come into force.
                for entry in lines.into_iter().filter(|entry| concerns(&entry.value)) {
                    self.comment(entry, why);
                }
            }
            Rule::Override(value, why) => {
                let last = lines.last().filter(|entry| concerns(&entry.value));
                if let Some(entry) = last {
                    let to = if value.is_empty() { "off" } else { value };
                    self.tell(format!("{}: {why}; it is {to} now", shown(entry)));
                    self.set(name, value, why);
                }
            }
            Rule::Tell(why) => {
                let last = lines.last().filter(|entry| concerns(&entry.value));
                if let Some(entry) = last {
                    self.tell(format!("{}: {why}", shown(entry)));
                }
            }
        }
    }

    fn comment(&mut self, entry: &Entry, why: &str) {
        let file = &entry.place.file;
        if file.is_absolute() {
            self.tell(format!("{}: {why}; remove it there", shown(entry)));
            return;
        }
        self.tell(format!("{} is a comment now: {why}", shown(entry)));
        if file.as_os_str() != AUTO_CONF {
            self.comments.push(entry.place.clone());
        }
    }

    /// The first commit would wait for standbys that the restored server does not have.
    fn synchronous(&mut self, configuration: &Configuration, options: &Options) {
        const NAME: &str = "synchronous_standby_names";
        const WHY: &str = "commits do not wait for standbys that this server does not have";
        let was = match configuration.get(NAME) {
            Known::Unset => return,
            Known::Set(value) if value.trim_ascii().is_empty() => return,
            Known::Set(value) => String::from_utf8_lossy(value),
            Known::Unknown => "not known".into(),
        };
        if options.keep_synchronous {
            self.tell(format!(
                "{NAME} is kept ({was}): commits wait until these standbys have the WAL"
            ));
        } else {
            self.tell(format!(
                "{NAME} is off ({was} in the backup): {WHY}; --keep-synchronous keeps it"
            ));
            self.set(NAME, "", WHY);
        }
    }

    /// Two servers would archive into one place.
    fn archive(&mut self, configuration: &Configuration, options: &Options, role: Role) {
        if options.archive_off {
            self.tell("archive_mode is off");
            self.set(
                "archive_mode",
                "off",
                "this server does not archive its WAL",
            );
            return;
        }
        let mode = match configuration.get("archive_mode") {
            Known::Set(mode) => String::from_utf8_lossy(mode).to_ascii_lowercase(),
            Known::Unset | Known::Unknown => return,
        };
        if ["off", "false", "no", "0"].contains(&mode.as_str()) {
            return;
        }
        let names = ["archive_command", "archive_library"];
        for name in names {
            let Known::Set(value) = configuration.get(name) else {
                continue;
            };
            if value.is_empty() {
                continue;
            }
            let value = String::from_utf8_lossy(value);
            let when = match role {
                Role::Replica if mode != "always" => "once it is promoted",
                _ => "from its start on",
            };
            self.tell(format!(
                "archive_mode is {mode}: {when} the restored server archives its WAL with {name} = {value}, where the \
                 server that was backed up does; --archive-mode=off turns it off"
            ));
        }
    }

    fn tell(&mut self, warning: impl Into<String>) {
        self.warnings
            .push(warning.into().replace(['\n', '\r'], " "));
    }

    fn set(&mut self, name: &'static str, value: &str, why: &str) {
        self.lasting.push(Lasting {
            setting: Setting::new(name, value),
            why: why.to_owned(),
        });
    }
}

fn shown(entry: &Entry) -> String {
    let value = String::from_utf8_lossy(&entry.value);
    format!("{} = {value} ({})", entry.name, entry.place)
}

/// Whether a path, or one of several, is absolute.
fn is_absolute(value: &[u8]) -> bool {
    let mut parts = value.split(|&byte| byte == b',');
    parts.any(|part| {
        part.trim_ascii().trim_ascii_start().starts_with(b"/")
            || part.trim_ascii().starts_with(b"\"/")
    })
}

/// Makes comments of lines of a file, by their numbers.
pub(super) fn comment_out(content: &[u8], lines: &[usize]) -> Vec<u8> {
    let mut new = Vec::with_capacity(content.len() + 64);
    for (number, line) in (1..).zip(content.split_inclusive(|&byte| byte == b'\n')) {
        if lines.contains(&number) {
            new.extend_from_slice(b"# Put out of force by pgmoneta: ");
        }
        new.extend_from_slice(line);
    }
    new
}

#[cfg(test)]
mod tests {
    use super::super::configuration::tests::These;
    use super::*;

    fn of(main: &'static str, options: &Options) -> Outside {
        let files = These(vec![("postgresql.conf", main)]);
        Outside::of(
            &Configuration::read(&files).unwrap(),
            options,
            Role::Primary,
        )
    }

    fn set(outside: &Outside) -> Vec<String> {
        let settings = outside.lasting.iter();
        settings
            .map(|lasting| lasting.setting.to_string())
            .collect()
    }

    #[test]
    fn what_harms_nobody_is_left_alone() {
        let harmless = "port = 5432\nhba_file = 'pg_hba.conf'\nlog_directory = 'log'\nexternal_pid_file = ''\n\
                        synchronous_standby_names = ' '\narchive_mode = on\narchive_command = ''\nrecovery_target_name = ''\n\
                        # data_directory = '/x'\n";
        let outside = of(harmless, &Options::default());
        assert_eq!(outside.warnings, [""; 0]);
        assert!(outside.lasting.is_empty() && outside.comments.is_empty());
    }

    #[test]
    fn what_reaches_outside_is_put_out_of_force_or_told() {
        let outside = of(
            "data_directory = '/old'\nDATA_DIRECTORY = 'older'\nexternal_pid_file = '/run/pid'\nlog_directory = '/var/log/x'\n\
             hba_file = '/etc/pg_hba.conf'\nunix_socket_directories = 'x, /run/pg'\nrecovery_target_time = 'it''s past'\n",
            &Options::default(),
        );
        let lines: Vec<_> = outside.comments.iter().map(|place| place.line).collect();
        assert_eq!(lines, [1, 2, 7]);
        assert_eq!(
            set(&outside),
            ["external_pid_file =", "log_directory = log"]
        );
        assert_eq!(outside.warnings.len(), 7, "{:?}", outside.warnings);
        for word in [
            "/old",
            "older",
            "/run/pid",
            "/var/log/x",
            "/etc/pg_hba.conf",
            "x, /run/pg",
            "it's past",
        ] {
            assert!(
                outside
                    .warnings
                    .iter()
                    .any(|warning| warning.contains(word)),
                "{word}"
            );
        }
    }

    #[test]
    fn standbys_and_archives_of_others_are_not_used() {
        let main =
            "synchronous_standby_names = 'a, b'\narchive_mode = ON\narchive_command = 'cp %p /x'\n";
        let outside = of(main, &Options::default());
        assert_eq!(set(&outside), ["synchronous_standby_names ="]);
        assert!(
            outside.warnings[0].contains("a, b")
                && outside.warnings[0].contains("--keep-synchronous")
        );
        assert!(
            outside.warnings[1].contains("cp %p /x")
                && outside.warnings[1].contains("--archive-mode=off")
        );
        let options = Options {
            keep_synchronous: true,
            archive_off: true,
            ..Options::default()
        };
        assert_eq!(set(&of(main, &options)), ["archive_mode = off"]);
        // Where it may be set elsewhere.
        let nothing = Outside::of(&Configuration::unread(), &Options::default(), Role::Primary);
        assert_eq!(set(&nothing), ["synchronous_standby_names ="]);
    }

    #[test]
    fn lines_become_comments() {
        let text = b"a = 1\nb = 2\nc = 3";
        let new = comment_out(text, &[1, 3]);
        let wanted =
            b"# Put out of force by pgmoneta: a = 1\nb = 2\n# Put out of force by pgmoneta: c = 3";
        assert_eq!(new, wanted);
    }
}
