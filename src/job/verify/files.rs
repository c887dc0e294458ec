//! Checks the stored files, one by one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::FileReport;
use crate::codec::Digests;
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::format::hex;
use crate::job::context::ServerContext;
use crate::pool::for_each;
use crate::repository::{Backup, ListDifference, METADATA_FILES, Manifest, ManifestFile, Origin};
use crate::status::Progress;
use crate::storage;
use crate::sys::Stop;
use crate::unit::{read_some, to_u64, to_usize};

/// The most bytes decoded at once.
const MAX_BUFFER: usize = 256 << 10;

/// The results so far.
#[derive(Default)]
pub(super) struct FileResults {
    pub failed: Vec<FileReport>,
    pub good: Vec<FileReport>,
}

/// Shared by the threads.
struct Checker {
    backup: Backup,
    key: Arc<MasterKey>,
    progress: Arc<Progress>,
    stop: Stop,
    results: Mutex<FileResults>,
    all: bool,
}

/// Reads every stored file of a backup and compares it with the manifest. Problems of the files are
/// results; fails only on other errors.
pub(super) fn check(
    context: &ServerContext,
    backup: &Backup,
    manifest: Manifest,
    (progress, all): (&Arc<Progress>, bool),
) -> Result<FileResults> {
    let mut files: Vec<ManifestFile> = manifest.files;
    files.extend(manifest.wal);
    files.extend(manifest.config.into_iter().map(|(_, file)| file));
    files.sort_by_key(|file| std::cmp::Reverse(file.size));
    let checker = Arc::new(Checker {
        backup: backup.clone(),
        key: context.daemon.key.clone(),
        progress: progress.clone(),
        stop: context.stop.clone(),
        results: Mutex::default(),
        all,
    });
    let worker = checker.clone();
    for_each(
        &context.daemon.pool,
        context.server.threads(),
        files,
        move |file, _| worker.file(file),
    )?;
    let mut results = checker
        .results
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *results))
}

impl Checker {
    fn file(&self, file: &ManifestFile) -> Result<()> {
        let (algorithm, expected) = file.first_digest();
        let mut report = FileReport {
            path: file.path.display().to_string(),
            algorithm: algorithm.to_owned(),
            expected,
            found: String::new(),
            reason: String::new(),
        };
        let read = self.read(file);
        let good = match read.and_then(|digests| compare(file, &digests, &mut report)) {
            Ok(good) => good,
            Err(failure) => {
                self.stop.check()?;
                report.reason = format!("{}: {failure}", file.stored_path.display());
                false
            }
        };
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if !good {
            log::error!(
                "backup {}: {}: {}",
                self.backup.label,
                report.path,
                report.reason
            );
            results.failed.push(report);
        } else if self.all {
            results.good.push(report);
        }
        Ok(())
    }

    fn read(&self, file: &ManifestFile) -> Result<Digests> {
        let mut source = self.backup.open(file, &self.key)?;
        let mut buffer = vec![0; to_usize(file.size).clamp(8192, MAX_BUFFER)];
        loop {
            self.stop.check()?;
            let count = read_some(&mut source, &mut buffer)?.len();
            if count == 0 {
                return source.finish();
            }
            self.progress.advance(to_u64(count));
        }
    }
}

/// Compares digests with the manifest. The report gets the first that differs, or the last one
/// compared.
fn compare(file: &ManifestFile, found: &Digests, report: &mut FileReport) -> Result<bool> {
    for pair in file.compare(found)? {
        let differs = pair.expected != pair.found;
        report.algorithm = pair.algorithm.to_owned();
        (report.expected, report.found) = (pair.expected, pair.found);
        if differs {
            report.reason = match pair.of_stored {
                true => "the stored bytes differ from the manifest",
                false => "the decoded bytes differ from the manifest",
            }
            .to_owned();
            return Ok(false);
        }
    }
    Ok(true)
}

/// Compares `backup.sha256` and the directory with the manifest: all have the same files. In a
/// backup of the C program, `backup.sha512` and its `backup.manifest`.
pub(super) fn check_lists(backup: &Backup, manifest: &Manifest) -> Result<Vec<FileReport>> {
    if backup.origin == Origin::C {
        let found = backup.list_differences(manifest)?.into_iter();
        return Ok(found.map(list_report).collect());
    }
    let mut expected: BTreeMap<&Path, [u8; 32]> = BTreeMap::new();
    for file in manifest.all_files() {
        expected.insert(file.stored_path.as_path(), file.own_digests()?.sha256);
    }
    let mut failed = Vec::new();
    let mut fail = |path: &Path, expected: &str, found: &str, reason: String| {
        failed.push(FileReport {
            path: path.display().to_string(),
            algorithm: "SHA256".to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            reason,
        });
    };
    for path in list_files(&backup.path)? {
        let is_metadata = METADATA_FILES.iter().any(|name| Path::new(name) == path);
        if !is_metadata && !expected.contains_key(path.as_path()) {
            fail(&path, "", "", "it is not in backup.manifest".to_owned());
        }
    }
    match backup.sums() {
        Err(failure) => fail(Path::new("backup.sha256"), "", "", failure.to_string()),
        Ok(sums) => {
            for (path, digest) in sums {
                let is_metadata = METADATA_FILES.iter().any(|name| Path::new(name) == path);
                match expected.remove(path.as_path()) {
                    Some(listed) if listed == digest => {}
                    Some(listed) => {
                        let reason = "backup.sha256 has another digest than backup.manifest";
                        fail(
                            &path,
                            &hex::encode(&listed),
                            &hex::encode(&digest),
                            reason.to_owned(),
                        );
                    }
                    None if is_metadata => {}
                    None => fail(
                        &path,
                        "",
                        "",
                        "backup.sha256 lists it, backup.manifest does not".to_owned(),
                    ),
                }
            }
            for (path, digest) in expected {
                let reason = "it is not in backup.sha256".to_owned();
                fail(path, &hex::encode(&digest), "", reason);
            }
        }
    }
    Ok(failed)
}

fn list_report(difference: ListDifference) -> FileReport {
    FileReport {
        path: difference.path.display().to_string(),
        algorithm: "SHA512".to_owned(),
        expected: difference.expected,
        found: difference.found,
        reason: difference.reason,
    }
}

/// Every file below a directory, relative to it. Without temporary files of an update of
/// `backup.info`.
fn list_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    storage::for_each_file(root, |path, _| {
        if !storage::is_temporary(&path.to_string_lossy()) {
            files.push(path);
        }
        Ok(())
    })?;
    Ok(files)
}
