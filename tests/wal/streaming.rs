//! WAL is received and sealed, and streaming resumes after errors.

use std::fs;
use std::time::{Duration, Instant};

use pgmoneta::status::Phase;
use pgmoneta::unit::Lsn;
use postgres::types::PgLsn;

use super::relay::Relay;
use super::setup::{Receiver, flush_lsn, write_wal};
use crate::harness::{
    Cluster, Daemon, MAJORS, RunningStatement, Scratch, StoppedWalSender, installed, wait_until,
};

const CREATE: &str = "create_slot = yes";
const KEEP: &str = "wal_keep_size = '4GB'\nmax_wal_size = '4GB'\n";

#[test]
fn every_version_and_segment_size_streams_byte_for_byte() {
    for (major, mib) in MAJORS.into_iter().zip([1, 64, 16, 1, 16, 1]) {
        if installed(major).is_none() {
            assert!(
                std::env::var_os("CI").is_none(),
                "PostgreSQL {major} is missing"
            );
            eprintln!("PostgreSQL {major} is missing");
            continue;
        }
        let scratch = Scratch::new("wal-size");
        let cluster = Cluster::builder(&scratch)
            .major(major)
            .wal_segment_mib(mib)
            .conf(KEEP)
            .start();
        let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
        receiver.wait_streaming();
        write_wal(&cluster, 3);
        cluster.execute("SELECT pg_switch_wal()");
        write_wal(&cluster, 2);
        let end = receiver.wait_flushed(&cluster);
        cluster.wait_received("pgmoneta");
        assert!(flush_lsn(&cluster).unwrap() >= end);
        let state = receiver.state();
        assert_eq!(state.version.unwrap().major, major);
        assert_eq!(
            (state.checksums, state.in_recovery),
            (Some(true), Some(false))
        );
        assert_eq!(state.lag(), Some(0), "{state:?}");
        receiver.stop();
        assert_eq!(receiver.state().phase, Phase::Stopped);
        let compared = receiver.compare(&cluster);
        assert!(compared >= 2, "PostgreSQL {major}: {compared}");
        let left: Vec<_> = receiver.names();
        assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
    }
}

#[test]
fn segments_are_sealed_and_can_be_read() {
    let scratch = Scratch::new("wal-seal");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(KEEP)
        .start();
    let global = "compression = zstd\nencryption = aes-192-gcm";
    let mut receiver = Receiver::new(&scratch, &cluster, global, CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 6);
    cluster.execute("SELECT pg_switch_wal()");
    receiver.wait_flushed(&cluster);
    receiver.wait_sealed();
    assert!(receiver.state().sealed >= 5);
    receiver.stop();
    let plain = receiver.names().into_iter().filter(|name| name.len() == 24);
    assert_eq!(plain.count(), 0);
    assert!(receiver.compare(&cluster) >= 6);

    // Segments that a crash left unsealed are sealed at the next start, with another method too.
    receiver.configure(&cluster, "compression = none", CREATE);
    receiver.start();
    receiver.wait_streaming();
    write_wal(&cluster, 3);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    let plain = receiver.names().into_iter().filter(|name| name.len() == 24);
    assert!(plain.count() >= 2);
    receiver.configure(
        &cluster,
        "compression = lz4\nencryption = aes-192-gcm",
        CREATE,
    );
    receiver.start();
    receiver.wait_streaming();
    receiver.wait_sealed();
    receiver.stop();
    let plain = receiver.names().into_iter().filter(|name| name.len() == 24);
    assert_eq!(plain.count(), 0);
    assert!(receiver.compare(&cluster) >= 8);
}

#[test]
fn streaming_resumes_after_a_server_restart_and_is_logged_once() {
    let scratch = Scratch::new("wal-restart");
    let mut cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(KEEP)
        .conf("wal_sender_timeout = 0")
        .start();
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 1);

    // With `wal_sender_timeout = 0` a server waits for its receivers without a limit.
    cluster.stop();
    wait_until("the shutdown is noticed", 5, || {
        !receiver.state().is_streaming()
    });
    let (logged, attempts) = (receiver.log().len(), receiver.unreported_attempts());
    wait_until("it has retried", 10, || {
        receiver.unreported_attempts() >= attempts + 2
    });
    assert_eq!(receiver.log().len(), logged, "{:?}", receiver.log());
    cluster.start();
    receiver.wait_streaming();
    write_wal(&cluster, 2);
    receiver.wait_flushed(&cluster);
    let log = receiver.log();
    assert_eq!(
        log.iter().filter(|line| line.starts_with("WARN")).count(),
        1,
        "{log:?}"
    );
    assert_eq!(
        log.iter()
            .filter(|line| line.contains("again, from"))
            .count(),
        1,
        "{log:?}"
    );

    cluster.kill();
    wait_until("the crash is noticed", 5, || {
        !receiver.state().is_streaming()
    });
    cluster.start();
    receiver.wait_streaming();
    write_wal(&cluster, 2);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    assert!(receiver.compare(&cluster) >= 4);
}

#[test]
fn the_acknowledged_position_never_goes_back() {
    let scratch = Scratch::new("wal-back");
    let cluster = Cluster::builder(&scratch).conf(KEEP).start();
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    let restart = || Lsn(cluster.restart_lsn().into());
    let mut last = restart();
    for _ in 0..5 {
        write_wal(&cluster, 1);
        let end = receiver.wait_flushed(&cluster);
        wait_until("the slot moves", 30, || restart() >= end);
        last = last.max(end);
        receiver.stop();
        receiver.start();
        // The segment is received again from its start; no report may have a position within it.
        for _ in 0..30 {
            assert!(restart() >= last);
            assert!(flush_lsn(&cluster).is_none_or(|flush| flush.0 == 0 || flush >= last));
        }
        receiver.wait_streaming();
    }
}

#[test]
fn synchronous_commits_wait_for_the_receiver_only() {
    let scratch = Scratch::new("wal-sync");
    let cluster = Cluster::builder(&scratch)
        .conf(
            "synchronous_standby_names = 'pgmoneta'\nsynchronous_commit = local\n\
             wal_receiver_status_interval = 1",
        )
        .start();
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    cluster.wait_streaming("pgmoneta");
    cluster.execute("CREATE TABLE t (n int)");
    let mut client = cluster.connect("postgres");
    client.batch_execute("SET synchronous_commit = on").unwrap();
    for _ in 0..20 {
        let mut transaction = client.transaction().unwrap();
        let insert = "INSERT INTO t VALUES (1)";
        transaction.batch_execute(insert).unwrap();
        let end = transaction.query_one("SELECT pg_current_wal_insert_lsn()", &[]);
        let end: PgLsn = end.unwrap().get(0);
        transaction.commit().unwrap();
        // WAL of a commit that the client saw is in the open segment file.
        let received = receiver.wal_end().received;
        assert!(received.0 >= end.into(), "{received} {end}");
    }
    receiver.stop();
    let waiting = RunningStatement::start(
        &cluster,
        "SET synchronous_commit = on; INSERT INTO t VALUES (1)",
    );
    cluster.wait_true(
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
        30,
    );
    assert!(!waiting.has_ended(), "it committed without the receiver");
    receiver.start();
    waiting.wait(30).unwrap();
}

#[test]
fn a_completed_segment_is_reported_immediately() {
    let scratch = Scratch::new("wal-end");
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        cluster.execute("SELECT pg_logical_emit_message(false, 'x', 'y'); SELECT pg_switch_wal()");
        // The server sends the rest of the segment and nothing after it.
        let begun = Instant::now();
        receiver.wait_flushed(&cluster);
        cluster.wait_received("pgmoneta");
        quickest = quickest.min(begun.elapsed());
    }
    // Otherwise each report would come with the status update every 10 s.
    assert!(quickest < Duration::from_secs(5), "{quickest:?}");
}

#[test]
fn a_silent_server_is_disconnected_after_the_timeout() {
    let scratch = Scratch::new("wal-silent");
    let cluster = Cluster::builder(&scratch).conf(KEEP).start();
    let section = format!("{CREATE}\nwal_receiver_timeout = 6s");
    let mut receiver = Receiver::new(&scratch, &cluster, "", &section).started();
    receiver.wait_streaming();
    let logged = receiver.log().len();
    cluster.wait_true(
        "SELECT now() - backend_start > '9 s' FROM pg_stat_replication",
        30,
    );
    assert!(
        receiver.state().is_streaming() && receiver.log().len() == logged,
        "an idle server sends keepalives"
    );
    let silent = Instant::now();
    let held = StoppedWalSender::stop(&cluster, "pgmoneta");
    wait_until("the silence is noticed", 10, || {
        let phase = receiver.state().phase;
        matches!(phase, Phase::Reconnecting(why) if why.contains("sent nothing for 6s"))
    });
    assert!(silent.elapsed() >= Duration::from_secs(2));
    drop(held);
    receiver.wait_streaming();
    write_wal(&cluster, 1);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    receiver.compare(&cluster);
}

#[test]
fn a_partial_segment_that_lost_pages_is_repaired() {
    let scratch = Scratch::new("wal-mend");
    let cluster = Cluster::builder(&scratch).conf(KEEP).start();
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 3);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    let partial = receiver.names().pop().unwrap();
    assert!(partial.ends_with(".partial"));
    let path = receiver.wal_path().join(&partial);
    let mut content = fs::read(&path).unwrap();
    content[8192..200_000].fill(0); // as after a power failure
    fs::write(&path, content).unwrap();
    receiver.start();
    receiver.wait_streaming();
    write_wal(&cluster, 1);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    assert!(receiver.compare(&cluster) >= 1);
}

#[test]
fn wal_with_a_gap_in_the_stream_is_refused() {
    let scratch = Scratch::new("wal-jump");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(KEEP)
        .start();
    let relay = Relay::new(&scratch, &cluster, 1 << 20);
    let sockets = relay.sockets();
    let mut receiver = Receiver::at(&scratch, sockets, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 1);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    let before = receiver.wal().segments().unwrap();

    // The gap is in the first message, before a segment is open.
    relay.drop_wal(true);
    write_wal(&cluster, 4);
    receiver.start();
    let refused = "the server sent WAL from";
    wait_until("the jump is refused", 30, || {
        receiver.log().iter().any(|line| line.contains(refused))
    });
    assert_eq!(receiver.wal().segments().unwrap(), before);

    relay.drop_wal(false);
    receiver.wait_streaming();
    receiver.wait_flushed(&cluster);
    receiver.stop();
    assert!(receiver.compare(&cluster) >= 4);
}

/// The start position of the last stream of a receiver.
fn last_start(receiver: &Receiver) -> Lsn {
    let log = receiver.log();
    let mut starts = log.iter().filter_map(|line| {
        let (_, rest) = line.split_once("streaming WAL")?;
        rest.split_once("from ")?.1.split_once(' ')
    });
    let (start, _) = starts.next_back().unwrap();
    start.parse().unwrap()
}

/// Restarts a receiver and waits until it acknowledges all WAL, without new WAL. Returns the start
/// of the stream and the end of WAL.
fn restart(receiver: &mut Receiver, cluster: &Cluster) -> (Lsn, Lsn) {
    receiver.stop();
    receiver.start();
    receiver.wait_streaming();
    let end = receiver.wait_flushed(cluster);
    wait_until("it is acknowledged", 30, || {
        flush_lsn(cluster).is_some_and(|flush| flush >= end)
    });
    (last_start(receiver), end)
}

#[test]
fn valid_wal_from_before_a_restart_is_not_received_again() {
    let scratch = Scratch::new("wal-prove");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(4)
        // Background WAL would count as received again.
        .conf(&format!("{KEEP}\nautovacuum = off\n"))
        .start();
    let global = "compression = zstd\nencryption = aes-192-gcm";
    let mut receiver = Receiver::new(&scratch, &cluster, global, CREATE).started();
    receiver.wait_streaming();
    let overlap = 256 << 10;
    let near_end = |(from, end): (Lsn, Lsn)| {
        assert!(end.since(from) <= overlap + 8192, "from {from} to {end}");
    };
    let message = |mib: u32| {
        let length = mib << 20;
        cluster.execute(&format!(
            "SELECT pg_logical_emit_message(true, 'x', repeat('y', {length}))"
        ));
    };
    // The first segment of the archive, then one that begins with the rest of a record.
    for mib in [2, 3] {
        message(mib);
        receiver.wait_flushed(&cluster);
        near_end(restart(&mut receiver, &cluster));
    }
    // A record that spans several segments; the full ones are sealed.
    message(9);
    receiver.wait_flushed(&cluster);
    receiver.wait_sealed();
    near_end(restart(&mut receiver, &cluster));
    // A segment without received WAL.
    cluster.execute("SELECT pg_switch_wal()");
    receiver.wait_flushed(&cluster);
    restart(&mut receiver, &cluster);

    // WAL after the last valid record is received again.
    message(2);
    let end = receiver.wait_flushed(&cluster);
    receiver.stop();
    let partial = receiver.wal_path().join(receiver.names().pop().unwrap());
    let mut content = fs::read(&partial).unwrap();
    let offset = usize::try_from(end.0 % (4 << 20)).unwrap();
    content[offset + 8..offset + 200_000].fill(0xAA);
    fs::write(&partial, &content).unwrap();
    near_end(restart(&mut receiver, &cluster));
    receiver.stop();
    let mut content = fs::read(&partial).unwrap();
    content[offset - 1_000_000] ^= 0xFF;
    fs::write(&partial, &content).unwrap();
    let (from, _) = restart(&mut receiver, &cluster);
    assert!(from.0 < end.0 - 1_000_000, "{from}");
    let logged = |line: &String| line.starts_with("WARN") && line.contains("is damaged after");
    assert!(receiver.log().iter().any(logged), "{:?}", receiver.log());
    message(1);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    assert!(receiver.compare(&cluster) >= 5);
}

#[test]
fn a_large_segment_is_not_received_again_after_a_kill() {
    let scratch = Scratch::new("wal-kill");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(64)
        .conf(KEEP)
        .start();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start_streaming();
    write_wal(&cluster, 20);
    cluster.wait_received("pgmoneta");
    let end = Lsn(cluster.flush_lsn().into());
    daemon.kill();
    daemon.start();
    wait_until("all is acknowledged again", 60, || {
        flush_lsn(&cluster).is_some_and(|flush| flush >= end)
    });
    let log = daemon.log();
    let from = log.rsplit_once("streaming WAL, from ").unwrap().1;
    let from: Lsn = from.split_once(' ').unwrap().0.parse().unwrap();
    assert!(end.since(from) < 1 << 20, "from {from} to {end}");
}

#[test]
fn commits_that_wait_until_wal_is_applied_are_warned_of() {
    let scratch = Scratch::new("wal-apply");
    let cluster = Cluster::builder(&scratch).start();
    let receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    let warnings = || {
        let log = receiver.log();
        let about = |line: &&String| line.contains("remote_apply");
        log.iter().filter(about).cloned().collect::<Vec<_>>()
    };
    let reconnect = || {
        let before = count_streams(&receiver);
        cluster.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_replication \
             WHERE application_name = 'pgmoneta'",
        );
        wait_until("it streams again", 60, || count_streams(&receiver) > before);
    };
    cluster.configure("synchronous_standby_names = 'FIRST 1 (pgmoneta)'");
    cluster.reload();
    cluster.wait_true("SELECT sync_state = 'sync' FROM pg_stat_replication", 60);
    reconnect();
    assert_eq!(warnings(), [""; 0], "commits wait until the WAL is on disk");

    cluster.configure("synchronous_commit = remote_apply");
    cluster.reload();
    let setting = "SELECT setting = 'remote_apply' FROM pg_settings \
                   WHERE name = 'synchronous_commit'";
    cluster.wait_true(setting, 60);
    for _ in 0..2 {
        reconnect();
        let warnings = warnings();
        assert_eq!(warnings.len(), 1, "once: {warnings:?}");
        assert!(warnings[0].starts_with("WARN"), "{warnings:?}");
        assert!(warnings[0].contains("hint: set synchronous_commit = on"));
    }
}

/// How often the log says that streaming began.
fn count_streams(receiver: &Receiver) -> usize {
    let log = receiver.log();
    log.iter()
        .filter(|line| line.contains("streaming WAL"))
        .count()
}
