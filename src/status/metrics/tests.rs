//! The rows, and their text.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::row::Read::{Server, ServerEach};
use super::row::{Kind, counter, gauge};
use super::{Snapshot, exposition, metrics, page};
use crate::config::{Config, Server as ServerConfig};
use crate::status::{Activity, Disks, Inventory, Scope, ServerState, StoredBackup, StoredWal};
use crate::unit::{Lsn, StepTimes, Timeline, Timestamp};

fn server(name: &str) -> (Arc<ServerConfig>, Arc<ServerState>) {
    let config = ServerConfig {
        name: name.parse().unwrap(),
        ..ServerConfig::default()
    };
    let state = ServerState::new(&config.name);
    (Arc::new(config), state)
}

fn snapshot(servers: &[(Arc<ServerConfig>, Arc<ServerState>)]) -> Snapshot {
    let servers = servers.iter();
    let servers = servers.map(|(config, state)| (config.clone(), state.as_ref()));
    let config = Arc::new(Config::default());
    Snapshot::take(&config, Timestamp(0), &Disks::default(), servers)
}

fn backup(day: u32) -> StoredBackup {
    StoredBackup {
        label: format!("202601{day:02}000000").parse().unwrap(),
        valid: true,
        retained: false,
        version: crate::unit::PgVersion {
            major: 17,
            minor: 2,
        },
        stored_bytes: 3 << 30,
        plain_bytes: 9 << 30,
        growth: -(3 << 32),
        start: Timeline::FIRST.at(Lsn(0x1000)),
        checkpoint: Lsn(0x1100),
        end: Timeline::FIRST.at(Lsn(0x2000)),
        elapsed: 12.5,
        steps: StepTimes::default(),
        taken_at: Some(Timestamp::from_seconds(Timestamp::now().seconds() - 100)),
    }
}

fn inventory(backups: Vec<StoredBackup>) -> Inventory {
    Inventory {
        collected_at: Some(Instant::now()),
        backups,
        backup_bytes: 3 << 30,
        wal: StoredWal {
            bytes: 5,
            ..StoredWal::default()
        },
        ..Inventory::default()
    }
}

/// A row is all that one more metric needs.
#[test]
fn one_more_row_is_in_the_text_once_for_each_server() {
    let servers = ["a", "b"].map(server);
    let flushed = |state: &mut crate::status::ReceiverState| state.flushed = Lsn(256);
    servers[0].1.update_receiver(flushed);
    let row = counter(
        "pgmoneta_test_bytes_total",
        "Test",
        Server(|server| Some(server.receiver.flushed.0.into())),
    );
    assert_eq!(
        exposition([&row], &snapshot(&servers)),
        "# HELP pgmoneta_test_bytes_total Test\n# TYPE pgmoneta_test_bytes_total counter\n\
         pgmoneta_test_bytes_total{name=\"a\"} 256\npgmoneta_test_bytes_total{name=\"b\"} 0\n"
    );
    let rows = [row];
    let page = page(&rows, &snapshot(&servers));
    assert!(
        page.contains("<tr><td>name=&quot;a&quot;</td><td>256</td></tr>"),
        "{page}"
    );
}

#[test]
fn values_of_labels_are_escaped() {
    let row = gauge(
        "pgmoneta_test",
        "Test",
        ServerEach(|_, samples| samples.add(&["<a\"\\\n>"], -1.5)),
    );
    let row = row.with(&["text"]);
    let servers = [server("a")];
    let text = exposition([&row], &snapshot(&servers));
    assert!(
        text.ends_with("\npgmoneta_test{name=\"a\",text=\"<a\\\"\\\\\\n>\"} -1.5\n"),
        "{text}"
    );
    let page = page([&row], &snapshot(&servers));
    assert!(
        page.contains("text=&quot;&lt;a\\&quot;\\\\\\n&gt;&quot;"),
        "{page}"
    );
}

#[test]
fn every_row_has_a_name_of_its_own_and_a_help_of_one_line() {
    let mut names = std::collections::BTreeSet::new();
    for metric in metrics() {
        assert!(names.insert(metric.name), "{}", metric.name);
        assert!(metric.name.starts_with("pgmoneta_"), "{}", metric.name);
        assert!(!metric.help.contains(['\n', '\\']) && !metric.help.is_empty());
        // Names of the C program.
        let total = metric.name.ends_with("_total") && metric.name != "pgmoneta_progress_total";
        let counter = metric.kind == Kind::Counter && metric.name != "pgmoneta_server_timeline";
        assert_eq!(total, counter, "{}", metric.name);
    }
}

/// The value of the sample with this name and these labels.
fn value(text: &str, sample: &str) -> String {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("no {sample} in {text}"))
        .to_owned()
}

#[test]
fn what_was_collected_is_shown_and_what_is_unknown_is_not() {
    let servers = ["a", "b"].map(server);
    let (_, state) = &servers[0];
    let mut bad = backup(3);
    bad.valid = false;
    state.set_inventory(inventory(vec![backup(1), backup(2), bad]));
    let text = exposition(metrics(), &snapshot(&servers));
    for (sample, expected) in [
        ("pgmoneta_backup_oldest{name=\"a\"}", "20260101000000"),
        ("pgmoneta_backup_newest{name=\"a\"}", "20260102000000"),
        ("pgmoneta_backup_count{name=\"a\"}", "3"),
        ("pgmoneta_backup_count{name=\"b\"}", "0"),
        ("pgmoneta_backup_invalid{name=\"a\"}", "1"),
        ("pgmoneta_total_size{name=\"a\"}", "3221225477"),
        ("pgmoneta_used_space", "3221225477"),
        ("pgmoneta_backup{name=\"a\",label=\"20260103000000\"}", "0"),
        (
            "pgmoneta_restore_size_increment{name=\"a\",label=\"20260101000000\"}",
            "-12884901888",
        ),
        (
            "pgmoneta_backup_compression_ratio{name=\"a\",label=\"20260101000000\"}",
            "0.3333",
        ),
        (
            "pgmoneta_backup_throughput{name=\"a\",label=\"20260101000000\"}",
            "257.698",
        ),
        (
            "pgmoneta_backup_version{name=\"a\",label=\"20260101000000\",major=\"17\",minor=\"2\"}",
            "1",
        ),
        ("pgmoneta_server_parent_tli{name=\"b\",tli=\"1\"}", "0"),
        (
            "pgmoneta_progress_done{name=\"a\",workflow=\"Unknown\",phase=\"Unknown\"}",
            "0",
        ),
    ] {
        assert_eq!(value(&text, sample), expected, "{sample}");
    }
    let age: u64 = value(&text, "pgmoneta_backup_age_seconds{name=\"a\"}")
        .parse()
        .unwrap();
    assert!((100..200).contains(&age), "{age}");
    for absent in [
        "pgmoneta_backup_age_seconds{name=\"b\"}",
        "pgmoneta_rpo_bytes{name=\"a\"}",
        "pgmoneta_rpo_seconds{name=\"b\"}",
        "pgmoneta_restore_size{name=\"a\",label=\"20260103000000\"}",
        "pgmoneta_backup{name=\"b\"",
    ] {
        assert!(!text.contains(&format!("\n{absent}")), "{absent}");
    }
}

#[test]
fn operations_are_counted_by_their_outcome() {
    let servers = [server("a")];
    let (_, state) = &servers[0];
    let begin = |activity, scope| state.begin(activity, scope).unwrap();
    begin(Activity::Backup, Scope::NewBackup).succeeded();
    drop(begin(Activity::Backup, Scope::NewBackup));
    begin(Activity::Verify, Scope::ReadAny).uncounted();
    drop(begin(Activity::Retention, Scope::Retention));
    let step = "20260101000000".parse().unwrap();
    drop(begin(Activity::Retention, Scope::Change(step)));
    let running = begin(Activity::Restore, Scope::ReadAny);
    running.progress().set_total(200);
    running.progress().advance(50);
    let text = exposition(metrics(), &snapshot(&servers));
    let operation = |operation: &str, outcome: &str| {
        let labels = format!("{{name=\"a\",operation=\"{operation}\",outcome=\"{outcome}\"}}");
        value(&text, &format!("pgmoneta_operations_total{labels}"))
    };
    assert_eq!(operation("backup", "succeeded"), "1");
    assert_eq!(operation("backup", "failed"), "1");
    assert_eq!(operation("verify", "failed"), "0");
    assert_eq!(operation("retention", "failed"), "1");
    assert_eq!(
        value(&text, "pgmoneta_server_operation_count{name=\"a\"}"),
        "1"
    );
    assert_eq!(
        value(&text, "pgmoneta_server_failed_operation_count{name=\"a\"}"),
        "2"
    );
    assert_eq!(
        value(&text, "pgmoneta_backup_duration_seconds_count{name=\"a\"}"),
        "1"
    );
    let bucket = "pgmoneta_backup_duration_seconds_bucket{name=\"a\",le=\"+Inf\"}";
    assert_eq!(value(&text, bucket), "1");
    let last = value(&text, "pgmoneta_server_last_operation_time{name=\"a\"}");
    assert_eq!(last.len(), 14);
    let labels = "{name=\"a\",workflow=\"Restore\",phase=\"Restore backup\"}";
    let progress = value(&text, &format!("pgmoneta_progress_percentage{labels}"));
    assert_eq!(progress, "25");
    assert_eq!(value(&text, "pgmoneta_active_restore{name=\"a\"}"), "1");
    drop(running);
}

/// Also shows how large an answer is. `cargo test --release -- --ignored` prints the time.
#[test]
#[ignore = "a measurement"]
fn a_scrape_of_16_servers_with_100_backups_each() {
    let servers: Vec<_> = (0..16)
        .map(|number| server(&format!("server{number}")))
        .collect();
    for (_, state) in &servers {
        let backups = (0..100).map(|number| {
            let mut backup = backup(1);
            backup.label = format!("20260101{number:06}").parse().unwrap();
            backup
        });
        state.set_inventory(inventory(backups.collect()));
    }
    let mut times = Vec::new();
    let mut text = String::new();
    for _ in 0..100 {
        let begun = Instant::now();
        text = exposition(metrics(), &snapshot(&servers));
        times.push(begun.elapsed());
    }
    times.sort();
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    let (median, worst) = (times[50], times[99]);
    println!(
        "{series} series, {} bytes, median {median:?}, worst {worst:?}",
        text.len()
    );
    assert!(median < Duration::from_millis(100));
}
