//! The configuration of a server that has it outside of its data directory: offered, not put in place. It speaks of the
//! directories of the old server.

use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::places::{Demand, Places};
use crate::format::ConfigFile;
use crate::repository::{Manifest, ManifestFile};

/// The directory in the restored data directory; below it each file has its path on the old server.
const DIRECTORY: &str = "pgmoneta_config";

/// What is to be written, and what is to be said about it.
#[derive(Default)]
pub(super) struct Offer {
    /// The directories, parents first.
    pub directories: Vec<PathBuf>,
    /// The files, and where they go.
    pub files: Vec<(ManifestFile, PathBuf)>,
    /// What a person must know to start the server.
    pub warnings: Vec<String>,
}

/// Looks at what the backup has; before its list of files is taken.
pub(super) fn offer(choice: &mut Choice, places: &Places, demand: &mut Demand) -> Offer {
    let files = std::mem::take(&mut choice.manifest.config);
    let has = |name: &str| has(&choice.manifest, name);
    let mut offer = Offer::default();
    let root = places.data.join(directory(choice));
    let mut found = Vec::new();
    for (what, file) in files {
        let path = root.join(&file.path);
        let above = path.ancestors().skip(1);
        let new = above.take_while(|above| above.starts_with(&root));
        let mut new: Vec<PathBuf> = new.map(Path::to_owned).collect();
        new.reverse();
        for directory in new {
            if !offer.directories.contains(&directory) {
                demand.add(&places.data, 1);
                offer.directories.push(directory);
            }
        }
        demand.add(&places.data, file.size);
        found.push((what, path.clone()));
        offer.files.push((file, path));
    }
    for what in [ConfigFile::Main, ConfigFile::Hba] {
        let stored = found.iter().any(|(found, _)| *found == what);
        let name = what.usual_name().unwrap_or_default();
        if !stored && !has(name) {
            offer.warnings.push(format!(
                "there is no {name} in the restored directory, since the server had it elsewhere, and the backup has no \
                 copy of it: make one before the server is started"
            ));
        }
    }
    if !found.is_empty() {
        let command = command(&places.data, &found, has);
        offer.warnings.push(format!(
            "the server had its configuration outside of its data directory; a copy is in {}. Check what it says about \
             directories and other servers, then start with: {command}",
            root.display()
        ));
    }
    offer
}

fn has(manifest: &Manifest, name: &str) -> bool {
    let mut files = manifest.files.iter();
    files.any(|file| file.path == Path::new(name))
}

/// The name of the directory: another one where the old server was a restored one and has it.
fn directory(choice: &Choice) -> String {
    let mut directories = choice.manifest.directories.iter();
    if directories.any(|(path, _)| path == Path::new(DIRECTORY)) {
        format!("{DIRECTORY}-{}", choice.backup.label)
    } else {
        DIRECTORY.to_owned()
    }
}

/// How the server is started with what was found. What the file says of the old server's places the command line
/// overrules. There are no quotes in it: the C program's client would show them as `\'`.
fn command(data: &Path, found: &[(ConfigFile, PathBuf)], has: impl Fn(&str) -> bool) -> String {
    let mut command = format!("postgres -D {}", data.display());
    let mut set = |setting: &str, path: &Path| {
        command.push_str(&format!(" -c {setting}={}", path.display()));
    };
    let place = |what: ConfigFile| {
        let stored = found.iter().find(|(found, _)| *found == what);
        let usual = what.usual_name().filter(|name| has(name));
        stored
            .map(|(_, path)| path.clone())
            .or(usual.map(|name| data.join(name)))
    };
    for what in [ConfigFile::Main, ConfigFile::Hba, ConfigFile::Ident] {
        if let Some(path) = place(what) {
            set(what.setting(), &path);
        }
    }
    set("data_directory", data);
    command.push_str(" -c external_pid_file=");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_overrules_what_the_file_says_of_other_places() {
        let data = Path::new("/r/primary-1");
        let etc = data.join("pgmoneta_config/etc");
        let found = [
            (ConfigFile::Main, etc.join("postgresql.conf")),
            (ConfigFile::Included, etc.join("conf.d/a.conf")),
        ];
        assert_eq!(
            command(data, &found, |name| name == "pg_hba.conf"),
            "postgres -D /r/primary-1 -c config_file=/r/primary-1/pgmoneta_config/etc/postgresql.conf \
             -c hba_file=/r/primary-1/pg_hba.conf -c data_directory=/r/primary-1 -c external_pid_file="
        );
    }
}
