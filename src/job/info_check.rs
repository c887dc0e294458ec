//! Compares `backup.info`, which nothing but its HMAC protects, with the files of the backup, which
//! say themselves where recovery from them starts and ends.

use std::fmt::Display;
use std::io::BufReader;
use std::path::Path;

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::format::{BackupLabel, ControlFile, ManifestSummary, NeededWal};
use crate::job::context::ServerContext;
use crate::repository::{Backup, INFO, Manifest, ManifestFile};
use crate::unit::{Lsn, PgVersion, escaped};

const LABEL: &str = BackupLabel::FILE_NAME;
const SERVER_MANIFEST: &str = "backup_manifest";
const VERSION: &str = "PG_VERSION";
const CONTROL_FILE: &str = ControlFile::PATH;

/// Fails if `backup.info` contradicts the files of the backup, or if these cannot be read.
pub(super) fn check(context: &ServerContext, backup: &Backup, manifest: &Manifest) -> Result<()> {
    match differences(context, backup, manifest)? {
        Some(text) => Err(contradiction(backup, &text)),
        None => Ok(()),
    }
}

/// As [`check`], for a backup that a restore passes over because of its `backup.info`: other damage
/// of it is no error.
pub(super) fn check_passed_over(context: &ServerContext, backup: &Backup) -> Result<()> {
    let found = backup
        .manifest(&context.daemon.key)
        .and_then(|manifest| differences(context, backup, &manifest));
    context.stop.check()?;
    match found {
        Ok(Some(text)) => Err(contradiction(backup, &text)),
        Ok(None) => Ok(()),
        Err(failure) => {
            log::warn!(
                "{INFO} of the backup {} is not checked: {failure}",
                backup.label
            );
            Ok(())
        }
    }
}

fn contradiction(backup: &Backup, text: &str) -> Error {
    let message = format!("{INFO} of the backup {} is wrong: {text}", backup.label);
    Error::new(ErrorKind::Corrupt, message).with_hint(format!(
        "{INFO} was damaged or changed: choose another backup, or correct the file; `pgmoneta-cli \
         verify` checks all of the backup"
    ))
}

/// All values in `backup.info` that the files of the backup contradict, as text. Values and files
/// that a backup does not have are not compared.
pub(super) fn differences(
    context: &ServerContext,
    backup: &Backup,
    manifest: &Manifest,
) -> Result<Option<String>> {
    let files = Files {
        context,
        backup,
        manifest,
    };
    let info = &backup.info;
    let mut found = Differences::default();
    let label = files.label()?;
    if let Some(label) = &label {
        let (start, line) = (info.start, format!("START WAL LOCATION in {LABEL}"));
        found.compare("START_WALPOS", start.lsn, &line, label.start);
        let line = format!("START TIMELINE in {LABEL}");
        found.compare("START_TIMELINE", start.timeline, &line, label.timeline);
        if info.checkpoint != Lsn::ZERO {
            let line = format!("CHECKPOINT LOCATION in {LABEL}");
            found.compare("CHKPT_WALPOS", info.checkpoint, &line, label.checkpoint);
        }
    }
    let summary = files.server_manifest()?;
    if let (Some(label), Some(summary)) = (&label, &summary) {
        let end = NeededWal::new(label, &summary.wal_ranges)?.end;
        let line = format!("the end of WAL-Ranges in {SERVER_MANIFEST}");
        found.compare("END_WALPOS", info.end.lsn, &line, end.lsn);
        let line = format!("the last timeline of WAL-Ranges in {SERVER_MANIFEST}");
        found.compare("END_TIMELINE", info.end.timeline, &line, end.timeline);
    }
    if let Some(major) = files.major_version()? {
        found.compare("MAJOR_VERSION", info.version.major, VERSION, major);
    }
    if let Some(recorded) = info.system_identifier {
        let key = "SYSTEM_IDENTIFIER";
        if let Some(actual) = summary.and_then(|summary| summary.system_identifier) {
            let line = format!("System-Identifier in {SERVER_MANIFEST}");
            found.compare(key, recorded, &line, actual);
        }
        if let Some(control) = files.control_file()? {
            let line = format!("the system identifier in {CONTROL_FILE}");
            found.compare(key, recorded, &line, control.system_identifier);
        }
    }
    Ok((!found.0.is_empty()).then(|| found.0.join("; ")))
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    /// Compares the value of a key of `backup.info` with the one at `place`.
    fn compare<T: PartialEq + Display>(&mut self, key: &str, recorded: T, place: &str, actual: T) {
        if recorded != actual {
            self.0
                .push(format!("{key} is {recorded}, and {place} is {actual}"));
        }
    }
}

/// The files of a backup that say what it is.
struct Files<'a> {
    context: &'a ServerContext,
    backup: &'a Backup,
    manifest: &'a Manifest,
}

impl Files<'_> {
    fn find(&self, path: &str) -> Option<&ManifestFile> {
        let mut files = self.manifest.files.iter();
        files.find(|file| file.path == Path::new(path))
    }

    fn content(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let key = &self.context.daemon.key;
        let file = self.find(path);
        file.map(|file| self.backup.content(file, key)).transpose()
    }

    fn label(&self) -> Result<Option<BackupLabel>> {
        let content = self.content(LABEL)?;
        content
            .map(|content| BackupLabel::parse(&content))
            .transpose()
            .with_context(|| format!("read {LABEL}"))
    }

    fn server_manifest(&self) -> Result<Option<ManifestSummary>> {
        let (key, stop) = (&self.context.daemon.key, &self.context.stop);
        let file = self.find(SERVER_MANIFEST);
        file.map(|file| {
            self.backup.read_with(file, key, stop, |input| {
                ManifestSummary::read(BufReader::new(input))
            })
        })
        .transpose()
    }

    fn major_version(&self) -> Result<Option<u32>> {
        let Some(content) = self.content(VERSION)? else {
            return Ok(None);
        };
        let text = escaped(content.trim_ascii());
        match PgVersion::parse(&text) {
            Some(version) => Ok(Some(version.major)),
            None => {
                let message = format!("{VERSION} has no version but {text:?}");
                Err(Error::new(ErrorKind::Corrupt, message))
            }
        }
    }

    /// `None` if the version of the control file is not known.
    fn control_file(&self) -> Result<Option<ControlFile>> {
        let content = self.content(CONTROL_FILE)?;
        Ok(content.and_then(|content| ControlFile::parse(&content)))
    }
}
