//! The configuration with which the restored server will start, as far as the backup has it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::recovery_files::AUTO_CONF;
use crate::error::Result;
use crate::format::ConfigurationLine;

/// The names that include other files.
const INCLUDES: [&str; 3] = ["include", "include_if_exists", "include_dir"];

/// How deep files may include each other (`CONF_FILE_MAX_DEPTH`, PostgreSQL 18 `conffiles.h`).
const DEEPEST: usize = 10;

/// The files of a backup. Paths in the data directory are relative to it; others are absolute, as on the old server.
pub(super) trait Files {
    /// The main configuration file.
    fn main(&self) -> Option<PathBuf>;
    /// The content of a file; `None` if there is none.
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
    /// Whether there are files that the backup does not have.
    pub unread: bool,
    /// What the files in the data directory include from outside of it: the line that does, and the path.
    pub outside: Vec<(Place, PathBuf)>,
    /// Lines, and files that are included and not there, for which PostgreSQL refuses to start.
    pub wrong: Vec<String>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Relative to the data directory; absolute if it is outside of that.
    pub file: PathBuf,
    /// From 1 on.
    pub line: usize,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub place: Place,
    /// In lower case.
    pub name: String,
    pub value: Vec<u8>,
}

/// What a setting will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known<'a> {
    /// It is set to this.
    Set(&'a [u8]),
    /// It is not set.
    Unset,
    /// A file that the backup does not have may set it.
    Unknown,
}

impl Configuration {
    /// Reads the files: `postgresql.conf` with what it includes, then `postgresql.auto.conf`.
    pub fn read(files: &dyn Files) -> Result<Configuration> {
        let mut configuration = Configuration::default();
        match files.main() {
            Some(main) => {
                configuration.has_main = main.is_relative();
                configuration.file(files, &main, 0)?;
            }
            None => configuration.unread = true,
        }
        configuration.file(files, Path::new(AUTO_CONF), 0)?;
        Ok(configuration)
    }

    /// All lines that set a setting, or any of several.
    pub fn all<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a Entry> {
        let entries = self.entries.iter();
        entries.filter(|entry| names.contains(&entry.name.as_str()))
    }

    /// What a setting will be: the last line counts.
    pub fn get(&self, name: &str) -> Known<'_> {
        let last = self.entries.iter().rfind(|entry| entry.name == name);
        match last {
            Some(entry) if !self.unread || entry.place.file == Path::new(AUTO_CONF) => {
                Known::Set(&entry.value)
            }
            None if !self.unread => Known::Unset,
            _ => Known::Unknown,
        }
    }

    /// Whether there was such a file.
    fn file(&mut self, files: &dyn Files, path: &Path, depth: usize) -> Result<bool> {
        let Some(content) = files.read(path)? else {
            return Ok(false);
        };
        for (number, line) in (1..).zip(content.split(|&byte| byte == b'\n')) {
            let place = || Place {
                file: path.to_owned(),
                line: number,
            };
            match ConfigurationLine::parse(line) {
                ConfigurationLine::Empty => {}
                ConfigurationLine::Wrong => self.wrong.push(place().to_string()),
                ConfigurationLine::Setting { name, value } if INCLUDES.contains(&name.as_str()) => {
                    self.include(files, place(), &name, &value, depth)?;
                }
                ConfigurationLine::Setting { name, value } => self.entries.push(Entry {
                    place: place(),
                    name,
                    value,
                }),
            }
        }
        Ok(true)
    }

    fn include(
        &mut self,
        files: &dyn Files,
        place: Place,
        how: &str,
        value: &[u8],
        depth: usize,
    ) -> Result<()> {
        let path = Path::new(std::ffi::OsStr::from_bytes(value));
        let directory = place.file.parent().unwrap_or(Path::new(""));
        let Some(target) = resolve(directory, path) else {
            self.unread = true;
            self.outside.push((place, path.to_owned()));
            return Ok(());
        };
        if depth >= DEEPEST {
            self.wrong.push(place.to_string());
            return Ok(());
        }
        let mut found = vec![target.clone()];
        if how == "include_dir" {
            found = files.list(&target);
            found.retain(|path| is_configuration(path));
            found.sort_by(|one, other| bytes(one).cmp(bytes(other)));
        }
        let mut there = false;
        for path in found {
            there |= self.file(files, &path, depth + 1)?;
        }
        if target.is_absolute() {
            // What the backup does not have may be there all the same.
            self.unread |= !there;
            if place.file.is_relative() {
                self.outside.push((place, path.to_owned()));
            }
        } else if !there && how == "include" {
            self.wrong.push(format!("{place}: {}", target.display()));
        }
        Ok(())
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} line {}", self.file.display(), self.line)
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// `path`, said in a file in `directory`; `None` if it leaves the data directory by `..`, which may be anywhere.
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

/// Whether `include_dir` takes a file (`GetConfFilesInDir`, PostgreSQL 18 `conffiles.c`).
fn is_configuration(path: &Path) -> bool {
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    name.len() >= 6 && !name.starts_with(b".") && name.ends_with(b".conf")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    impl Configuration {
        /// One of which nothing is known.
        pub fn unread() -> Configuration {
            Configuration {
                unread: true,
                ..Configuration::default()
            }
        }
    }

    /// Files with their contents.
    pub struct These(pub Vec<(&'static str, &'static str)>);

    impl Files for These {
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
    fn the_last_line_counts() {
        let configuration = Configuration::read(&These(vec![
            ("postgresql.conf", "port = 1\nPORT = 2\ninclude_dir = 'conf.d'\ninclude_if_exists 'none'\nlisten_addresses = '*'"),
            ("conf.d/20.conf", "port = 20\ninclude '../more'\n"),
            ("conf.d/10.conf", "port = 10\n"),
            ("conf.d/.30.conf", "port = 30\n"),
            ("conf.d/40", "port = 40\n"),
            ("more", "work_mem = '1MB'"),
            ("postgresql.auto.conf", "work_mem = '2MB'\n"),
        ]))
        .unwrap();
        assert_eq!(configuration.get("port"), Known::Set(b"20"));
        assert_eq!(configuration.get("work_mem"), Known::Set(b"2MB"));
        assert_eq!(configuration.get("max_connections"), Known::Unset);
        let places: Vec<_> = configuration
            .all(&["port"])
            .map(|entry| entry.place.to_string())
            .collect();
        assert_eq!(
            places,
            [
                "postgresql.conf line 1",
                "postgresql.conf line 2",
                "conf.d/10.conf line 1",
                "conf.d/20.conf line 1"
            ]
        );
        assert!(
            configuration.has_main
                && configuration.outside.is_empty()
                && configuration.wrong.is_empty()
        );
    }

    #[test]
    fn what_is_outside_is_not_known() {
        let configuration = Configuration::read(&These(vec![
            (
                "postgresql.conf",
                "port = 1\ninclude '/etc/x.conf'\ninclude 'none'\ninclude_dir = '../y'\nwrong\n",
            ),
            ("postgresql.auto.conf", "work_mem = '2MB'\n"),
        ]))
        .unwrap();
        assert_eq!(configuration.get("port"), Known::Unknown);
        assert_eq!(configuration.get("work_mem"), Known::Set(b"2MB"));
        let outside: Vec<_> = configuration
            .outside
            .iter()
            .map(|(_, path)| path.to_str())
            .collect();
        assert_eq!(outside, [Some("/etc/x.conf"), Some("../y")]);
        assert_eq!(
            configuration.wrong,
            ["postgresql.conf line 3: none", "postgresql.conf line 5"]
        );
        let none = Configuration::read(&These(vec![])).unwrap();
        assert_eq!(none.get("port"), Known::Unknown);
        let debian = Configuration::read(&These(vec![
            (
                "/etc/pg/postgresql.conf",
                "port = 1\ninclude_dir = 'conf.d'",
            ),
            ("/etc/pg/conf.d/x.conf", "port = 2\ninclude '../y'"),
            ("/etc/pg/y", "work_mem = '2MB'"),
        ]))
        .unwrap();
        assert_eq!(debian.get("port"), Known::Set(b"2"));
        assert_eq!(debian.get("work_mem"), Known::Set(b"2MB"));
        assert_eq!(debian.get("max_connections"), Known::Unset);
        assert!(!debian.has_main && debian.outside.is_empty());
    }

    #[test]
    fn files_that_include_themselves_end() {
        let files = These(vec![(
            "postgresql.conf",
            "include 'postgresql.conf'\nport = 1",
        )]);
        let configuration = Configuration::read(&files).unwrap();
        assert_eq!(configuration.wrong.len(), 1);
    }
}
