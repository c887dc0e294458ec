//! The daemon.

use super::row::Read::{Daemon, DaemonEach};
use super::row::{Metric, counter, gauge};
use super::snapshot::DaemonSnapshot;
use super::value::Value;
use crate::VERSION;
use crate::config::Retention;
use crate::storage::Space;

#[rustfmt::skip] // One row per line.
pub(super) static METRICS: &[Metric] = &[
    gauge("pgmoneta_state", "Whether pgmoneta runs: always 1", Daemon(|_| Some(1_u32.into()))),
    gauge("pgmoneta_version", "The version of pgmoneta", DaemonEach(|_, samples| samples.add(&[VERSION], 1_u32))).with(&["version"]),
    gauge("pgmoneta_fips", "Whether pgmoneta uses a cryptographic module in FIPS mode: always 0", Daemon(|_| Some(0_u32.into()))),
    gauge("pgmoneta_logging_info", "Messages of the level info in the log since the start", Daemon(|daemon| Some(daemon.messages.info.into()))),
    gauge("pgmoneta_logging_warn", "Messages of the level warn in the log since the start", Daemon(|daemon| Some(daemon.messages.warn.into()))),
    gauge("pgmoneta_logging_error", "Messages of the level error in the log since the start", Daemon(|daemon| Some(daemon.messages.error.into()))),
    gauge("pgmoneta_logging_fatal", "Messages of the level fatal in the log since the start", Daemon(|daemon| Some(daemon.messages.fatal.into()))),
    gauge("pgmoneta_retention_days", "The retention of servers without a setting of their own, days; 0 without a rule", Daemon(|daemon| kept(daemon.retention().days))),
    gauge("pgmoneta_retention_weeks", "The retention of servers without a setting of their own, weeks; 0 without a rule", Daemon(|daemon| kept(daemon.retention().weeks))),
    gauge("pgmoneta_retention_months", "The retention of servers without a setting of their own, months; 0 without a rule", Daemon(|daemon| kept(daemon.retention().months))),
    gauge("pgmoneta_retention_years", "The retention of servers without a setting of their own, years; 0 without a rule", Daemon(|daemon| kept(daemon.retention().years))),
    gauge("pgmoneta_compression", "How new backups are compressed, as in backup.info: 0 none, 17 gzip, 18 zstd, 19 lz4, 20 bzip2", Daemon(|daemon| Some(daemon.config.compression.info_code().into()))),
    gauge("pgmoneta_used_space", "Bytes stored for all servers", Daemon(|daemon| daemon.space.map(|_| daemon.used.into()))),
    gauge("pgmoneta_free_space", "Free bytes of the file system of base_dir", Daemon(|daemon| known(daemon, |space| space.free))),
    gauge("pgmoneta_total_space", "Bytes of the file system of base_dir; 0 if it does not say", Daemon(|daemon| known(daemon, |space| space.total))),
    gauge("pgmoneta_build_info", "The version of pgmoneta, and how it stores new files; always 1", DaemonEach(build_info)).with(&["version", "compression", "encryption"]),
    gauge("pgmoneta_start_time_seconds", "When pgmoneta started, seconds since 1970 UTC; counters begin then", Daemon(|daemon| Some(daemon.started.into()))),
    counter("pgmoneta_log_messages_total", "Messages in the log by level", DaemonEach(log_messages)).with(&["level"]),
];

fn kept(count: Option<u32>) -> Option<Value> {
    Some(count.unwrap_or(0).into())
}

fn known(daemon: &DaemonSnapshot, read: impl FnOnce(Space) -> u64) -> Option<Value> {
    daemon.space.map(|space| read(space).into())
}

impl DaemonSnapshot {
    fn retention(&self) -> Retention {
        self.config.server_defaults.retention
    }
}

fn build_info(daemon: &DaemonSnapshot, samples: &mut super::row::Samples<'_>) {
    let compression = daemon.config.compression.name();
    let encryption = daemon.config.encryption.to_string();
    samples.add(&[VERSION, compression, &encryption], 1_u32);
}

fn log_messages(daemon: &DaemonSnapshot, samples: &mut super::row::Samples<'_>) {
    let messages = daemon.messages;
    let levels = [
        ("info", messages.info),
        ("warn", messages.warn),
        ("error", messages.error),
        ("fatal", messages.fatal),
    ];
    for (level, count) in levels {
        samples.add(&[level], count);
    }
}
