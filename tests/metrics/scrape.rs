//! A scrape of a daemon with a backup.

use std::collections::BTreeSet;

use pgmoneta::status::metrics::{Kind, metrics};
use rustix::process::Signal;

use super::client::{request, scrape, value};
use super::{clients, promtool};
use crate::harness::{Cluster, Daemon, Scratch, free_port, wait_until};

/// Metrics without a sample here: the disk does not get fuller, and the slot has no limit.
const WITHOUT_SAMPLE: [&str; 2] = [
    "pgmoneta_disk_time_left_seconds",
    "pgmoneta_slot_safe_bytes",
];

fn daemon(scratch: &Scratch, cluster: &Cluster, port: u16) -> Daemon {
    Daemon::builder(scratch)
        .global(&format!("metrics = {port}\nauthentication_timeout = 60s"))
        .server("primary", cluster)
        .start_streaming()
}

/// Waits until a sample has a value, and returns the scrape.
fn wait_value(port: u16, sample: &str, expected: f64) -> String {
    let mut text = String::new();
    wait_until(&format!("{sample} {expected}"), 120, || {
        text = scrape(port);
        value(&text, sample) == Some(expected)
    });
    text
}

#[test]
fn a_scrape_has_all_metrics_and_says_what_would_be_lost() {
    let scratch = Scratch::new("metrics");
    let mut cluster = Cluster::builder(&scratch).start();
    let port = free_port();
    let daemon = daemon(&scratch, &cluster, port);
    cluster.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n");
    let label = daemon.backup("primary");
    cluster.execute("INSERT INTO t VALUES (0)");
    daemon.cli(&["verify", "primary", "newest"]).ok();
    daemon.cli(&["verify", "primary", "wal"]).ok();
    daemon
        .cli(&["restore", "primary", "newest", "name=nothing", "/nowhere"])
        .fails(1, "");
    wait_value(
        port,
        "pgmoneta_server_operation_count{name=\"primary\"}",
        3.0,
    );
    wait_value(port, "pgmoneta_rpo_bytes{name=\"primary\"}", 0.0);
    wait_value(
        port,
        "pgmoneta_slot_status{name=\"primary\",status=\"reserved\"}",
        1.0,
    );
    wait_until("what is proven", 120, || {
        scrape(port).contains("\npgmoneta_restorable_to_seconds{")
    });
    let text = wait_value(port, "pgmoneta_rpo_seconds{name=\"primary\"}", 0.0);
    has_all_metrics(port, &text);
    has_true_values(&text, &daemon, &label);
    if let Some(complaints) = promtool::check(&text) {
        assert_eq!(complaints, Vec::<String>::new());
    }

    clients::all_are_served_beside_slow_ones(port);
    clients::each_request_gets_its_answer(port);
    daemon.signal(Signal::HUP);

    cluster.kill();
    wait_until("the age of what is durable", 120, || {
        value(&scrape(port), "pgmoneta_rpo_seconds{name=\"primary\"}") >= Some(1.0)
    });
    let text = scrape(port);
    assert_eq!(
        value(&text, "pgmoneta_server_online{name=\"primary\"}"),
        Some(0.0)
    );
    assert_eq!(
        value(&text, "pgmoneta_rpo_bytes{name=\"primary\"}"),
        None,
        "nobody knows"
    );
    // No file is read for a scrape.
    std::fs::rename(daemon.base_dir(), scratch.join("away")).unwrap();
    assert_eq!(
        value(&scrape(port), "pgmoneta_backup_count{name=\"primary\"}"),
        Some(1.0)
    );
    std::fs::rename(scratch.join("away"), daemon.base_dir()).unwrap();
}

fn has_all_metrics(port: u16, text: &str) {
    let page = request(port, "GET", "/");
    assert_eq!(
        (page.status, page.field("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(page.body.contains("<title>pgmoneta exporter</title>"));
    let mut names = BTreeSet::new();
    for metric in metrics() {
        let name = metric.name;
        names.insert(name);
        let (help, kind) = (format!("# HELP {name} "), format!("# TYPE {name} "));
        assert_eq!(
            (text.matches(&help).count(), text.matches(&kind).count()),
            (1, 1),
            "{name}"
        );
        assert!(page.body.contains(&format!("<h2 id=\"{name}\">")), "{name}");
        let suffix = match metric.kind {
            Kind::Histogram => "_bucket",
            Kind::Gauge | Kind::Counter => "",
        };
        let first = text.lines().find(|line| {
            let rest = line
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix(suffix));
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        assert_eq!(
            first.is_none(),
            WITHOUT_SAMPLE.contains(&name),
            "{name}: {first:?}"
        );
        for label in metric.labels() {
            assert!(
                first.is_none_or(|line| line.contains(&format!("{label}=\""))),
                "{name}"
            );
        }
    }
    let of_c = promtool::NAMES_OF_C;
    let missing: Vec<_> = of_c.lines().filter(|name| !names.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert_eq!(of_c.lines().count(), 100);
}

fn has_true_values(text: &str, daemon: &Daemon, label: &str) {
    let of_server = |name: &str| value(text, &format!("{name}{{name=\"primary\"}}"));
    let labels = format!("{{name=\"primary\",label=\"{label}\"}}");
    let of_backup = |name: &str| value(text, &format!("{name}{labels}"));
    let info = daemon
        .cli(&["info", "primary", label, "--format", "raw"])
        .ok();
    let info = &info.json()["Response"];
    assert_eq!(
        of_backup("pgmoneta_backup_size"),
        info["BackupSize"].as_f64()
    );
    assert_eq!(
        of_backup("pgmoneta_restore_size"),
        info["RestoreSize"].as_f64()
    );
    assert_eq!(
        of_backup("pgmoneta_restore_size_increment"),
        info["RestoreSize"].as_f64()
    );
    assert_eq!(of_backup("pgmoneta_backup"), Some(1.0));
    assert_eq!(of_server("pgmoneta_backup_newest"), label.parse().ok());
    assert_eq!(of_server("pgmoneta_server_valid"), Some(1.0));
    assert_eq!(
        of_server("pgmoneta_server_failed_operation_count"),
        Some(1.0)
    );
    for (operation, outcome, count) in [
        ("backup", "succeeded", 1.0),
        ("verify", "succeeded", 2.0),
        ("restore", "failed", 1.0),
    ] {
        let labels = format!("name=\"primary\",operation=\"{operation}\",outcome=\"{outcome}\"");
        let sample = format!("pgmoneta_operations_total{{{labels}}}");
        assert_eq!(value(text, &sample), Some(count), "{sample}");
    }
    let total = of_server("pgmoneta_total_size").unwrap();
    assert_eq!(value(text, "pgmoneta_used_space"), Some(total));
    for positive in [
        "pgmoneta_wal_received_bytes_total",
        "pgmoneta_wal_flush_seconds_count",
        "pgmoneta_wal_total_size",
        "pgmoneta_rto_estimate_seconds",
        "pgmoneta_server_extensions_detected",
    ] {
        assert!(of_server(positive) > Some(0.0), "{positive}");
    }
    let from = of_server("pgmoneta_restorable_from_seconds").unwrap();
    let to = of_server("pgmoneta_restorable_to_seconds").unwrap();
    let stop = of_server("pgmoneta_backup_newest_timestamp_seconds").unwrap();
    assert!(
        from == stop && to >= from && to <= from + 3600.0,
        "{from} {to} {stop}"
    );
    let file = "pgmoneta_current_wal_file{name=\"primary\",file=\"00000001";
    assert!(text.contains(file));
}
