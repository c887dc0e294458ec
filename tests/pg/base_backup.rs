//! Base backups of real servers, read completely and compared with the server's manifest.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, Read};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use pgmoneta::config::Checkpoint;
use pgmoneta::error::{Error, ErrorKind};
use pgmoneta::pg::{BaseBackup, BaseBackupOptions, Connection, Login, Mode};
use pgmoneta::sys::Stop;
use pgmoneta::unit::WalPosition;

use super::setup::{login, open};
use crate::harness::{Cluster, MAJORS, Scratch, installed, test_timeout};

fn options() -> BaseBackupOptions {
    BaseBackupOptions {
        label: "pgmoneta_20260101000000".to_owned(),
        checkpoint: Checkpoint::Fast,
        max_rate: None,
    }
}

struct Taken {
    /// Path as in the manifest, size and CRC-32C of every file.
    files: BTreeMap<String, (u64, u32)>,
    /// Symbolic links and their targets.
    links: BTreeMap<String, String>,
    order: Vec<String>,
    manifest: serde_json::Value,
    start: WalPosition,
    end: WalPosition,
}

/// Takes a base backup and collects its files, links and manifest.
fn take(login: &Login, options: &BaseBackupOptions) -> Result<Taken, Error> {
    let mut backup = BaseBackup::start(open(login, Mode::Replication)?, options)?;
    let start = backup.start_position();
    let (mut files, mut links, mut order) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    while let Some(archive) = backup.next_archive()? {
        let prefix = match archive.1.oid {
            Some(oid) => format!("pg_tblspc/{oid}/"),
            None => String::new(),
        };
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = format!("{prefix}{}", entry.path()?.display());
            match entry.header().entry_type() {
                tar::EntryType::Regular => {
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes)?;
                    order.push(path.clone());
                    files.insert(path, (bytes.len() as u64, crc32c::crc32c(&bytes)));
                }
                tar::EntryType::Symlink => {
                    let target = entry.link_name()?.unwrap().display().to_string();
                    links.insert(path, target);
                }
                tar::EntryType::Directory => {}
                other => panic!("{path}: {other:?}"),
            }
        }
    }
    let manifest = serde_json::from_slice(&backup.manifest(1 << 20)?).unwrap();
    let (end, _) = backup.finish()?;
    Ok(Taken {
        files,
        links,
        order,
        manifest,
        start,
        end,
    })
}

#[test]
fn every_file_matches_the_manifest() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("pg-base");
        let cluster = Cluster::builder(&scratch)
            .major(major)
            .template_databases()
            .start();
        let location = scratch.directory("space");
        crate::harness::user().chown(&location);
        cluster.execute(&format!(
            "CREATE TABLESPACE space LOCATION '{}'",
            location.display()
        ));
        cluster.execute(
            "CREATE TABLE a AS SELECT g, repeat('x', 200) x FROM generate_series(1, 20000) g",
        );
        cluster.execute("CREATE TABLE b TABLESPACE space AS SELECT * FROM a");
        let oid: u32 = cluster.query_value("SELECT oid FROM pg_tablespace WHERE spcname = 'space'");
        let table = cluster.relation_path("b");

        let taken = take(&login(&cluster), &options()).unwrap();
        let listed = taken.manifest["Files"].as_array().unwrap();
        assert!(listed.len() > 900, "{major}");
        for file in listed {
            let path = file["Path"].as_str().unwrap();
            let (size, crc) = taken.files[path];
            assert_eq!(file["Size"], size, "{major}: {path}");
            // The bytes of the checksum in memory order.
            let digits: String = crc
                .to_le_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(file["Checksum"], digits, "{major}: {path}");
        }
        assert_eq!(listed.len(), taken.files.len(), "{major}");
        assert!(taken.files.contains_key(&table), "{major}: {table}");
        assert_eq!(taken.order.last().unwrap(), "global/pg_control");
        assert!(!taken.files.contains_key("tablespace_map"));
        // Names of links end with a slash as those of directories do.
        let links: Vec<_> = taken.links.iter().collect();
        let [(name, target)] = links.as_slice() else {
            panic!("{major}: {links:?}");
        };
        assert_eq!(name.as_str(), format!("pg_tblspc/{oid}/"));
        assert_eq!(target.as_str(), location.to_str().unwrap());
        let range = &taken.manifest["WAL-Ranges"][0];
        assert_eq!(range["Start-LSN"], taken.start.lsn.to_string());
        assert_eq!(range["End-LSN"], taken.end.lsn.to_string());
        assert_eq!(
            (taken.start.timeline.number(), taken.end.timeline.number()),
            (1, 1)
        );
    }
}

#[test]
fn damaged_pages_fail_the_backup_with_their_file_names() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("pg-damage");
        let mut cluster = Cluster::builder(&scratch).major(major).start();
        cluster.execute("CREATE TABLE t AS SELECT g FROM generate_series(1, 10000) g");
        let file = cluster.relation_path("t");
        cluster.stop();
        let damaged = fs::File::options()
            .write(true)
            .open(cluster.data().join(&file))
            .unwrap();
        for block in 0..7 {
            damaged.write_all_at(b"!", block * 8192 + 5000).unwrap();
        }
        cluster.start();
        let failure = take(&login(&cluster), &options()).err().unwrap();
        assert_eq!(failure.kind(), ErrorKind::Corrupt, "{major}: {failure:?}");
        assert!(failure.message().contains(&file), "{major}: {failure:?}");
    }
}

#[test]
fn size_estimates_and_max_rate_work() {
    for major in [14, 15] {
        if installed(major).is_none() {
            continue;
        }
        let scratch = Scratch::new("pg-rate");
        let cluster = Cluster::builder(&scratch)
            .major(major)
            .template_databases()
            .start();
        let mut options = options();
        options.max_rate = Some(16 << 20);
        let connection = open(&login(&cluster), Mode::Replication).unwrap();
        let begun = Instant::now();
        let mut backup = BaseBackup::start(connection, &options).unwrap();
        let size = backup.tablespaces()[0].size.unwrap();
        assert!(size > 10 << 20, "{size}");
        let mut archive = backup.next_archive().unwrap().unwrap();
        let mut count = 0;
        loop {
            let length = archive.fill_buf().unwrap().len();
            if length == 0 {
                break;
            }
            count += length as u64;
            archive.consume(length);
        }
        assert!(count.abs_diff(size) < 4 << 20, "{count} {size}");
        assert!(begun.elapsed() > Duration::from_millis(count * 800 / (16 << 20)));
        assert!(backup.next_archive().unwrap().is_none());
        backup.manifest(1 << 20).unwrap();
        backup.finish().unwrap();
    }
}

#[test]
fn a_server_shutdown_during_a_base_backup_is_a_network_error() {
    let scratch = Scratch::new("pg-away");
    let mut cluster = Cluster::builder(&scratch).start();
    let mut options = options();
    options.max_rate = Some(1 << 20);
    let connection = open(&login(&cluster), Mode::Replication).unwrap();
    let mut backup = BaseBackup::start(connection, &options).unwrap();
    let mut archive = backup.next_archive().unwrap().unwrap();
    archive.read_exact(&mut [0; 512]).unwrap();
    cluster.kill();
    let error = std::io::copy(&mut archive, &mut std::io::sink()).unwrap_err();
    let failure = Error::from(error);
    assert_eq!(failure.kind(), ErrorKind::Network, "{failure:?}");
}

#[test]
fn a_stop_ends_the_wait_for_the_checkpoint() {
    let scratch = Scratch::new("pg-stop");
    let cluster = Cluster::builder(&scratch)
        .conf("checkpoint_timeout = 1h\ncheckpoint_completion_target = 0.9")
        .start();
    cluster
        .execute("CREATE TABLE t AS SELECT g, repeat('x', 500) x FROM generate_series(1, 20000) g");
    let stop = Stop::new().unwrap();
    let connection = Connection::open(&login(&cluster), Mode::Replication, &stop).unwrap();
    let mut spread = options();
    spread.checkpoint = Checkpoint::Spread;
    let waiter = std::thread::spawn(move || BaseBackup::start(connection, &spread).err());
    cluster.wait_true("SELECT count(*) = 1 FROM pg_stat_progress_basebackup", 30);
    stop.request();
    let begun = Instant::now();
    let failure = waiter.join().unwrap().unwrap();
    assert_eq!(failure.kind(), ErrorKind::Stopped);
    assert!(
        begun.elapsed() < test_timeout(60),
        "not at once, but at the end"
    );
    // The server does not wait for the end of the checkpoint either.
    cluster.wait_true("SELECT count(*) = 0 FROM pg_stat_progress_basebackup", 10);
    assert!(cluster.log().contains("user request"));
}

#[test]
fn a_stop_ends_the_wait_for_data() {
    let scratch = Scratch::new("pg-stopdata");
    let cluster = Cluster::builder(&scratch).start();
    let stop = Stop::new().unwrap();
    let connection = Connection::open(&login(&cluster), Mode::Replication, &stop).unwrap();
    let mut options = options();
    options.max_rate = Some(32 << 10);
    let mut backup = BaseBackup::start(connection, &options).unwrap();
    let mut archive = backup.next_archive().unwrap().unwrap();
    archive.read_exact(&mut [0; 512]).unwrap();
    let (begun, failure) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| std::io::copy(&mut archive, &mut std::io::sink()));
        stop.request();
        let begun = Instant::now();
        (begun, Error::from(reader.join().unwrap().unwrap_err()))
    });
    assert_eq!(failure.kind(), ErrorKind::Stopped);
    assert!(
        begun.elapsed() < test_timeout(60),
        "not at once, but at the end"
    );
    drop(backup);
    cluster.wait_true("SELECT count(*) = 0 FROM pg_stat_progress_basebackup", 10);
}
