//! Streaming replication from real servers.

use std::fs;
use std::time::{Duration, Instant};

use pgmoneta::error::{Error, ErrorKind};
use pgmoneta::pg::{Event, Mode, Replication, Slot};
use pgmoneta::storage::SegmentFile;
use pgmoneta::unit::{Lsn, Segment, SegmentSize, Timeline, WalPosition};

use super::setup::{hint_contains, login, open};
use crate::harness::{Cluster, MAJORS, Scratch, installed, test_timeout};

/// Receives into a segment file up to `end`, and sends the durable position.
fn receive(replication: &mut Replication, file: &mut SegmentFile, end: Lsn) {
    let give_up = Instant::now() + test_timeout(60);
    while file.position() < end || replication.has_more().unwrap() {
        assert!(Instant::now() < give_up);
        let event = replication.next(Duration::from_secs(10)).unwrap();
        if let Event::Wal { start, bytes, .. } = event {
            assert_eq!(file.append(start, bytes).unwrap(), bytes.len());
        }
    }
    replication
        .send_status_update(file.sync().unwrap(), false)
        .unwrap();
}

/// Receives from a server that shuts down: it ends the stream once all WAL is confirmed.
fn receive_until_broken(replication: &mut Replication, file: &mut SegmentFile) -> Error {
    let give_up = Instant::now() + test_timeout(60);
    loop {
        assert!(Instant::now() < give_up);
        match replication.next(test_timeout(30)) {
            Ok(Event::Wal { start, bytes, .. }) => {
                file.append(start, bytes).unwrap();
            }
            Ok(Event::Keepalive { .. }) => {}
            Ok(other) => panic!("{other:?}"),
            Err(failure) => return failure,
        }
        if let Err(failure) = replication.send_status_update(file.sync().unwrap(), false) {
            return failure;
        }
    }
}

#[test]
fn wal_is_received_unchanged_and_confirmed() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("pg-wal");
        let mut cluster = Cluster::builder(&scratch).major(major).start();
        let login = login(&cluster);
        let mut connection = open(&login, Mode::Replication).unwrap();
        connection.create_replication_slot("archive").unwrap();
        let identity = connection.identify_system().unwrap();
        let size = SegmentSize::DEFAULT;
        let segment = Segment::containing(identity.timeline, identity.position, size);
        let archive = scratch.directory("wal");
        let mut file = SegmentFile::open(&archive, segment, size, None).unwrap();
        let from = segment.start(size);
        let mut replication =
            Replication::start(connection, "archive", identity.timeline, from).unwrap();
        cluster.execute("CREATE TABLE t AS SELECT g FROM generate_series(1, 100000) g");
        let end = Lsn(cluster.flush_lsn().into());
        receive(&mut replication, &mut file, end);
        let position = file.position();
        let reported = format!(
            "SELECT write_lsn = '{position}' AND flush_lsn = '{position}' AND replay_lsn IS NULL \
             AND application_name = 'pgmoneta' FROM pg_stat_replication"
        );
        cluster.wait_true(&reported, 30);
        let slot = Slot::find(&mut open(&login, Mode::Sql).unwrap(), "archive");
        let slot = slot.unwrap().unwrap();
        assert!(slot.active_pid.is_some() && slot.restart_lsn == Some(file.position()));

        let connection = open(&login, Mode::Replication).unwrap();
        let other = Replication::start(connection, "archive", identity.timeline, from);
        let failure = other.err().unwrap();
        assert_eq!(failure.code(), Some("55006"), "{failure:?}");
        assert!(hint_contains(&failure, "wal_slot"));

        let length = size.offset(file.position()) as usize;
        let theirs = fs::read(cluster.data().join("pg_wal").join(segment.name(size))).unwrap();
        let ours = fs::read(archive.join(segment.name(size) + ".partial")).unwrap();
        assert!(length > 1 << 20 && theirs[..length] == ours[..length]);

        let stopper = std::thread::spawn(move || cluster.stop());
        let failure = receive_until_broken(&mut replication, &mut file);
        assert_eq!(failure.kind(), ErrorKind::Network, "{failure:?}");
        stopper.join().unwrap();
    }
}

#[test]
fn a_crashed_server_is_detected_at_once() {
    let scratch = Scratch::new("pg-dies");
    let mut cluster = Cluster::builder(&scratch).start();
    let connection = open(&login(&cluster), Mode::Replication).unwrap();
    let mut replication =
        Replication::start(connection, "", Timeline::FIRST, Lsn(1 << 24)).unwrap();
    while replication.next(Duration::from_secs(1)).unwrap() != Event::Timeout {}
    assert!(!replication.has_more().unwrap());
    cluster.kill();
    let failure = replication.next(test_timeout(60)).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Network, "{failure:?}");
}

#[test]
fn removed_wal_is_an_error_with_a_hint() {
    let scratch = Scratch::new("pg-gone");
    let cluster = Cluster::builder(&scratch)
        .conf("min_wal_size = 32MB\nmax_wal_size = 32MB\nwal_keep_size = 0")
        .start();
    for _ in 0..4 {
        cluster.execute("CREATE TABLE IF NOT EXISTS t (); DROP TABLE t");
        cluster.execute("SELECT pg_switch_wal()");
        cluster.execute("CHECKPOINT");
    }
    let connection = open(&login(&cluster), Mode::Replication).unwrap();
    let started = Replication::start(connection, "", Timeline::FIRST, Lsn(1 << 24));
    let failure = match started {
        Err(failure) => failure,
        Ok(mut replication) => loop {
            match replication.next(test_timeout(30)) {
                Ok(event) => assert!(matches!(event, Event::Keepalive { .. }), "{event:?}"),
                Err(failure) => break failure,
            }
        },
    };
    assert_eq!(failure.code(), Some("58P01"), "{failure:?}");
    assert!(hint_contains(&failure, "full backup"), "{failure:?}");
}

#[test]
fn a_lost_slot_is_an_error_with_a_hint() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("pg-lost");
        let cluster = Cluster::builder(&scratch)
            .major(major)
            .conf("min_wal_size = 32MB\nmax_wal_size = 32MB\nmax_slot_wal_keep_size = 1MB")
            .start();
        let login = login(&cluster);
        let mut connection = open(&login, Mode::Replication).unwrap();
        connection.create_replication_slot("archive").unwrap();
        let from = connection.identify_system().unwrap().position;
        for _ in 0..4 {
            cluster.execute("CREATE TABLE t (); DROP TABLE t");
            cluster.execute("SELECT pg_switch_wal()");
        }
        cluster.execute("CHECKPOINT");
        let slot = Slot::find(&mut open(&login, Mode::Sql).unwrap(), "archive").unwrap();
        assert_eq!(slot.unwrap().wal_status.as_deref(), Some("lost"), "{major}");
        let from = Lsn(from.0 & !0xFF_FFFF);
        let failure = match Replication::start(connection, "archive", Timeline::FIRST, from) {
            Err(failure) => failure,
            Ok(mut replication) => loop {
                match replication.next(test_timeout(30)) {
                    Ok(event) => assert!(matches!(event, Event::Keepalive { .. }), "{event:?}"),
                    Err(failure) => break failure,
                }
            },
        };
        assert!(
            hint_contains(&failure, "full backup"),
            "{major}: {failure:?}"
        );
    }
}

#[test]
fn a_timeline_ends_where_the_next_one_begins() {
    let scratch = Scratch::new("pg-timeline");
    let mut primary = Cluster::builder(&scratch).start();
    let standby = primary.standby(&scratch, "standby");
    primary.execute("CREATE TABLE t AS SELECT 1 AS n");
    let login = login(&standby);
    let connection = open(&login, Mode::Replication).unwrap();
    let identity = connection_identity(&login);
    let from = Lsn(identity.position.0 & !0xFF_FFFF);
    let mut replication = Replication::start(connection, "", Timeline::FIRST, from).unwrap();
    primary.stop();
    standby.promote();
    let mut end = from;
    loop {
        match replication.next(test_timeout(30)).unwrap() {
            Event::Wal { start, bytes, .. } => end = start.advance(bytes.len() as u64),
            Event::EndOfTimeline => break,
            Event::Keepalive { .. } => {}
            Event::Timeout => panic!("nothing more comes"),
        }
    }
    let (mut connection, next) = replication.finish().unwrap();
    let WalPosition {
        timeline,
        lsn: begin,
    } = next.unwrap();
    assert_eq!((timeline.number(), begin), (2, end));
    let history = connection.timeline_history(timeline).unwrap();
    let history = String::from_utf8(history).unwrap();
    assert!(history.starts_with(&format!("1\t{begin}\t")), "{history:?}");
    // At the end of the old timeline there is nothing to stream.
    let mut replication = Replication::start(connection, "", Timeline::FIRST, end).unwrap();
    assert_eq!(
        replication.next(Duration::ZERO).unwrap(),
        Event::EndOfTimeline
    );
    let (connection, again) = replication.finish().unwrap();
    assert_eq!(again, next);
    Replication::start(connection, "", timeline, begin)
        .unwrap()
        .close();
}

fn connection_identity(login: &pgmoneta::pg::Login) -> pgmoneta::pg::SystemIdentity {
    open(login, Mode::Replication)
        .unwrap()
        .identify_system()
        .unwrap()
}
