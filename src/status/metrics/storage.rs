//! What is stored, and the room for it.

use super::row::Read::{Server, ServerEach};
use super::row::{Metric, Samples, gauge};
use super::snapshot::ServerSnapshot;
use super::value::Value;
use crate::status::StoreDisk;
use crate::storage::Space;

#[rustfmt::skip] // One row per line.
pub(super) static METRICS: &[Metric] = &[
    gauge("pgmoneta_wal_shipping", "Bytes of WAL in wal_shipping: 0, this version does not ship WAL", Server(|_| Some(0_u32.into()))),
    gauge("pgmoneta_wal_shipping_used_space", "Bytes in wal_shipping: 0, this version does not ship WAL", Server(|_| Some(0_u32.into()))),
    gauge("pgmoneta_wal_shipping_free_space", "Free bytes of the file system of wal_shipping: 0, this version does not ship WAL", Server(|_| Some(0_u32.into()))),
    gauge("pgmoneta_wal_shipping_total_space", "Bytes of the file system of wal_shipping: 0, this version does not ship WAL", Server(|_| Some(0_u32.into()))),
    gauge("pgmoneta_workspace", "Bytes in the workspace: 0, temporary files are among the backups", Server(|_| Some(0_u32.into()))),
    gauge("pgmoneta_workspace_free_space", "Free bytes of the file system of the backups, where temporary files are", Server(|server| backup_disk(server, |space| space.free))),
    gauge("pgmoneta_workspace_total_space", "Bytes of the file system of the backups, where temporary files are", Server(|server| backup_disk(server, |space| space.total))),
    gauge("pgmoneta_hot_standby", "Bytes of the hot standbys: 0, this version makes none", Server(|_| Some(0_u32.into()))),
    gauge("pgmoneta_hot_standby_free_space", "Free bytes of the file systems of the hot standbys: 0, this version makes none", Server(|_| Some(0_u32.into()))),
    gauge("pgmoneta_hot_standby_total_space", "Bytes of the file systems of the hot standbys: 0, this version makes none", Server(|_| Some(0_u32.into()))),
    gauge("pgmoneta_backup_total_size", "Bytes on disk of the backups of the server", Server(|server| Some(server.inventory.backup_bytes.into()))),
    gauge("pgmoneta_wal_total_size", "Bytes on disk of the archived WAL of the server", Server(|server| Some(server.inventory.wal.bytes.into()))),
    gauge("pgmoneta_total_size", "Bytes on disk of the backups and the WAL of the server", Server(|server| Some(server.stored_bytes().into()))),
    gauge("pgmoneta_disk_free_bytes", "Free bytes of the file system of each directory of the server", ServerEach(|server, samples| disks(server, samples, |disk| Some(disk.space.free)))).with(&["directory"]),
    gauge("pgmoneta_disk_size_bytes", "Bytes of the file system of each directory of the server; 0 if it does not say", ServerEach(|server, samples| disks(server, samples, |disk| Some(disk.space.total)))).with(&["directory"]),
    gauge("pgmoneta_disk_reserved_bytes", "Bytes of the file system that backups leave free for WAL", ServerEach(|server, samples| disks(server, samples, |disk| Some(disk.reserve)))).with(&["directory"]),
    gauge("pgmoneta_disk_time_left_seconds", "How long until no more than the reserve is free, as the disk filled in the last week; no value if it does not get fuller or that is not known yet", ServerEach(|server, samples| disks(server, samples, |disk| disk.days_left.map(|days| days.saturating_mul(86_400))))).with(&["directory"]),
    gauge("pgmoneta_backup_claimed_bytes", "Bytes that the running backup is still expected to take", Server(|server| Some(server.claimed.into()))),
    gauge("pgmoneta_inventory_age_seconds", "Since when sizes, backups and free space were not collected from the disk", Server(|server| server.since(server.inventory.collected_at).map(Value::from))),
    gauge("pgmoneta_inventory_duration_seconds", "How long that took the last time", Server(|server| server.inventory.collected_at.map(|_| server.inventory.took.into()))),
    gauge("pgmoneta_wal_inventory_age_seconds", "Since when the archived WAL was not measured", Server(|server| server.since(server.inventory.wal.measured_at).map(Value::from))),
    gauge("pgmoneta_wal_inventory_duration_seconds", "How long that took the last time", Server(|server| server.inventory.wal.measured_at.map(|_| server.inventory.wal.took.into()))),
];

fn disks(
    server: &ServerSnapshot,
    samples: &mut Samples<'_>,
    read: impl Fn(&StoreDisk) -> Option<u64>,
) {
    for disk in &server.inventory.disks {
        if let Some(value) = read(disk) {
            samples.add(&[disk.directory], value);
        }
    }
}

fn backup_disk(server: &ServerSnapshot, read: impl FnOnce(Space) -> u64) -> Option<Value> {
    let mut disks = server.inventory.disks.iter();
    let disk = disks.find(|disk| disk.directory == "backup")?;
    Some(read(disk.space).into())
}
