//! The decoded records of real WAL are those that `pg_waldump` or `pg_walinspect` of the same
//! version reports.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use pgmoneta::format::wal::{Decoder, Event, Record};
use pgmoneta::unit::{Lsn, Segment, SegmentSize};
use postgres::types::PgLsn;

use crate::harness::{Cluster, MAJORS, Scratch, installed};

/// A record as text: position, transaction ID, total length, position of the previous record.
fn line(record: &Record<'_>) -> String {
    let header = record.header;
    format!(
        "{} {} {} {}",
        record.start, header.xid, header.total_length, header.previous
    )
}

struct Found {
    lines: Vec<String>,
    events: Vec<(Lsn, Event)>,
    /// The end of valid WAL.
    end: Lsn,
}

/// Decodes the segments of a stopped server from the one that holds `start`.
fn decode(data: &Path, start: Lsn, size: SegmentSize) -> Found {
    let mut names: Vec<_> = fs::read_dir(data.join("pg_wal"))
        .unwrap()
        .filter_map(|entry| Segment::parse(entry.unwrap().file_name().to_str().unwrap(), size))
        .filter(|segment| segment.end(size) > start)
        .collect();
    names.sort();
    let mut decoder = Decoder::new(start, size, None);
    let (mut lines, mut events) = (Vec::new(), Vec::new());
    for segment in names {
        let bytes = fs::read(data.join("pg_wal").join(segment.name(size))).unwrap();
        // Chunks, as the decoder of a compressed file returns them.
        for (index, chunk) in bytes.chunks(65536).enumerate() {
            let address = segment.start(size).advance(index as u64 * 65536);
            let fed = decoder.feed(address, chunk, &mut |record| {
                lines.push(line(record));
                events.push((record.start, Event::decode(record).unwrap()));
                ControlFlow::Continue(())
            });
            if let Err(invalid) = fed {
                let end = invalid.at;
                return Found { lines, events, end };
            }
        }
    }
    let end = decoder.position();
    Found { lines, events, end }
}

/// The records from `start` to `end` as the server's program or extension reports them.
fn reference(cluster: &mut Cluster, start: Lsn, end: Lsn) -> Option<Vec<String>> {
    let waldump = cluster.bin().join("pg_waldump");
    if waldump.is_file() {
        let output = Command::new(waldump)
            .arg("-p")
            .arg(cluster.data().join("pg_wal"))
            .args(["-s", &start.to_string(), "-e", &end.to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        return Some(text.lines().map(parse_waldump).collect());
    }
    if cluster.major() < 15 {
        return None;
    }
    cluster.start();
    cluster.execute("CREATE EXTENSION pg_walinspect");
    let records = cluster.query_values(&format!(
        "SELECT start_lsn || ' ' || xid || ' ' || record_length || ' ' || prev_lsn \
         FROM pg_get_wal_records_info('{start}', '{end}') ORDER BY start_lsn"
    ));
    cluster.stop();
    Some(records)
}

/// `rmgr: Heap len (rec/tot): 59/ 59, tx: 739, lsn: 0/0177A0B8, prev 0/0177A080, desc: …`
fn parse_waldump(text: &str) -> String {
    let after = |mark: &str| text.split_once(mark).unwrap().1;
    let total = after("len (rec/tot):").split_once('/').unwrap().1;
    let word = |text: &str| text.split(',').next().unwrap().trim().to_owned();
    let lsn = |mark: &str| word(after(mark)).parse::<Lsn>().unwrap();
    format!(
        "{} {} {} {}",
        lsn("lsn: "),
        word(after("tx:")),
        word(total),
        lsn("prev ")
    )
}

/// Generates records of many kinds and lengths, some across many pages.
fn generate_records(cluster: &Cluster) {
    cluster.execute("CREATE TABLE t (n int, x text); CREATE INDEX ON t (n)");
    cluster.execute("ALTER TABLE t ALTER x SET STORAGE EXTERNAL");
    cluster.execute(
        "INSERT INTO t SELECT g, repeat(md5(g::text), g % 60) FROM generate_series(1, 3000) g",
    );
    cluster.execute("SELECT pg_logical_emit_message(false, 'long', repeat('x', 3000000))");
    cluster.execute(
        "DO $$ BEGIN FOR i IN 1..200 LOOP BEGIN INSERT INTO t VALUES (i); EXCEPTION \
        WHEN others THEN NULL; END; END LOOP; END $$",
    );
    cluster.execute("VACUUM FULL t");
    cluster.execute("SELECT pg_switch_wal()");
    cluster.execute("CHECKPOINT");
    cluster.execute("UPDATE t SET n = n + 1 WHERE n % 7 = 0");
}

#[test]
fn decoded_records_match_those_of_postgresql() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        for mib in [16, 1] {
            let scratch = Scratch::new("walrec");
            let mut cluster = Cluster::builder(&scratch)
                .major(major)
                .wal_segment_mib(mib)
                .conf("max_prepared_transactions = 5\nwal_keep_size = 1GB\nautovacuum = off")
                .start();
            let size = SegmentSize::new(u64::from(mib) << 20).unwrap();
            cluster.execute("CHECKPOINT");
            let start: PgLsn = cluster.query_value("SELECT redo_lsn FROM pg_control_checkpoint()");
            let start = Lsn(start.into());
            generate_records(&cluster);
            let expected = run_transactions(&cluster);
            cluster.execute("SELECT pg_create_restore_point('it''s \"here\"')");
            cluster.stop();
            let found = decode(cluster.data(), start, size);
            assert!(found.lines.len() > 5000, "{}", found.lines.len());
            expected.check(&found);
            if let Some(expected) = reference(&mut cluster, start, found.end) {
                assert_eq!(
                    found.lines.len(),
                    expected.len(),
                    "PostgreSQL {major}: {:?}",
                    found.end
                );
                assert_eq!(found.lines, expected, "PostgreSQL {major}");
            }
        }
    }
}

/// Transactions as SQL reported them.
struct ExpectedTransactions {
    committed: Vec<(u32, i64)>,
    aborted: u32,
    prepared: u32,
    rolled_back: u32,
}

fn run_transactions(cluster: &Cluster) -> ExpectedTransactions {
    let mut client = cluster.connect("postgres");
    let mut xid = |sql: &str, end: &str| {
        client.batch_execute(sql).unwrap();
        let xid: i64 = client
            .query_one("SELECT txid_current()", &[])
            .unwrap()
            .get(0);
        client.batch_execute(end).unwrap();
        xid as u32
    };
    let prepared = xid(
        "BEGIN; CREATE TABLE p AS SELECT txid_current() AS n; SAVEPOINT a; \
         INSERT INTO p VALUES (1); DROP TABLE IF EXISTS nothing",
        "PREPARE TRANSACTION 'one'",
    );
    let rolled_back = xid(
        "BEGIN; DROP TABLE t; SAVEPOINT b; CREATE TABLE q (n int)",
        "PREPARE TRANSACTION 'two'",
    );
    cluster.execute("COMMIT PREPARED 'one'");
    cluster.execute("ROLLBACK PREPARED 'two'");
    let aborted = xid("BEGIN; INSERT INTO t VALUES (1)", "ROLLBACK");
    let mut committed = Vec::new();
    for _ in 0..3 {
        let row = client.query_one(
            "INSERT INTO t VALUES (1) RETURNING txid_current(), \
             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
            &[],
        );
        let row = row.unwrap();
        committed.push((row.get::<_, i64>(0) as u32, row.get(1)));
    }
    ExpectedTransactions {
        committed,
        aborted,
        prepared,
        rolled_back,
    }
}

impl ExpectedTransactions {
    fn check(&self, found: &Found) {
        let events = || found.events.iter().map(|(_, event)| event);
        let commit = |xid: u32| {
            events().find_map(|event| match event {
                Event::Commit { xid: own, time } if *own == xid => Some(*time),
                _ => None,
            })
        };
        let abort = |wanted: u32| {
            events().any(|event| matches!(event, Event::Abort { xid, .. } if *xid == wanted))
        };
        for (xid, time) in &self.committed {
            let said = commit(*xid).unwrap_or_else(|| panic!("no commit of {xid}"));
            assert!((said - time).abs() < 5_000_000, "{said} is not near {time}");
        }
        assert!(
            commit(self.prepared).is_some(),
            "commit of a prepared transaction"
        );
        assert!(abort(self.aborted) && abort(self.rolled_back), "aborts");
        assert!(events().any(
            |event| matches!(event, Event::RestorePoint { name, .. } if name == b"it's \"here\"")
        ));
        let now = self.committed[0].1;
        let checkpoint = events().filter_map(|event| match event {
            Event::Checkpoint { time, .. } => Some(*time),
            _ => None,
        });
        let checkpoints: Vec<_> = checkpoint.collect();
        assert!(checkpoints.len() >= 2, "{checkpoints:?}");
        assert!(
            checkpoints
                .iter()
                .all(|time| (time - now).abs() < 120_000_000),
            "{checkpoints:?}"
        );
    }
}
