//! Where the configuration files are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::problem::invalid;
use crate::error::{Error, ErrorKind, Result};

/// The directory of the files where no option and no environment variable names another one.
const DEFAULT_DIRECTORY: &str = "/etc/pgmoneta";

/// The environment variable that is used where `-D` is not given.
pub const DIRECTORY_VARIABLE: &str = "PGMONETA_CONFIG_DIR";

/// The configuration files of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// `pgmoneta.conf` or `pgmoneta.toml`.
    pub main: PathBuf,
    /// `pgmoneta_users.conf`, credentials for PostgreSQL; empty where it is not needed.
    pub users: PathBuf,
    /// `pgmoneta_admins.conf`, credentials for remote management, if it exists.
    pub admins: Option<PathBuf>,
}

/// The options of the command line that name configuration files.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// `-c`: the main file.
    pub main: Option<PathBuf>,
    /// `-u`: the users file.
    pub users: Option<PathBuf>,
    /// `-A`: the admins file.
    pub admins: Option<PathBuf>,
    /// `-D`: the directory of the files that are not named.
    pub directory: Option<PathBuf>,
}

/// Finds the configuration files: each one by its option, else by its name in the given directory
/// (`-D`, else `PGMONETA_CONFIG_DIR`) if it exists there, else in `/etc/pgmoneta`. The main file
/// may be `pgmoneta.conf` or `pgmoneta.toml`.
pub fn locate(options: &FileOptions) -> Result<Files> {
    let variable = std::env::var_os(DIRECTORY_VARIABLE);
    locate_in(options, variable.as_deref(), Path::new(DEFAULT_DIRECTORY))
}

/// Finds the main file only, for programs that need no other file.
pub fn locate_main(options: &FileOptions) -> Result<Files> {
    let variable = std::env::var_os(DIRECTORY_VARIABLE);
    Ok(Files {
        main: Search::new(options, variable.as_deref(), Path::new(DEFAULT_DIRECTORY))?
            .main(options)?,
        users: PathBuf::new(),
        admins: None,
    })
}

fn locate_in(options: &FileOptions, variable: Option<&OsStr>, default: &Path) -> Result<Files> {
    let search = Search::new(options, variable, default)?;
    Ok(Files {
        main: search.main(options)?,
        users: search
            .find(&options.users, "-u", &["pgmoneta_users.conf"])?
            .ok_or_else(|| search.missing("-u", "pgmoneta_users.conf"))?,
        admins: search.find(&options.admins, "-A", &["pgmoneta_admins.conf"])?,
    })
}

/// The directories to search, in this order.
struct Search<'a>(Vec<&'a Path>);

impl<'a> Search<'a> {
    fn new(
        options: &'a FileOptions,
        variable: Option<&'a OsStr>,
        default: &'a Path,
    ) -> Result<Search<'a>> {
        let directory = match (&options.directory, variable) {
            (Some(directory), _) => Some(check_directory(directory, "-D")?),
            (None, Some(directory)) => {
                Some(check_directory(Path::new(directory), DIRECTORY_VARIABLE)?)
            }
            (None, None) => None,
        };
        Ok(Search(directory.into_iter().chain([default]).collect()))
    }

    fn main(&self, options: &FileOptions) -> Result<PathBuf> {
        self.find(&options.main, "-c", &["pgmoneta.conf", "pgmoneta.toml"])?
            .ok_or_else(|| self.missing("-c", "pgmoneta.conf"))
    }

    fn find(
        &self,
        given: &Option<PathBuf>,
        option: &str,
        names: &[&str],
    ) -> Result<Option<PathBuf>> {
        match given {
            Some(path) => check_file(path, option).map(|()| Some(path.clone())),
            None => search(&self.0, names),
        }
    }

    fn missing(&self, option: &str, name: &str) -> Error {
        let directories = self
            .0
            .iter()
            .map(|directory| directory.display().to_string());
        let directories: Vec<String> = directories.collect();
        let message = format!("there is no {name} in {}", directories.join(" or "));
        Error::new(ErrorKind::NotFound, message).with_hint(format!("name the file with {option}"))
    }
}

fn check_directory<'a>(directory: &'a Path, origin: &str) -> Result<&'a Path> {
    let problem = |what: &str| invalid(format!("{origin}: {}: {what}", directory.display()));
    match directory.metadata() {
        Err(error) => Err(problem(&error.to_string())),
        Ok(metadata) if !metadata.is_dir() => Err(problem("it is not a directory")),
        Ok(_) => match directory.read_dir() {
            Err(error) => Err(problem(&error.to_string())),
            Ok(_) => Ok(directory),
        },
    }
}

fn check_file(path: &Path, option: &str) -> Result<()> {
    match path.metadata() {
        Err(error) => Err(invalid(format!("{option}: {}: {error}", path.display()))),
        Ok(metadata) if !metadata.is_file() => Err(invalid(format!(
            "{option}: {} is not a file",
            path.display()
        ))),
        Ok(_) => Ok(()),
    }
}

/// The file with one of the names in the first directory that has one; two in one directory are an
/// error.
fn search(directories: &[&Path], names: &[&str]) -> Result<Option<PathBuf>> {
    for directory in directories {
        let paths = names.iter().map(|name| directory.join(name));
        let paths: Vec<PathBuf> = paths.filter(|path| path.exists()).collect();
        match paths.as_slice() {
            [] => {}
            [path] => return Ok(Some(path.clone())),
            [one, other, ..] => {
                return Err(invalid(format!(
                    "there are both {} and {}",
                    one.display(),
                    other.display()
                ))
                .with_hint("name one with -c, or remove the other"));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(options: &FileOptions, variable: Option<&Path>, default: &Path) -> Result<Files> {
        locate_in(options, variable.map(Path::as_os_str), default)
    }

    #[test]
    fn an_option_precedes_the_directory_and_that_the_default() {
        let root = std::env::temp_dir().join(format!("pgmoneta-files-{}", std::process::id()));
        let (etc, local) = (root.join("etc"), root.join("local"));
        for directory in [&etc, &local] {
            std::fs::create_dir_all(directory).unwrap();
        }
        for name in [
            "pgmoneta.conf",
            "pgmoneta_users.conf",
            "pgmoneta_admins.conf",
        ] {
            std::fs::write(etc.join(name), "").unwrap();
        }
        std::fs::write(local.join("pgmoneta.toml"), "").unwrap();

        let none = FileOptions::default();
        let files = find(&none, None, &etc).unwrap();
        assert_eq!(files.main, etc.join("pgmoneta.conf"));
        assert_eq!(files.admins, Some(etc.join("pgmoneta_admins.conf")));

        let files = find(&none, Some(&local), &etc).unwrap();
        assert_eq!(files.main, local.join("pgmoneta.toml"));
        assert_eq!(files.users, etc.join("pgmoneta_users.conf"));

        let option = FileOptions {
            main: Some(etc.join("pgmoneta.conf")),
            directory: Some(etc.clone()),
            ..FileOptions::default()
        };
        let files = find(&option, Some(&local), &local).unwrap();
        assert_eq!(files.main, etc.join("pgmoneta.conf"));
        assert_eq!(files.users, etc.join("pgmoneta_users.conf"));

        for bad in [root.join("gone"), etc.join("pgmoneta.conf"), PathBuf::new()] {
            assert!(find(&none, Some(&bad), &etc).is_err(), "{bad:?}");
        }
        let bad = FileOptions {
            admins: Some(root.join("gone")),
            ..FileOptions::default()
        };
        assert!(find(&bad, None, &etc).is_err());
        let failure = find(&none, None, &local).unwrap_err();
        assert_eq!(failure.hint(), Some("name the file with -u"));
        std::fs::write(local.join("pgmoneta.conf"), "").unwrap();
        assert!(find(&none, Some(&local), &etc).is_err());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
