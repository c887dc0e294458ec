//! Checks the stored files, one by one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::FileReport;
use super::proof::Proof;
use super::reading::{DiskFile, PacedReading, Reading};
use crate::codec::Digests;
use crate::crypto::MasterKey;
use crate::error::{ErrorKind, Result};
use crate::format::hex;
use crate::job::context::ServerContext;
use crate::pool::for_each;
use crate::repository::{
    Backup, ListDifference, METADATA_FILES, Manifest, ManifestFile, Origin, Repository,
};
use crate::status::{Progress, ServerState};
use crate::storage;
use crate::sys::Stop;
use crate::unit::{read_some, to_u64, to_usize};

/// The most bytes decoded at once.
const MAX_BUFFER: usize = 256 << 10;

/// How many bad files of a backup are logged; the answer to `verify` has all of them.
const MAX_LOGGED: usize = 10;

/// The results so far.
#[derive(Default)]
pub(super) struct FileResults {
    pub failed: Vec<FileReport>,
    pub good: Vec<FileReport>,
}

/// Shared by the threads.
struct Checker {
    repository: Repository,
    backup: Backup,
    key: Arc<MasterKey>,
    progress: Arc<Progress>,
    stop: Stop,
    status: Arc<ServerState>,
    results: Mutex<FileResults>,
    all: bool,
    paced: Option<Arc<PacedReading>>,
}

/// Reads every stored file of a backup and compares it with the manifest. Problems of the files are
/// results; fails only on other errors.
pub(super) fn check(
    context: &ServerContext,
    (repository, backup): (&Repository, &Backup),
    manifest: Manifest,
    (progress, reading): (&Arc<Progress>, &Reading),
) -> Result<FileResults> {
    let mut files: Vec<ManifestFile> = manifest.files;
    files.extend(manifest.wal);
    files.extend(manifest.config.into_iter().map(|(_, file)| file));
    files.sort_by_key(|file| std::cmp::Reverse(file.size));
    let (all, paced) = match reading {
        Reading::Pool { all } => (*all, None),
        Reading::Paced(paced) => (false, Some(paced.clone())),
    };
    let checker = Arc::new(Checker {
        repository: repository.clone(),
        backup: backup.clone(),
        key: context.daemon.key.clone(),
        progress: progress.clone(),
        stop: context.stop.clone(),
        status: context.status.clone(),
        results: Mutex::default(),
        all,
        paced,
    });
    let worker = checker.clone();
    if checker.paced.is_some() {
        // The threads of the pool do not wait for the pace.
        files.iter().try_for_each(|file| worker.file(file))?;
    } else {
        for_each(
            &context.daemon.pool,
            context.server.threads(),
            files,
            move |file, _| worker.file(file),
        )?;
    }
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
            proven: false,
        };
        let good = match self.check(file, &mut report) {
            Ok(true) => true,
            Ok(false) => {
                report.proven = self.is_proven(file)?;
                false
            }
            // It gives way.
            Err(failure) if failure.kind() == ErrorKind::Busy => return Err(failure),
            Err(failure) => {
                self.stop.check()?;
                report.reason = format!("{}: {failure}", file.stored_path.display());
                report.proven = self.is_proven(file)?;
                false
            }
        };
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if !good {
            if results.failed.len() < MAX_LOGGED {
                let (label, path, reason) = (&self.backup.label, &report.path, &report.reason);
                log::error!("backup {label}: {path}: {reason}");
            }
            results.failed.push(report);
        } else if self.all {
            results.good.push(report);
        }
        Ok(())
    }

    /// Reads a file and compares it with the manifest. One that is shared with a backup that was
    /// read before is not read again, unless it is not as this manifest has it.
    fn check(&self, file: &ManifestFile, report: &mut FileReport) -> Result<bool> {
        let Some(paced) = &self.paced else {
            return compare(file, &self.read(file)?, report);
        };
        let disk = DiskFile::open(&self.backup, file);
        if let Some(known) = disk.as_ref().and_then(|disk| paced.known(disk))
            && compare(file, &known, report)?
        {
            self.progress.advance(file.size);
            return Ok(true);
        }
        disk.iter().for_each(DiskFile::drop_cache);
        let digests = self.read(file)?;
        disk.iter().for_each(DiskFile::drop_cache);
        let good = compare(file, &digests, report)?;
        if good && let Some(disk) = &disk {
            paced.remember(disk, digests);
        }
        Ok(good)
    }

    fn is_proven(&self, file: &ManifestFile) -> Result<bool> {
        let Some(paced) = &self.paced else {
            return Ok(false);
        };
        let proof = Proof {
            repository: &self.repository,
            backup: &self.backup,
            pace: &paced.pace,
            stop: &self.stop,
        };
        proof.is_bad(file)
    }

    /// Waits until as many stored bytes may be read as `plain` bytes of the file have on average.
    fn pace(&self, file: &ManifestFile, plain: usize) -> Result<()> {
        let Some(paced) = &self.paced else {
            return self.stop.check();
        };
        let parts = file.combined.iter().flat_map(|combined| &combined.parts);
        let stored = parts.fold(file.stored_size, |size, part| {
            size.saturating_add(part.stored_size)
        });
        let share = u128::from(stored) * u128::from(to_u64(plain)) / u128::from(file.size.max(1));
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        let gives_way = || self.status.delays_others();
        paced
            .pace
            .take_unless(share.min(stored), &self.stop, gives_way)
    }

    fn read(&self, file: &ManifestFile) -> Result<Digests> {
        let mut source = self.backup.open(file, &self.key)?;
        let mut buffer = vec![0; to_usize(file.size).clamp(8192, MAX_BUFFER)];
        loop {
            self.pace(file, buffer.len())?;
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
            proven: false,
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
        proven: false,
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
