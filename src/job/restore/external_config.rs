//! Configuration files from outside of the data directory: restored as copies that are not used by
//! default, since they refer to directories of the original server.

use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::restore_dirs::{RestoreDirs, SpaceNeeded};
use crate::format::ConfigFile;
use crate::repository::{Manifest, ManifestFile};

/// The directory in the restored data directory; below it each file has its path on the original
/// server.
const DIRECTORY: &str = "pgmoneta_config";

/// The copies to write, and the warnings about them.
#[derive(Default)]
pub(super) struct ExternalConfig {
    /// The new directories, parents first.
    pub directories: Vec<PathBuf>,
    /// The files, and their new paths.
    pub files: Vec<(ManifestFile, PathBuf)>,
    /// How to start the server, for the user.
    pub warnings: Vec<String>,
}

/// Takes the configuration files from the manifest; must be called before its list of files is
/// moved out.
pub(super) fn collect(
    choice: &mut Choice,
    dirs: &RestoreDirs,
    space: &mut SpaceNeeded,
) -> ExternalConfig {
    let files = std::mem::take(&mut choice.manifest.config);
    let has = |name: &str| has(&choice.manifest, name);
    let mut external = ExternalConfig::default();
    let root = dirs.data.join(directory(choice));
    let mut found = Vec::new();
    for (what, file) in files {
        let path = root.join(&file.path);
        let above = path.ancestors().skip(1);
        let new = above.take_while(|above| above.starts_with(&root));
        let mut new: Vec<PathBuf> = new.map(Path::to_owned).collect();
        new.reverse();
        for directory in new {
            if !external.directories.contains(&directory) {
                space.add(&dirs.data, 1);
                external.directories.push(directory);
            }
        }
        space.add(&dirs.data, file.size);
        found.push((what, path.clone()));
        external.files.push((file, path));
    }
    for what in [ConfigFile::Main, ConfigFile::Hba] {
        let stored = found.iter().any(|(found, _)| *found == what);
        let name = what.usual_name().unwrap_or_default();
        if !stored && !has(name) {
            external.warnings.push(format!(
                "there is no {name} in the restored directory, since the server had it elsewhere, \
                 and the backup has no copy of it: create it before the server is started"
            ));
        }
    }
    if !found.is_empty() {
        let command = command(&dirs.data, &found, has);
        external.warnings.push(format!(
            "the server had its configuration outside of its data directory; a copy is in {}. \
             Check the directories and other servers in it, then start with: {command}",
            root.display()
        ));
    }
    external
}

fn has(manifest: &Manifest, name: &str) -> bool {
    let mut files = manifest.files.iter();
    files.any(|file| file.path == Path::new(name))
}

/// The name of the directory for the copies; with the label if the original server already has such
/// a directory.
fn directory(choice: &Choice) -> String {
    let mut directories = choice.manifest.directories.iter();
    if directories.any(|(path, _)| path == Path::new(DIRECTORY)) {
        format!("{DIRECTORY}-{}", choice.backup.label)
    } else {
        DIRECTORY.to_owned()
    }
}

/// The command that starts the server with the copies. It overrides the directories in the file. It
/// has no quotes: the C program's client would show them as `\'`.
fn command(data: &Path, found: &[(ConfigFile, PathBuf)], has: impl Fn(&str) -> bool) -> String {
    let mut command = format!("postgres -D {}", data.display());
    let mut set = |setting: &str, path: &Path| {
        command.push_str(&format!(" -c {setting}={}", path.display()));
    };
    let path_of = |what: ConfigFile| {
        let stored = found.iter().find(|(found, _)| *found == what);
        let usual = what.usual_name().filter(|name| has(name));
        stored
            .map(|(_, path)| path.clone())
            .or(usual.map(|name| data.join(name)))
    };
    for what in [ConfigFile::Main, ConfigFile::Hba, ConfigFile::Ident] {
        if let Some(path) = path_of(what) {
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
    fn the_command_overrides_the_directories_in_the_file() {
        let data = Path::new("/r/primary-1");
        let etc = data.join("pgmoneta_config/etc");
        let found = [
            (ConfigFile::Main, etc.join("postgresql.conf")),
            (ConfigFile::Included, etc.join("conf.d/a.conf")),
        ];
        assert_eq!(
            command(data, &found, |name| name == "pg_hba.conf"),
            "postgres -D /r/primary-1 -c \
             config_file=/r/primary-1/pgmoneta_config/etc/postgresql.conf -c \
             hba_file=/r/primary-1/pg_hba.conf -c data_directory=/r/primary-1 -c external_pid_file="
        );
    }
}
