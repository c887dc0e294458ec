//! Where the configuration files are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::problem::wrong;
use crate::error::{Failure, Kind, Result};

/// Where the files are when nothing else is said.
const DEFAULT: &str = "/etc/pgmoneta";

/// The environment variable that stands for `-D`.
pub const DIRECTORY_VARIABLE: &str = "PGMONETA_CONFIG_DIR";

/// The configuration files of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The main file.
    pub main: PathBuf,
    /// The users file.
    pub users: PathBuf,
    /// The admins file, if there is one.
    pub admins: Option<PathBuf>,
}

/// What the command line says of the files.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `-c`: the main file.
    pub main: Option<PathBuf>,
    /// `-u`: the users file.
    pub users: Option<PathBuf>,
    /// `-A`: the admins file.
    pub admins: Option<PathBuf>,
    /// `-D`: the directory of the others.
    pub directory: Option<PathBuf>,
}

/// Finds the configuration files: for each one what was asked for, else the file of its name in the directory that
/// was asked for (`-D`, else `PGMONETA_CONFIG_DIR`) if it is there, else the one in `/etc/pgmoneta`. The main file
/// may be `pgmoneta.conf` or `pgmoneta.toml`.
pub fn locate(asked: &Asked) -> Result<Files> {
    let variable = std::env::var_os(DIRECTORY_VARIABLE);
    locate_in(asked, variable.as_deref(), Path::new(DEFAULT))
}

/// Finds the main file alone, for programs that need no other one.
pub fn locate_main(asked: &Asked) -> Result<Files> {
    let variable = std::env::var_os(DIRECTORY_VARIABLE);
    Ok(Files {
        main: Search::new(asked, variable.as_deref(), Path::new(DEFAULT))?.main(asked)?,
        users: PathBuf::new(),
        admins: None,
    })
}

fn locate_in(asked: &Asked, variable: Option<&OsStr>, default: &Path) -> Result<Files> {
    let search = Search::new(asked, variable, default)?;
    Ok(Files {
        main: search.main(asked)?,
        users: search
            .find(&asked.users, "-u", &["pgmoneta_users.conf"])?
            .ok_or_else(|| search.missing("-u", "pgmoneta_users.conf"))?,
        admins: search.find(&asked.admins, "-A", &["pgmoneta_admins.conf"])?,
    })
}

/// The directories to look in, the first one first.
struct Search<'a>(Vec<&'a Path>);

impl<'a> Search<'a> {
    fn new(asked: &'a Asked, variable: Option<&'a OsStr>, default: &'a Path) -> Result<Search<'a>> {
        let directory = match (&asked.directory, variable) {
            (Some(directory), _) => Some(checked(directory, "-D")?),
            (None, Some(directory)) => Some(checked(Path::new(directory), DIRECTORY_VARIABLE)?),
            (None, None) => None,
        };
        Ok(Search(directory.into_iter().chain([default]).collect()))
    }

    fn main(&self, asked: &Asked) -> Result<PathBuf> {
        self.find(&asked.main, "-c", &["pgmoneta.conf", "pgmoneta.toml"])?
            .ok_or_else(|| self.missing("-c", "pgmoneta.conf"))
    }

    fn find(
        &self,
        asked: &Option<PathBuf>,
        option: &str,
        names: &[&str],
    ) -> Result<Option<PathBuf>> {
        match asked {
            Some(path) => present(path, option).map(|()| Some(path.clone())),
            None => search(&self.0, names),
        }
    }

    fn missing(&self, option: &str, name: &str) -> Failure {
        let places = self.0.iter().map(|place| place.display().to_string());
        let places: Vec<String> = places.collect();
        let message = format!("there is no {name} in {}", places.join(" or "));
        Failure::new(Kind::NotFound, message).hint(format!("name the file with {option}"))
    }
}

fn checked<'a>(directory: &'a Path, origin: &str) -> Result<&'a Path> {
    let problem = |what: &str| wrong(format!("{origin}: {}: {what}", directory.display()));
    match directory.metadata() {
        Err(error) => Err(problem(&error.to_string())),
        Ok(metadata) if !metadata.is_dir() => Err(problem("it is not a directory")),
        Ok(_) => match directory.read_dir() {
            Err(error) => Err(problem(&error.to_string())),
            Ok(_) => Ok(directory),
        },
    }
}

fn present(path: &Path, option: &str) -> Result<()> {
    match path.metadata() {
        Err(error) => Err(wrong(format!("{option}: {}: {error}", path.display()))),
        Ok(metadata) if !metadata.is_file() => {
            Err(wrong(format!("{option}: {} is not a file", path.display())))
        }
        Ok(_) => Ok(()),
    }
}

/// The file of one of the names in the first place that has one; two in one place are one too many.
fn search(places: &[&Path], names: &[&str]) -> Result<Option<PathBuf>> {
    for place in places {
        let paths = names.iter().map(|name| place.join(name));
        let paths: Vec<PathBuf> = paths.filter(|path| path.exists()).collect();
        match paths.as_slice() {
            [] => {}
            [path] => return Ok(Some(path.clone())),
            [one, other, ..] => {
                return Err(wrong(format!(
                    "there are both {} and {}",
                    one.display(),
                    other.display()
                ))
                .hint("name one with -c, or remove the other"));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(asked: &Asked, variable: Option<&Path>, default: &Path) -> Result<Files> {
        locate_in(asked, variable.map(Path::as_os_str), default)
    }

    #[test]
    fn options_beat_the_directory_and_that_beats_the_default() {
        let root = std::env::temp_dir().join(format!("pgmoneta-files-{}", std::process::id()));
        let (etc, own) = (root.join("etc"), root.join("own"));
        for directory in [&etc, &own] {
            std::fs::create_dir_all(directory).unwrap();
        }
        for name in [
            "pgmoneta.conf",
            "pgmoneta_users.conf",
            "pgmoneta_admins.conf",
        ] {
            std::fs::write(etc.join(name), "").unwrap();
        }
        std::fs::write(own.join("pgmoneta.toml"), "").unwrap();

        let none = Asked::default();
        let files = find(&none, None, &etc).unwrap();
        assert_eq!(files.main, etc.join("pgmoneta.conf"));
        assert_eq!(files.admins, Some(etc.join("pgmoneta_admins.conf")));

        let files = find(&none, Some(&own), &etc).unwrap();
        assert_eq!(files.main, own.join("pgmoneta.toml"));
        assert_eq!(files.users, etc.join("pgmoneta_users.conf"));

        let option = Asked {
            main: Some(etc.join("pgmoneta.conf")),
            directory: Some(etc.clone()),
            ..Asked::default()
        };
        let files = find(&option, Some(&own), &own).unwrap();
        assert_eq!(files.main, etc.join("pgmoneta.conf"));
        assert_eq!(files.users, etc.join("pgmoneta_users.conf"));

        for wrong in [root.join("gone"), etc.join("pgmoneta.conf"), PathBuf::new()] {
            assert!(find(&none, Some(&wrong), &etc).is_err(), "{wrong:?}");
        }
        let wrong = Asked {
            admins: Some(root.join("gone")),
            ..Asked::default()
        };
        assert!(find(&wrong, None, &etc).is_err());
        let failure = find(&none, None, &own).unwrap_err();
        assert_eq!(failure.advice(), Some("name the file with -u"));
        std::fs::write(own.join("pgmoneta.conf"), "").unwrap();
        assert!(find(&none, Some(&own), &etc).is_err());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
