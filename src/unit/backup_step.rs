//! The steps of a backup, and how long each took.

use std::collections::BTreeMap;

/// A step of a backup that the C program takes one after the other. Here they run together and
/// count as the base backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackupStep {
    /// Receiving the files.
    BaseBackup,
    /// Digesting them.
    Hash,
    /// Compressing them with zstd.
    CompressionZstd,
    /// Compressing them with gzip.
    CompressionGzip,
    /// Compressing them with bzip2.
    CompressionBzip2,
    /// Compressing them with lz4.
    CompressionLz4,
    /// Encrypting them.
    Encryption,
    /// Linking unchanged files.
    Linking,
    /// Checking the manifest.
    Manifest,
    /// Copying the backup with SSH.
    RemoteSsh,
    /// Copying the backup to S3.
    RemoteS3,
    /// Copying the backup to Azure.
    RemoteAzure,
}

impl BackupStep {
    /// All steps, with the word for each in `backup.info`, in the order of the C program.
    pub const ALL: [(BackupStep, &'static str); 12] = [
        (BackupStep::BaseBackup, "BASEBACKUP"),
        (BackupStep::Hash, "HASH"),
        (BackupStep::CompressionZstd, "COMPRESSION_ZSTD"),
        (BackupStep::CompressionGzip, "COMPRESSION_GZIP"),
        (BackupStep::CompressionBzip2, "COMPRESSION_BZIP2"),
        (BackupStep::CompressionLz4, "COMPRESSION_LZ4"),
        (BackupStep::Encryption, "ENCRYPTION"),
        (BackupStep::Linking, "LINKING"),
        (BackupStep::Manifest, "MANIFEST"),
        (BackupStep::RemoteSsh, "REMOTE_SSH"),
        (BackupStep::RemoteS3, "REMOTE_S3"),
        (BackupStep::RemoteAzure, "REMOTE_AZURE"),
    ];
}

/// The seconds that each step of a backup took; 0 for one that did not run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepTimes(BTreeMap<BackupStep, f64>);

impl StepTimes {
    /// Sets the seconds of a step.
    pub fn set(&mut self, step: BackupStep, seconds: f64) {
        if seconds > 0.0 {
            self.0.insert(step, seconds);
        } else {
            self.0.remove(&step);
        }
    }

    /// The seconds of a step.
    pub fn get(&self, step: BackupStep) -> f64 {
        self.0.get(&step).copied().unwrap_or(0.0)
    }
}
