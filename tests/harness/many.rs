//! A repository with many backups and WAL segments, made without a server.

use std::fs;
use std::path::Path;

use super::daemon::Daemon;
use super::scratch::{Scratch, make, write_owned};

/// Hard links of one file: ext4 allows 65,000.
const LINKS: u32 = 20_000;

/// The WAL segments of 16 MiB in 4 GiB, the part of a name that counts them.
const SEGMENTS_PER_ID: u32 = 256;

/// The retention of the daemon: a hundred years.
pub const KEEP_ALL: &str = "retention = 36500";

/// A daemon, not started, whose only server `primary` cannot be reached. Its repository has the
/// backups, one each hour, and compressed WAL from before the first one without a gap.
pub fn many(scratch: &Scratch, backups: u32, segments: u32) -> Daemon {
    let daemon = Daemon::builder(scratch)
        .global(&format!("log_level = warn\n{KEEP_ALL}"))
        .offline_server("primary")
        .create();
    let root = daemon.base_dir().join("primary");
    make(&root);
    let (wal, base) = (root.join("wal"), root.join("basebackup"));
    make(&wal);
    make(&base);
    write_owned(
        &root.join("system.info"),
        "SYSTEM_IDENTIFIER=7\nVERSION=17.2\nWAL_SEGMENT_SIZE=16777216\nTIMELINE=1\n",
    );
    write_segments(&wal, segments);
    for number in 0..backups {
        write_backup(&base, number, number * (segments / backups) + 1);
    }
    daemon
}

fn segment_name(number: u32) -> String {
    let (id, rest) = (number / SEGMENTS_PER_ID, number % SEGMENTS_PER_ID);
    format!("00000001{id:08X}{rest:08X}.zstd")
}

fn write_segments(wal: &Path, segments: u32) {
    for number in 1..=segments {
        let path = wal.join(segment_name(number));
        let first = number - (number - 1) % LINKS;
        if number == first {
            write_owned(&path, "not a segment, only its name");
        } else {
            fs::hard_link(wal.join(segment_name(first)), path).unwrap();
        }
    }
}

fn write_backup(base: &Path, number: u32, segment: u32) {
    let (day, hour) = (number / 24, number % 24);
    let (year, month, day) = (2020 + day / 336, day / 28 % 12 + 1, day % 28 + 1);
    let label = format!("{year}{month:02}{day:02}{hour:02}0000");
    let path = base.join(&label);
    make(&path);
    let (id, offset) = (segment / SEGMENTS_PER_ID, segment % SEGMENTS_PER_ID);
    let position = |end: u32| format!("{id:X}/{offset:02X}{end:06X}");
    let info = format!(
        "STATUS=1\nLABEL={label}\nBACKUP=1000000\nRESTORE=5000000\nMAJOR_VERSION=17\n\
         MINOR_VERSION=2\nSTART_WALPOS={}\nEND_WALPOS={}\nSTART_TIMELINE=1\nEND_TIMELINE=1\n",
        position(0x28),
        position(0x100)
    );
    write_owned(&path.join("backup.info"), info);
    write_owned(&path.join("backup.manifest"), "{}\n");
}
