//! Each backup.

use super::row::Metric;
use super::row::Read::{Backup, BackupEach};
use super::row::gauge;
use super::value::Value;
use crate::status::StoredBackup;
use crate::unit::BackupStep::{
    BaseBackup, CompressionBzip2, CompressionGzip, CompressionLz4, CompressionZstd, Encryption,
    Linking, Manifest, RemoteAzure, RemoteS3, RemoteSsh,
};

#[rustfmt::skip] // One row per line.
pub(super) static METRICS: &[Metric] = &[
    gauge("pgmoneta_backup", "Whether the backup is valid", Backup(|backup| Some(backup.valid.into()))),
    gauge("pgmoneta_backup_version", "The version of PostgreSQL of the backup; always 1", BackupEach(|backup, samples| samples.add(&[&backup.version.major.to_string(), &backup.version.minor.to_string()], 1_u32))).with(&["major", "minor"]),
    gauge("pgmoneta_backup_retain", "Whether the backup is retained, so that retention does not remove it", Backup(|backup| Some(backup.retained.into()))),
    gauge("pgmoneta_backup_size", "Bytes on disk of the backup", Backup(|backup| Some(backup.stored_bytes.into()))),
    gauge("pgmoneta_restore_size", "Bytes of the backup when restored, if it is valid", Backup(|backup| backup.valid.then_some(backup.plain_bytes.into()))),
    gauge("pgmoneta_restore_size_increment", "By how many bytes the restored backup is larger than the one before it", Backup(|backup| Some(backup.growth.into()))),
    gauge("pgmoneta_backup_compression_ratio", "Bytes on disk by bytes when restored; 0 if not known", Backup(|backup| Some(ratio(number(backup.stored_bytes), number(backup.plain_bytes))))),
    gauge("pgmoneta_backup_start_timeline", "The timeline on which the backup begins", Backup(|backup| Some(backup.start.timeline.number().into()))),
    gauge("pgmoneta_backup_end_timeline", "The timeline on which the backup ends", Backup(|backup| Some(backup.end.timeline.number().into()))),
    gauge("pgmoneta_backup_start_walpos", "Where recovery of the backup starts; always 1", BackupEach(|backup, samples| samples.add(&[&backup.start.lsn.to_string()], 1_u32))).with(&["walpos"]),
    gauge("pgmoneta_backup_checkpoint_walpos", "The checkpoint of the backup; always 1", BackupEach(|backup, samples| samples.add(&[&backup.checkpoint.to_string()], 1_u32))).with(&["walpos"]),
    gauge("pgmoneta_backup_end_walpos", "Where recovery of the backup is consistent; always 1", BackupEach(|backup, samples| samples.add(&[&backup.end.lsn.to_string()], 1_u32))).with(&["walpos"]),
    gauge("pgmoneta_backup_total_elapsed_time", "Seconds that the backup took", Backup(|backup| Some(backup.elapsed.into()))),
    gauge("pgmoneta_backup_basebackup_elapsed_time", "Seconds of the base backup, which compresses, encrypts, links and checks too", Backup(|backup| Some(backup.steps.get(BaseBackup).into()))),
    gauge("pgmoneta_backup_manifest_elapsed_time", "Seconds of checking the manifest, if that was a step of its own", Backup(|backup| Some(backup.steps.get(Manifest).into()))),
    gauge("pgmoneta_backup_compression_zstd_elapsed_time", "Seconds of compressing with zstd, if that was a step of its own", Backup(|backup| Some(backup.steps.get(CompressionZstd).into()))),
    gauge("pgmoneta_backup_compression_gzip_elapsed_time", "Seconds of compressing with gzip, if that was a step of its own", Backup(|backup| Some(backup.steps.get(CompressionGzip).into()))),
    gauge("pgmoneta_backup_compression_bzip2_elapsed_time", "Seconds of compressing with bzip2, if that was a step of its own", Backup(|backup| Some(backup.steps.get(CompressionBzip2).into()))),
    gauge("pgmoneta_backup_compression_lz4_elapsed_time", "Seconds of compressing with lz4, if that was a step of its own", Backup(|backup| Some(backup.steps.get(CompressionLz4).into()))),
    gauge("pgmoneta_backup_encryption_elapsed_time", "Seconds of encrypting, if that was a step of its own", Backup(|backup| Some(backup.steps.get(Encryption).into()))),
    gauge("pgmoneta_backup_linking_elapsed_time", "Seconds of linking unchanged files, if that was a step of its own", Backup(|backup| Some(backup.steps.get(Linking).into()))),
    gauge("pgmoneta_backup_remote_ssh_elapsed_time", "Seconds of copying with SSH, if that was a step of its own", Backup(|backup| Some(backup.steps.get(RemoteSsh).into()))),
    gauge("pgmoneta_backup_remote_s3_elapsed_time", "Seconds of copying to S3, if that was a step of its own", Backup(|backup| Some(backup.steps.get(RemoteS3).into()))),
    gauge("pgmoneta_backup_remote_azure_elapsed_time", "Seconds of copying to Azure, if that was a step of its own", Backup(|backup| Some(backup.steps.get(RemoteAzure).into()))),
    gauge("pgmoneta_backup_throughput", "Megabytes on disk by seconds that the backup took", Backup(|backup| Some(rate(backup, backup.elapsed)))),
    gauge("pgmoneta_backup_basebackup_mbs", "Megabytes on disk by seconds of the base backup", Backup(|backup| Some(rate(backup, backup.steps.get(BaseBackup))))),
    gauge("pgmoneta_backup_manifest_mbs", "Megabytes on disk by seconds of checking the manifest; 0 without that step", Backup(|backup| Some(rate(backup, backup.steps.get(Manifest))))),
    gauge("pgmoneta_backup_compression_zstd_mbs", "Megabytes on disk by seconds of compressing with zstd; 0 without that step", Backup(|backup| Some(rate(backup, backup.steps.get(CompressionZstd))))),
    gauge("pgmoneta_backup_compression_gzip_mbs", "Megabytes on disk by seconds of compressing with gzip; 0 without that step", Backup(|backup| Some(rate(backup, backup.steps.get(CompressionGzip))))),
    gauge("pgmoneta_backup_compression_bzip2_mbs", "Megabytes on disk by seconds of compressing with bzip2; 0 without that step", Backup(|backup| Some(rate(backup, backup.steps.get(CompressionBzip2))))),
    gauge("pgmoneta_backup_compression_lz4_mbs", "Megabytes on disk by seconds of compressing with lz4; 0 without that step", Backup(|backup| Some(rate(backup, backup.steps.get(CompressionLz4))))),
    gauge("pgmoneta_backup_encryption_mbs", "Megabytes on disk by seconds of encrypting; 0 without that step", Backup(|backup| Some(rate(backup, backup.steps.get(Encryption))))),
    gauge("pgmoneta_backup_linking_mbs", "Megabytes on disk by seconds of linking unchanged files; 0 without that step", Backup(|backup| Some(rate(backup, backup.steps.get(Linking))))),
    gauge("pgmoneta_backup_remote_ssh_mbs", "Megabytes on disk by seconds of copying with SSH; 0 without that step", Backup(|backup| Some(rate(backup, backup.steps.get(RemoteSsh))))),
    gauge("pgmoneta_backup_remote_s3_mbs", "Megabytes on disk by seconds of copying to S3; 0 without that step", Backup(|backup| Some(rate(backup, backup.steps.get(RemoteS3))))),
    gauge("pgmoneta_backup_remote_azure_mbs", "Megabytes on disk by seconds of copying to Azure; 0 without that step", Backup(|backup| Some(rate(backup, backup.steps.get(RemoteAzure))))),
];

/// In steps of 0.0001.
fn ratio(part: f64, whole: f64) -> Value {
    if whole > 0.0 {
        Value::Real((part / whole * 10_000.0).round() / 10_000.0)
    } else {
        Value::Integer(0)
    }
}

/// Megabytes on disk per second.
fn rate(backup: &StoredBackup, seconds: f64) -> Value {
    ratio(number(backup.stored_bytes) / 1_000_000.0, seconds)
}

/// As a floating-point number, with 53 bits of precision.
#[allow(clippy::cast_precision_loss)]
fn number(bytes: u64) -> f64 {
    bytes as f64
}
