//! Watches the disk of a server: forecasts, and acts when it fills.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::check::exhausted;
use crate::error::Result;
use crate::job::context::ServerContext;
use crate::job::retention;
use crate::repository::Repository;
use crate::status::DiskNews;
use crate::status::safety::Room;
use crate::storage::{Filesystem, Space};
use crate::unit::ByteSize;

/// How often [`monitor`] runs.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// Records the free space and the rate of WAL, and logs what is to be known. When the disk is full
/// retention runs at once: WAL goes on, backups are refused.
pub(crate) fn monitor(context: &ServerContext) -> Result<()> {
    // That the repository is gone is reported by the receiver.
    let Ok(repository) = context.repository() else {
        return Ok(());
    };
    let (state, now) = (&context.daemon.disks, Instant::now());
    let disks = disks(context, &repository)?;
    for disk in disks.iter().filter(|disk| disk.space.is_known()) {
        for news in state.record(disk.space, disk.reserve, now) {
            report(disk, news);
        }
    }
    let name = &context.server.name;
    let receiver = context.status.receiver();
    state.record_wal(name, receiver.received, now);
    let no_room = receiver.no_space || receiver.segments_grow_since.is_some();
    let full = no_room || disks.iter().any(Disk::is_full);
    if state.retention_is_due(name, full, now) {
        log::debug!("server {name}: the disk is full: retention runs now");
        if retention::at_once(context) && receiver.no_space {
            context
                .status
                .update_receiver(|state| state.reconnect_now = true);
        }
    }
    Ok(())
}

/// A file system of a server.
struct Disk {
    /// The directory of the server that is on it.
    path: PathBuf,
    space: Space,
    reserve: u64,
}

impl Disk {
    fn is_full(&self) -> bool {
        exhausted(self.space, self.reserve).is_err()
    }
}

/// The file systems of the WAL and the backups of a server: one, or two.
fn disks(context: &ServerContext, repository: &Repository) -> Result<Vec<Disk>> {
    let mut disks: Vec<Disk> = Vec::new();
    for path in [repository.wal_path(), repository.backup_path()] {
        let space = Filesystem::space(&path)?;
        if disks.iter().all(|disk| disk.space.device != space.device) {
            let reserve = context.daemon.config.reserve_space.of(space.total);
            disks.push(Disk {
                path,
                space,
                reserve,
            });
        }
    }
    Ok(disks)
}

fn report(disk: &Disk, news: DiskNews) {
    let (free, reserve) = (ByteSize(disk.space.free), ByteSize(disk.reserve));
    let path = disk.path.display();
    match news {
        DiskNews::Full => log::error!(
            "the disk of {path} is full: {free} are free, and {reserve} are reserved for WAL: WAL \
             is received to the last byte, backups are refused; hint: keep fewer backups \
             (retention), delete some, or use a larger disk"
        ),
        DiskNews::HasRoom => {
            log::info!("the disk of {path} has room for backups again: {free} are free")
        }
        DiskNews::FullWithin(days) => log::warn!(
            "the disk of {path} will be full in less than {days} days, as it has filled in the \
             last hours: {free} are free, of which {reserve} are reserved for WAL"
        ),
    }
}

/// The room on the disk of a server: on the one with less if it has two.
pub(crate) fn room(context: &ServerContext) -> Result<Room> {
    let disks = disks(context, &context.repository()?)?;
    let state = &context.daemon.disks;
    let days = disks.iter();
    let days = days.filter_map(|disk| state.days_left(disk.space, disk.reserve));
    let known = disks.iter().filter(|disk| disk.space.is_known());
    let least = known.map(|disk| disk.space).min_by_key(|space| space.free);
    let mut full = disks.iter();
    let full = full.find_map(|disk| exhausted(disk.space, disk.reserve).err());
    Ok(Room {
        free: least.map_or(0, |space| space.free),
        total: least.map_or(0, |space| space.total),
        days_left: days.min(),
        exhausted: full.map(|failure| failure.message().to_owned()),
    })
}
