//! Decides the changes to the configuration files of the backup.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::cluster_files::{CONTROL_FILE, EXCLUDED_FILES};
use super::configuration::{ConfigSource, Configuration, Location};
use super::external_effects::ExternalEffects;
use super::recovery_target::{RecoveryTarget, Role};
use super::settings::{self, PermanentSetting, Setting};
use super::{Options, limits};
use crate::error::Result;
use crate::format::{ConfigFile, ControlFile};
use crate::job::context::ServerContext;
use crate::repository::ManifestFile;

/// The settings of the restored server that differ from those of the backup.
pub(super) struct ConfigChanges {
    /// Settings that apply until the end of recovery.
    pub recovery: Vec<Setting>,
    /// Settings that remain after recovery.
    pub permanent: Vec<PermanentSetting>,
    /// Lines to comment out.
    pub comments: Vec<Location>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// Reads the configuration files of the backup and decides the changes.
pub(super) fn config_changes(
    context: &ServerContext,
    options: &Options,
    target: &RecoveryTarget,
    choice: &Choice,
    name: &str,
) -> Result<ConfigChanges> {
    let stored = BackupFiles { context, choice };
    let configuration = Configuration::read(&stored)?;
    let control = stored.read(Path::new(CONTROL_FILE))?;
    let control = control.and_then(|content| ControlFile::parse(&content));
    let effects = ExternalEffects::find(&configuration, options, target.role);
    let (mut permanent, mut warnings) = (effects.permanent, effects.warnings);
    permanent.extend(limits::required(
        &configuration,
        control,
        choice.recovery_end.limits,
    ));
    let info = &choice.backup.info;
    if target.role == Role::Replica {
        permanent.extend(settings::standby_settings(
            &context.server,
            name,
            info.version,
        ));
        warnings.extend(settings::standby_warnings(&context.server, info.version));
    }
    Ok(ConfigChanges {
        recovery: settings::recovery_settings(
            target,
            &choice.recovery_end,
            info.end.timeline,
            info.version,
        ),
        permanent,
        comments: effects.comments,
        warnings,
    })
}

impl ConfigChanges {
    /// All settings, as text.
    pub fn settings(&self) -> Vec<String> {
        let permanent = self.permanent.iter().map(|permanent| &permanent.setting);
        let all = self.recovery.iter().chain(permanent);
        all.map(Setting::to_string).collect()
    }

    /// The numbers of the lines of a file to comment out.
    pub fn comments_in(&self, file: &Path) -> Vec<usize> {
        let comments = self.comments.iter();
        let in_file = comments.filter(|location| location.file == file);
        in_file.map(|location| location.line).collect()
    }
}

/// The files of the backup that will be restored.
struct BackupFiles<'a> {
    context: &'a ServerContext,
    choice: &'a Choice,
}

impl ConfigSource for BackupFiles<'_> {
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
            .map(|(_, file)| self.choice.backup.content(file, &self.context.daemon.key))
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

impl BackupFiles<'_> {
    /// The files with their paths, absolute for those outside of the data directory.
    fn files(&self) -> impl Iterator<Item = (Cow<'_, Path>, &ManifestFile)> {
        let manifest = &self.choice.manifest;
        let excluded = |path: &Path| EXCLUDED_FILES.iter().any(|name| Path::new(name) == path);
        let inside = manifest
            .files
            .iter()
            .filter(move |file| !excluded(&file.path));
        let inside = inside.map(|file| (Cow::Borrowed(file.path.as_path()), file));
        let outside = manifest.config.iter();
        inside.chain(outside.map(|(_, file)| (Cow::Owned(absolute(file)), file)))
    }
}

/// The path of a configuration file outside of the data directory.
fn absolute(file: &ManifestFile) -> PathBuf {
    Path::new("/").join(&file.path)
}
