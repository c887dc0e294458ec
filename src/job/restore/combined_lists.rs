//! The files of an incremental backup that say what it is. What is restored is a full backup: the
//! server refuses an incremental `backup_label`, and the manifest lists the changed blocks only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::destination::Destination;
use super::source::Source;
use crate::error::{Context as _, Result};
use crate::format::{BackupLabel, BackupManifest, ReplacedFile, without_increment};
use crate::repository::{Manifest, ManifestFile};

const SERVER_MANIFEST: &str = "backup_manifest";

/// The files of the backup that are written anew.
pub(super) struct CombinedLists {
    label: Option<ManifestFile>,
    manifest: Option<ManifestFile>,
}

impl CombinedLists {
    /// Takes the files out of the list; `None` if the backup is not combined.
    pub fn take(manifest: &mut Manifest) -> Option<CombinedLists> {
        if !manifest.combined {
            return None;
        }
        let mut take = |path: &str| {
            let named = |file: &mut ManifestFile| file.path == Path::new(path);
            manifest.files.extract_if(.., named).last()
        };
        Some(CombinedLists {
            label: take(BackupLabel::FILE_NAME),
            manifest: take(SERVER_MANIFEST),
        })
    }

    /// The files of the backup.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.label.iter().chain(&self.manifest)
    }

    /// Writes them, after all others.
    pub fn write(&self, source: &Source, output: &mut dyn Destination, data: &Path) -> Result<()> {
        let mut replaced = source.combined_files();
        if let Some(file) = &self.label {
            let label = without_increment(&source.content(file)?);
            output.write_file(&data.join(&file.path), &label, file.mode)?;
            let entry = ReplacedFile::new(&file.path, &label);
            replaced.insert(file.path.clone(), entry);
        }
        if let Some(file) = &self.manifest {
            let content = self.manifest_content(file, source, &replaced);
            let content = content.with_context(|| format!("combine {SERVER_MANIFEST}"))?;
            output.write_file(&data.join(&file.path), &content, file.mode)?;
        }
        Ok(())
    }

    fn manifest_content(
        &self,
        file: &ManifestFile,
        source: &Source,
        replaced: &BTreeMap<PathBuf, ReplacedFile>,
    ) -> Result<Vec<u8>> {
        let (backup, key, stop) = (&source.backup, &source.key, &source.stop);
        let content = backup.read_with(file, key, stop, |input| {
            let mut content = Vec::new();
            input.read_to_end(&mut content)?;
            Ok(content)
        })?;
        BackupManifest::replace_files(&content, replaced)
    }
}
