//! Settings by which the restored server would affect others: paths outside of the restored
//! directory, commits that wait for standbys of another server, archiving into another server's
//! archive. Each is overridden, or the user is warned.

use super::Options;
use super::cluster_files::AUTO_CONF;
use super::configuration::{Configuration, Entry, Location, SettingState};
use super::recovery_target::Role;
use super::settings::{PermanentSetting, Setting};

/// How a setting is handled, and why.
enum Rule {
    /// The line is commented out, since no later file can unset it.
    Comment(&'static str),
    /// Another value is set in `postgresql.auto.conf`.
    Override(&'static str, &'static str),
    /// The user is warned.
    Warn(&'static str),
}

/// Rules for settings that are not empty.
const RULES: [(&str, Rule); 8] = [
    (
        "data_directory",
        Rule::Comment(
            "the server would start the cluster in that directory instead of the restored one",
        ),
    ),
    ("recovery_target", Rule::Comment(EARLIER_RECOVERY)),
    ("recovery_target_lsn", Rule::Comment(EARLIER_RECOVERY)),
    ("recovery_target_name", Rule::Comment(EARLIER_RECOVERY)),
    ("recovery_target_time", Rule::Comment(EARLIER_RECOVERY)),
    ("recovery_target_xid", Rule::Comment(EARLIER_RECOVERY)),
    (
        "external_pid_file",
        Rule::Override("", "the pid file of another server would be overwritten"),
    ),
    (
        "restore_command",
        Rule::Warn("recovery does not use it; standbys of the restored server will"),
    ),
];

/// Rules for settings with an absolute path.
const ABSOLUTE_PATH_RULES: [(&str, Rule); 12] = [
    (
        "log_directory",
        Rule::Override("log", "two servers would log to the same directory"),
    ),
    (
        // PostgreSQL 13 and 14.
        "stats_temp_directory",
        Rule::Override(
            "pg_stat_tmp",
            "the statistics of another server would be overwritten",
        ),
    ),
    ("hba_file", Rule::Warn(READ_FROM_THERE)),
    ("ident_file", Rule::Warn(READ_FROM_THERE)),
    (
        "unix_socket_directories",
        Rule::Warn("the sockets of two servers with one port cannot be in one directory"),
    ),
    ("ssl_cert_file", Rule::Warn(READ_FROM_THERE)),
    ("ssl_key_file", Rule::Warn(READ_FROM_THERE)),
    ("ssl_ca_file", Rule::Warn(READ_FROM_THERE)),
    ("ssl_crl_file", Rule::Warn(READ_FROM_THERE)),
    ("ssl_crl_dir", Rule::Warn(READ_FROM_THERE)),
    ("ssl_dh_params_file", Rule::Warn(READ_FROM_THERE)),
    ("krb_server_keyfile", Rule::Warn(READ_FROM_THERE)),
];

const EARLIER_RECOVERY: &str =
    "it belongs to an earlier recovery, and standbys of the restored server would stop there";
const READ_FROM_THERE: &str = "it is read from there, not from the backup";

/// The changes and warnings for these settings.
#[derive(Debug, Default)]
pub(super) struct ExternalEffects {
    /// Settings for `postgresql.auto.conf`.
    pub permanent: Vec<PermanentSetting>,
    /// Lines to comment out, without those of `postgresql.auto.conf`.
    pub comments: Vec<Location>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl ExternalEffects {
    /// Applies the rules to a configuration.
    pub fn find(configuration: &Configuration, options: &Options, role: Role) -> ExternalEffects {
        let mut effects = ExternalEffects::default();
        effects.files(configuration);
        for (name, rule) in &RULES {
            effects.apply(configuration, name, rule, |value| !value.is_empty());
        }
        for (name, rule) in &ABSOLUTE_PATH_RULES {
            effects.apply(configuration, name, rule, is_absolute);
        }
        effects.synchronous(configuration, options);
        effects.archive(configuration, options, role);
        effects
    }

    /// Warns of files that the backup lacks, and of lines that PostgreSQL refuses.
    fn files(&mut self, configuration: &Configuration) {
        if !configuration.has_main && configuration.incomplete {
            self.warn(
                "the configuration of the server is not in its data directory: archive_command, \
                 and paths that are set there, could not be checked",
            );
        }
        for (location, path) in &configuration.external_includes {
            let path = path.display();
            self.warn(format!(
                "{location} includes {path}: it is read from there, not from the restored directory"
            ));
        }
        for location in &configuration.errors {
            self.warn(format!("{location}: PostgreSQL does not start with it"));
        }
    }

    fn apply(
        &mut self,
        configuration: &Configuration,
        name: &'static str,
        rule: &Rule,
        applies: impl Fn(&[u8]) -> bool,
    ) {
        let names = [name];
        let mut lines: Vec<&Entry> = configuration.all(&names).collect();
        if !configuration.has_main && !matches!(rule, Rule::Override(..)) {
            // The user is told to check those outside of the data directory.
            lines.retain(|entry| entry.location.file.is_relative());
        }
        match rule {
            Rule::Comment(why) => {
                // Every line, since otherwise an earlier one would take effect.
                for entry in lines.into_iter().filter(|entry| applies(&entry.value)) {
                    self.comment(entry, why);
                }
            }
            Rule::Override(value, why) => {
                let last = lines.last().filter(|entry| applies(&entry.value));
                if let Some(entry) = last {
                    let to = if value.is_empty() { "off" } else { value };
                    self.warn(format!("{}: {why}; it is {to} now", describe(entry)));
                    self.set(name, value, why);
                }
            }
            Rule::Warn(why) => {
                let last = lines.last().filter(|entry| applies(&entry.value));
                if let Some(entry) = last {
                    self.warn(format!("{}: {why}", describe(entry)));
                }
            }
        }
    }

    fn comment(&mut self, entry: &Entry, why: &str) {
        let file = &entry.location.file;
        if file.is_absolute() {
            self.warn(format!("{}: {why}; remove that line", describe(entry)));
            return;
        }
        self.warn(format!("{} is commented out: {why}", describe(entry)));
        if file.as_os_str() != AUTO_CONF {
            self.comments.push(entry.location.clone());
        }
    }

    /// Commits would wait for standbys that the restored server does not have.
    fn synchronous(&mut self, configuration: &Configuration, options: &Options) {
        const NAME: &str = "synchronous_standby_names";
        const WHY: &str = "commits do not wait for standbys that this server does not have";
        let was = match configuration.get(NAME) {
            SettingState::Unset => return,
            SettingState::Set(value) if value.trim_ascii().is_empty() => return,
            SettingState::Set(value) => String::from_utf8_lossy(value),
            SettingState::Unknown => "unknown".into(),
        };
        if options.keep_synchronous {
            self.warn(format!(
                "{NAME} is kept ({was}): commits wait until these standbys have the WAL"
            ));
        } else {
            self.warn(format!(
                "{NAME} is off ({was} in the backup): {WHY}; --keep-synchronous keeps it"
            ));
            self.set(NAME, "", WHY);
        }
    }

    /// Two servers would archive into the same directory.
    fn archive(&mut self, configuration: &Configuration, options: &Options, role: Role) {
        if options.archive_off {
            self.warn("archive_mode is off");
            self.set(
                "archive_mode",
                "off",
                "this server does not archive its WAL",
            );
            return;
        }
        let mode = match configuration.get("archive_mode") {
            SettingState::Set(mode) => String::from_utf8_lossy(mode).to_ascii_lowercase(),
            SettingState::Unset | SettingState::Unknown => return,
        };
        if ["off", "false", "no", "0"].contains(&mode.as_str()) {
            return;
        }
        let names = ["archive_command", "archive_library"];
        for name in names {
            let SettingState::Set(value) = configuration.get(name) else {
                continue;
            };
            if value.is_empty() {
                continue;
            }
            let value = String::from_utf8_lossy(value);
            let when = match role {
                Role::Replica if mode != "always" => "once it is promoted",
                _ => "from its start",
            };
            self.warn(format!(
                "archive_mode is {mode}: {when} the restored server archives its WAL with {name} = \
                 {value}, like the server that was backed up; --archive-mode=off turns it off"
            ));
        }
    }

    fn warn(&mut self, warning: impl Into<String>) {
        self.warnings
            .push(warning.into().replace(['\n', '\r'], " "));
    }

    fn set(&mut self, name: &'static str, value: &str, why: &str) {
        self.permanent.push(PermanentSetting {
            setting: Setting::new(name, value),
            why: why.to_owned(),
        });
    }
}

fn describe(entry: &Entry) -> String {
    let value = String::from_utf8_lossy(&entry.value);
    format!("{} = {value} ({})", entry.name, entry.location)
}

/// Whether a path, or one in a comma-separated list, is absolute.
fn is_absolute(value: &[u8]) -> bool {
    let mut parts = value.split(|&byte| byte == b',');
    parts.any(|part| {
        part.trim_ascii().trim_ascii_start().starts_with(b"/")
            || part.trim_ascii().starts_with(b"\"/")
    })
}

/// Comments out lines of a file; numbers from 1 on.
pub(super) fn comment_out(content: &[u8], lines: &[usize]) -> Vec<u8> {
    let mut new = Vec::with_capacity(content.len() + 64);
    for (number, line) in (1..).zip(content.split_inclusive(|&byte| byte == b'\n')) {
        if lines.contains(&number) {
            new.extend_from_slice(b"# Disabled by pgmoneta: ");
        }
        new.extend_from_slice(line);
    }
    new
}

#[cfg(test)]
mod tests {
    use super::super::configuration::tests::TestFiles;
    use super::*;

    fn find(main: &'static str, options: &Options) -> ExternalEffects {
        let files = TestFiles(vec![("postgresql.conf", main)]);
        ExternalEffects::find(
            &Configuration::read(&files).unwrap(),
            options,
            Role::Primary,
        )
    }

    fn set(effects: &ExternalEffects) -> Vec<String> {
        let settings = effects.permanent.iter();
        settings
            .map(|permanent| permanent.setting.to_string())
            .collect()
    }

    #[test]
    fn harmless_settings_are_not_changed() {
        let harmless = "port = 5432\nhba_file = 'pg_hba.conf'\nlog_directory = 'log'\n\
            external_pid_file = ''\n\
                        synchronous_standby_names = ' '\narchive_mode = on\narchive_command = ''\n\
                        recovery_target_name = ''\n\
                        # data_directory = '/x'\n";
        let effects = find(harmless, &Options::default());
        assert_eq!(effects.warnings, [""; 0]);
        assert!(effects.permanent.is_empty() && effects.comments.is_empty());
    }

    #[test]
    fn settings_with_external_paths_are_overridden_or_reported() {
        let effects = find(
            "data_directory = '/old'\nDATA_DIRECTORY = 'older'\nexternal_pid_file = '/run/pid'\n\
             log_directory = '/var/log/x'\n\
             hba_file = '/etc/pg_hba.conf'\nunix_socket_directories = 'x, /run/pg'\n\
             recovery_target_time = 'it''s past'\n",
            &Options::default(),
        );
        let lines: Vec<_> = effects
            .comments
            .iter()
            .map(|location| location.line)
            .collect();
        assert_eq!(lines, [1, 2, 7]);
        assert_eq!(
            set(&effects),
            ["external_pid_file =", "log_directory = log"]
        );
        assert_eq!(effects.warnings.len(), 7, "{:?}", effects.warnings);
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
                effects
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
        let effects = find(main, &Options::default());
        assert_eq!(set(&effects), ["synchronous_standby_names ="]);
        assert!(
            effects.warnings[0].contains("a, b")
                && effects.warnings[0].contains("--keep-synchronous")
        );
        assert!(
            effects.warnings[1].contains("cp %p /x")
                && effects.warnings[1].contains("--archive-mode=off")
        );
        let options = Options {
            keep_synchronous: true,
            archive_off: true,
            ..Options::default()
        };
        assert_eq!(set(&find(main, &options)), ["archive_mode = off"]);
        // An unknown file may set it.
        let unknown = ExternalEffects::find(
            &Configuration::incomplete(),
            &Options::default(),
            Role::Primary,
        );
        assert_eq!(set(&unknown), ["synchronous_standby_names ="]);
    }

    #[test]
    fn lines_are_commented_out() {
        let text = b"a = 1\nb = 2\nc = 3";
        let new = comment_out(text, &[1, 3]);
        let expected = b"# Disabled by pgmoneta: a = 1\nb = 2\n# Disabled by pgmoneta: c = 3";
        assert_eq!(new, expected);
    }
}
