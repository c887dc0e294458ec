//! The configuration files of the backup, parsed as PostgreSQL will read them.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::cluster_files::AUTO_CONF;
use crate::error::Result;
use crate::format::ConfigurationLine;

/// The directives that include other files.
const INCLUDES: [&str; 3] = ["include", "include_if_exists", "include_dir"];

/// The maximum depth of includes (`CONF_FILE_MAX_DEPTH`, PostgreSQL 18 `conffiles.h`).
const MAX_INCLUDE_DEPTH: usize = 10;

/// The files of a backup. Paths in the data directory are relative to it; others are absolute, as
/// on the original server.
pub(super) trait ConfigSource {
    /// The path of `postgresql.conf`, which may be outside of the data directory.
    fn main(&self) -> Option<PathBuf>;
    /// The content of a file; `None` if it does not exist.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>>;
    /// The paths of the files in a directory.
    fn list(&self, directory: &Path) -> Vec<PathBuf>;
}

/// The settings of the configuration files, in the order in which PostgreSQL reads them.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    entries: Vec<Entry>,
    /// Whether the main file is in the data directory.
    pub has_main: bool,
    /// Whether the backup lacks some of the files.
    pub incomplete: bool,
    /// Includes in the data directory of files outside of it: the line, and the path.
    pub external_includes: Vec<(Location, PathBuf)>,
    /// Invalid lines and missing included files, with which PostgreSQL does not start.
    pub errors: Vec<String>,
}

/// A line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Location {
    /// Relative to the data directory; absolute if it is outside of that.
    pub file: PathBuf,
    /// Line number, from 1 on.
    pub line: usize,
}

/// A line that sets a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub location: Location,
    /// In lower case.
    pub name: String,
    pub value: Vec<u8>,
}

/// The value of a setting after all files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SettingState<'a> {
    Set(&'a [u8]),
    /// Not set: PostgreSQL uses its default.
    Unset,
    /// A file that the backup lacks may set it.
    Unknown,
}

impl Configuration {
    /// Reads `postgresql.conf` with its includes, then `postgresql.auto.conf`.
    pub fn read(files: &dyn ConfigSource) -> Result<Configuration> {
        let mut configuration = Configuration::default();
        match files.main() {
            Some(main) => {
                configuration.has_main = main.is_relative();
                configuration.read_file(files, &main, 0)?;
            }
            None => configuration.incomplete = true,
        }
        configuration.read_file(files, Path::new(AUTO_CONF), 0)?;
        Ok(configuration)
    }

    /// All lines that set one of `names`.
    pub fn all<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a Entry> {
        let entries = self.entries.iter();
        entries.filter(|entry| names.contains(&entry.name.as_str()))
    }

    /// The value of a setting, from the last line that sets it.
    pub fn get(&self, name: &str) -> SettingState<'_> {
        let last = self.entries.iter().rfind(|entry| entry.name == name);
        match last {
            Some(entry) if !self.incomplete || entry.location.file == Path::new(AUTO_CONF) => {
                SettingState::Set(&entry.value)
            }
            None if !self.incomplete => SettingState::Unset,
            _ => SettingState::Unknown,
        }
    }

    /// Reads a file; returns whether it exists.
    fn read_file(&mut self, files: &dyn ConfigSource, path: &Path, depth: usize) -> Result<bool> {
        let Some(content) = files.read(path)? else {
            return Ok(false);
        };
        for (number, line) in (1..).zip(content.split(|&byte| byte == b'\n')) {
            let location = || Location {
                file: path.to_owned(),
                line: number,
            };
            match ConfigurationLine::parse(line) {
                ConfigurationLine::Empty => {}
                ConfigurationLine::Invalid => self.errors.push(location().to_string()),
                ConfigurationLine::Setting { name, value } if INCLUDES.contains(&name.as_str()) => {
                    self.include(files, location(), &name, &value, depth)?;
                }
                ConfigurationLine::Setting { name, value } => self.entries.push(Entry {
                    location: location(),
                    name,
                    value,
                }),
            }
        }
        Ok(true)
    }

    fn include(
        &mut self,
        files: &dyn ConfigSource,
        location: Location,
        how: &str,
        value: &[u8],
        depth: usize,
    ) -> Result<()> {
        let path = Path::new(std::ffi::OsStr::from_bytes(value));
        let directory = location.file.parent().unwrap_or(Path::new(""));
        let Some(included) = resolve(directory, path) else {
            self.incomplete = true;
            self.external_includes.push((location, path.to_owned()));
            return Ok(());
        };
        if depth >= MAX_INCLUDE_DEPTH {
            self.errors.push(location.to_string());
            return Ok(());
        }
        let mut found = vec![included.clone()];
        if how == "include_dir" {
            found = files.list(&included);
            found.retain(|path| is_included(path));
            found.sort_by(|one, other| bytes(one).cmp(bytes(other)));
        }
        let mut exists = false;
        for path in found {
            exists |= self.read_file(files, &path, depth + 1)?;
        }
        if included.is_absolute() {
            // It may exist although the backup lacks it.
            self.incomplete |= !exists;
            if location.file.is_relative() {
                self.external_includes.push((location, path.to_owned()));
            }
        } else if !exists && how == "include" {
            self.errors
                .push(format!("{location}: {}", included.display()));
        }
        Ok(())
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} line {}", self.file.display(), self.line)
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// Resolves `path` against `directory`; `None` if it leaves the data directory by `..`.
fn resolve(directory: &Path, path: &Path) -> Option<PathBuf> {
    let mut resolved = PathBuf::new();
    for component in directory.join(path).components() {
        match component {
            Component::Normal(name) => resolved.push(name),
            Component::ParentDir => {
                if !resolved.pop() && resolved.is_relative() {
                    return None;
                }
            }
            Component::RootDir => resolved.push("/"),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Some(resolved)
}

/// Whether `include_dir` includes a file (`GetConfFilesInDir`, PostgreSQL 18 `conffiles.c`).
fn is_included(path: &Path) -> bool {
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    name.len() >= 6 && !name.starts_with(b".") && name.ends_with(b".conf")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    impl Configuration {
        /// A configuration of which no file is known.
        pub fn incomplete() -> Configuration {
            Configuration {
                incomplete: true,
                ..Configuration::default()
            }
        }
    }

    /// Files in memory: path and content.
    pub struct TestFiles(pub Vec<(&'static str, &'static str)>);

    impl ConfigSource for TestFiles {
        fn main(&self) -> Option<PathBuf> {
            let mut paths = self.0.iter().map(|(name, _)| Path::new(name));
            let main = paths.find(|path| path.file_name() == Some("postgresql.conf".as_ref()));
            main.map(Path::to_owned)
        }

        fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
            let mut all = self.0.iter();
            let found = all.find(|(name, _)| Path::new(name) == path);
            Ok(found.map(|(_, content)| content.as_bytes().to_vec()))
        }

        fn list(&self, directory: &Path) -> Vec<PathBuf> {
            let paths = self.0.iter().map(|(name, _)| PathBuf::from(name));
            paths
                .filter(|path| path.parent() == Some(directory))
                .collect()
        }
    }

    #[test]
    fn the_last_line_sets_the_value() {
        let configuration = Configuration::read(&TestFiles(vec![
            (
                "postgresql.conf",
                "port = 1\nPORT = 2\ninclude_dir = 'conf.d'\n\
                 include_if_exists 'none'\nlisten_addresses = '*'",
            ),
            ("conf.d/20.conf", "port = 20\ninclude '../more'\n"),
            ("conf.d/10.conf", "port = 10\n"),
            ("conf.d/.30.conf", "port = 30\n"),
            ("conf.d/40", "port = 40\n"),
            ("more", "work_mem = '1MB'"),
            ("postgresql.auto.conf", "work_mem = '2MB'\n"),
        ]))
        .unwrap();
        assert_eq!(configuration.get("port"), SettingState::Set(b"20"));
        assert_eq!(configuration.get("work_mem"), SettingState::Set(b"2MB"));
        assert_eq!(configuration.get("max_connections"), SettingState::Unset);
        let locations: Vec<_> = configuration
            .all(&["port"])
            .map(|entry| entry.location.to_string())
            .collect();
        assert_eq!(
            locations,
            [
                "postgresql.conf line 1",
                "postgresql.conf line 2",
                "conf.d/10.conf line 1",
                "conf.d/20.conf line 1"
            ]
        );
        assert!(
            configuration.has_main
                && configuration.external_includes.is_empty()
                && configuration.errors.is_empty()
        );
    }

    #[test]
    fn settings_are_unknown_if_a_file_outside_is_missing() {
        let configuration = Configuration::read(&TestFiles(vec![
            (
                "postgresql.conf",
                "port = 1\ninclude '/etc/x.conf'\ninclude 'none'\ninclude_dir = '../y'\nwrong\n",
            ),
            ("postgresql.auto.conf", "work_mem = '2MB'\n"),
        ]))
        .unwrap();
        assert_eq!(configuration.get("port"), SettingState::Unknown);
        assert_eq!(configuration.get("work_mem"), SettingState::Set(b"2MB"));
        let external_includes: Vec<_> = configuration
            .external_includes
            .iter()
            .map(|(_, path)| path.to_str())
            .collect();
        assert_eq!(external_includes, [Some("/etc/x.conf"), Some("../y")]);
        assert_eq!(
            configuration.errors,
            ["postgresql.conf line 3: none", "postgresql.conf line 5"]
        );
        let none = Configuration::read(&TestFiles(vec![])).unwrap();
        assert_eq!(none.get("port"), SettingState::Unknown);
        let debian = Configuration::read(&TestFiles(vec![
            (
                "/etc/pg/postgresql.conf",
                "port = 1\ninclude_dir = 'conf.d'",
            ),
            ("/etc/pg/conf.d/x.conf", "port = 2\ninclude '../y'"),
            ("/etc/pg/y", "work_mem = '2MB'"),
        ]))
        .unwrap();
        assert_eq!(debian.get("port"), SettingState::Set(b"2"));
        assert_eq!(debian.get("work_mem"), SettingState::Set(b"2MB"));
        assert_eq!(debian.get("max_connections"), SettingState::Unset);
        assert!(!debian.has_main && debian.external_includes.is_empty());
    }

    #[test]
    fn recursive_includes_are_limited() {
        let files = TestFiles(vec![(
            "postgresql.conf",
            "include 'postgresql.conf'\nport = 1",
        )]);
        let configuration = Configuration::read(&files).unwrap();
        assert_eq!(configuration.errors.len(), 1);
    }
}
