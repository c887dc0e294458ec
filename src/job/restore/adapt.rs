//! What becomes of the configuration that the backup has.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::configuration::{Configuration, Files, Place};
use super::outside::Outside;
use super::plan::{CONTROL_FILE, LEFT_OUT};
use super::position::{Position, Role};
use super::settings::{self, Lasting, Setting};
use super::{Options, limits};
use crate::config::Server;
use crate::error::Result;
use crate::format::{ConfigFile, ControlFile};
use crate::job::context::Context;
use crate::repository::ManifestFile;

/// The settings of the restored server that are not those of the backup.
pub(super) struct Adapted {
    /// The settings until recovery has ended.
    pub recovery: Vec<Setting>,
    /// The settings that stay.
    pub lasting: Vec<Lasting>,
    /// Lines that become comments.
    pub comments: Vec<Place>,
    /// What the person is told.
    pub warnings: Vec<String>,
}

/// Decides, after a look at the configuration files of the backup.
pub(super) fn adapt(
    context: &Context,
    server: &Server,
    options: &Options,
    position: &Position,
    choice: &Choice,
    name: &str,
) -> Result<Adapted> {
    let stored = Stored { context, choice };
    let configuration = Configuration::read(&stored)?;
    let control = stored.read(Path::new(CONTROL_FILE))?;
    let control = control.and_then(|content| ControlFile::parse(&content));
    let outside = Outside::of(&configuration, options, position.role);
    let (mut lasting, mut warnings) = (outside.lasting, outside.warnings);
    lasting.extend(limits::needed(&configuration, control, choice.reach.limits));
    let info = &choice.backup.info;
    if position.role == Role::Replica {
        lasting.extend(settings::of_standby(server, name, info.version));
        warnings.extend(settings::warnings_of_standby(server, info.version));
    }
    Ok(Adapted {
        recovery: settings::recovery(position, &choice.reach, info.end.0, info.version),
        lasting,
        comments: outside.comments,
        warnings,
    })
}

impl Adapted {
    /// All settings, in words.
    pub fn settings(&self) -> Vec<String> {
        let lasting = self.lasting.iter().map(|lasting| &lasting.setting);
        let all = self.recovery.iter().chain(lasting);
        all.map(Setting::to_string).collect()
    }

    /// The lines of a file that become comments.
    pub fn comments_of(&self, file: &Path) -> Vec<usize> {
        let places = self.comments.iter().filter(|place| place.file == file);
        places.map(|place| place.line).collect()
    }
}

/// The files of the backup that will be restored.
struct Stored<'a> {
    context: &'a Context,
    choice: &'a Choice,
}

impl Files for Stored<'_> {
    fn main(&self) -> Option<PathBuf> {
        let usual = ConfigFile::Main.usual_name().map(PathBuf::from);
        let inside = usual.filter(|path| self.files().any(|(found, _)| found == *path));
        let mut outside = self.choice.manifest.config.iter();
        let outside = outside.find(|(what, _)| *what == ConfigFile::Main);
        inside.or(outside.map(|(_, file)| absolute(file)))
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let mut files = self.files();
        let found = files.find(|(found, _)| found == path);
        found
            .map(|(_, file)| self.choice.backup.content(file, &self.context.key))
            .transpose()
    }

    fn list(&self, directory: &Path) -> Vec<PathBuf> {
        let paths = self.files().map(|(path, _)| path);
        paths
            .filter(|path| path.parent() == Some(directory))
            .map(Cow::into_owned)
            .collect()
    }
}

impl Stored<'_> {
    /// The files of the data directory by their relative, those outside of it by their absolute paths.
    fn files(&self) -> impl Iterator<Item = (Cow<'_, Path>, &ManifestFile)> {
        let manifest = &self.choice.manifest;
        let left_out = |path: &Path| LEFT_OUT.iter().any(|name| Path::new(name) == path);
        let inside = manifest
            .files
            .iter()
            .filter(move |file| !left_out(&file.path));
        let inside = inside.map(|file| (Cow::Borrowed(file.path.as_path()), file));
        let outside = manifest.config.iter();
        inside.chain(outside.map(|(_, file)| (Cow::Owned(absolute(file)), file)))
    }
}

/// Where a configuration file is that is not in the data directory.
fn absolute(file: &ManifestFile) -> PathBuf {
    Path::new("/").join(&file.path)
}
