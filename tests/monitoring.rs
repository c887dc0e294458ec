//! What an administrator's own tools see: the alert rules and the dashboard in `conf/`, the Nagios
//! plugin `pgmoneta-cli check`, and the Nagios service.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use pgmoneta::status::metrics::{Kind, metrics};

use super::harness::{Cluster, Daemon, Output, Scratch, free_port, wait_until};
use super::metrics::promtool;

const RULES: &str = "conf/pgmoneta_alerts.yml";
const DASHBOARD: &str = "conf/pgmoneta_grafana.json";

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&text(DASHBOARD)).unwrap()
}

/// The expressions of the panels, with values for the variables of Grafana.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(expression)) = members.get("expr") {
                let mut expression = expression.replace("$__rate_interval", "5m");
                for variable in ["$job", "$instance", "$server"] {
                    expression = expression.replace(variable, ".*");
                }
                assert!(!expression.contains('$'), "{expression}");
                found.push(expression);
            }
            members.values().for_each(|value| expressions(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// The metrics in a text, each with the labels that it is selected by.
fn selectors(text: &str) -> Vec<(&str, Vec<&str>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (start, _) in text.match_indices("pgmoneta_") {
        let name = &text[start..];
        let (name, rest) = name.split_at(name.find(|c| !is_word(c)).unwrap_or(name.len()));
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let labels = labels.map_or("", |(labels, _)| labels).split(", ");
        let labels = labels.map(|label| label.split(['=', '!']).next().unwrap().trim());
        found.push((name, labels.filter(|label| !label.is_empty()).collect()));
    }
    found
}

/// What a text names that no scrape gives.
fn unknown_names(text: &str) -> Vec<String> {
    let mut known: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for metric in metrics() {
        let mut labels: Vec<&str> = metric.labels().collect();
        // Those that Prometheus adds.
        labels.extend(["job", "instance"]);
        if metric.kind == Kind::Histogram {
            for suffix in ["_sum", "_count", "_bucket"] {
                known.insert(format!("{}{suffix}", metric.name), labels.clone());
            }
        } else {
            known.insert(metric.name.to_owned(), labels);
        }
    }
    let mut unknown = Vec::new();
    for (name, labels) in selectors(text) {
        let Some(row) = known.get(name) else {
            unknown.push(name.to_owned());
            continue;
        };
        let labels = labels.iter().filter(|label| !row.contains(label));
        unknown.extend(labels.map(|label| format!("{name}{{{label}}}")));
    }
    unknown
}

#[test]
fn rules_and_dashboard_name_metrics_and_labels_of_a_scrape() {
    // Also in the texts, for people.
    let rules = text(RULES);
    assert!(selectors(&rules).len() > 20);
    // Groups of rules have names too.
    let rules = rules.replace("- name: pgmoneta_", "- name: ");
    assert_eq!(unknown_names(&rules), Vec::<String>::new());
    let mut found = Vec::new();
    expressions(&dashboard(), &mut found);
    assert!(found.len() > 40);
    for expression in &found {
        assert_eq!(
            unknown_names(expression),
            Vec::<String>::new(),
            "{expression}"
        );
    }
    let variables = dashboard()["templating"]["list"].to_string();
    assert_eq!(
        unknown_names(&variables.replace("\\\"", "\"")),
        Vec::<String>::new()
    );
    assert_eq!(
        unknown_names("rate(pgmoneta_wal_gap{name=\"a\", nme!=\"b\"}[5m]) + pgmoneta_wal_gaps"),
        ["pgmoneta_wal_gap{nme}", "pgmoneta_wal_gaps"]
    );
}

/// Panels have numbers of their own, a place of their own, and the data source of the variable.
#[test]
fn the_dashboard_is_complete() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let number = |panel: &Value, member: &str| panel["gridPos"][member].as_u64().unwrap();
    let mut cells = std::collections::BTreeSet::new();
    let mut ids = std::collections::BTreeSet::new();
    for panel in panels {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64()), "{title}");
        for x in number(panel, "x")..number(panel, "x") + number(panel, "w") {
            for y in number(panel, "y")..number(panel, "y") + number(panel, "h") {
                assert!(
                    x < 24 && cells.insert((x, y)),
                    "{title} is on another panel"
                );
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert!(
                panel["targets"]
                    .as_array()
                    .is_some_and(|list| !list.is_empty())
            );
        }
        let kinds = ["row", "stat", "table", "timeseries"];
        assert!(
            kinds.contains(&panel["type"].as_str().unwrap()),
            "a plug-in"
        );
    }
}

/// Runs promtool in the root of the sources; `None` if it is not installed.
fn promtool(arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(promtool::program()?);
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = Output::of(&mut command);
    assert_eq!(output.status, 0, "promtool {arguments:?}: {output}");
    Some(output)
}

#[test]
fn prometheus_accepts_the_rules_and_they_fire_when_they_should() {
    let Some(checked) = promtool(&["check", "rules", RULES]) else {
        return;
    };
    assert!(checked.stdout.contains("SUCCESS"), "{checked}");
    let tests = ["minutes", "days"].map(|name| format!("tests/monitoring/{name}.test.yml"));
    promtool(&["test", "rules", &tests[0], &tests[1]]);
    let cases = tests.map(|name| text(&name)).concat();
    for name in text(RULES)
        .lines()
        .filter_map(|line| line.split_once("alert: "))
    {
        assert!(cases.contains(name.1), "no test of {}", name.1);
    }
    let mut found = Vec::new();
    expressions(&dashboard(), &mut found);
    let scratch = Scratch::new("dashboard");
    let path = scratch.join("expressions.yml");
    let mut file = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (number, expression) in found.iter().enumerate() {
        let expression = serde_json::to_string(expression).unwrap();
        file.push_str(&format!("  - record: e{number}\n    expr: {expression}\n"));
    }
    fs::write(&path, file).unwrap();
    promtool(&["check", "rules", path.to_str().unwrap()]);
}

/// What the Nagios service sends to a client that sends `request`.
fn ask(port: u16, request: &str) -> String {
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

/// The labels of the performance data in the first line.
fn labels(output: &str) -> Vec<&str> {
    let line = output.lines().next().unwrap();
    let (_, data) = line.split_once(" | ").unwrap();
    let labels = data
        .split(' ')
        .map(|value| value.split('\'').nth(1).unwrap());
    labels.collect()
}

fn check(daemon: &Daemon, arguments: &[&str]) -> (i32, String) {
    let output = daemon.cli(&[&["check"], arguments].concat());
    (output.status, output.stdout)
}

/// The labels of the performance data of the server.
fn names() -> Vec<String> {
    let names = [
        "backup_age",
        "rpo",
        "rpo_age",
        "time_left",
        "verification_age",
        "backups",
        "damaged_backups",
        "findings",
        "wal_gaps",
        "disk_free",
    ];
    names.map(|name| format!("primary.{name}")).to_vec()
}

fn is_ok_when_all_is_well(daemon: &Daemon) {
    let mut output = String::new();
    wait_until("the server is safe", 120, || {
        let (status, text) = check(daemon, &[]);
        output = text;
        status == 0
    });
    assert!(
        output.starts_with("PGMONETA OK - primary: WAL is received, "),
        "{output}"
    );
    assert_eq!(labels(&output), names());
    assert!(
        output.contains("s;93600;180000;0 'primary.rpo'="),
        "{output}"
    );
    assert!(
        output.contains("\nprimary: OK: WAL is received, "),
        "{output}"
    );
}

/// Also for a client that sends something.
fn is_ok_on_the_port(port: u16) {
    for request in ["", "GET / HTTP/1.1\r\n\r\n", &"x".repeat(100_000)] {
        let mut answer = String::new();
        wait_until("the service knows", 120, || {
            answer = ask(port, request);
            answer.starts_with("PGMONETA OK - primary: ")
        });
        assert_eq!(labels(&answer), names());
    }
}

fn is_a_warning_beyond_a_threshold(daemon: &Daemon) {
    // A slow machine must not be seen.
    let quiet = [
        "check",
        "-F",
        "json",
        "--critical",
        "rpo-age=off",
        "--warning",
    ];
    let (status, output) = check(
        daemon,
        &[
            "--warning=verification-age=1d,rpo-age=off",
            "--critical=rpo-age=off",
        ],
    );
    assert_eq!(status, 1);
    assert!(
        output.starts_with("PGMONETA WARNING - primary: not all of the"),
        "{output}"
    );
    assert!(
        output.contains("\n    to do: set verification, or: "),
        "{output}"
    );
    let document = daemon.cli(&[&quiet[..], &["rpo-age=off,verification-age=1d"]].concat());
    assert_eq!(document.status, 1, "{document}");
    let reply = &document.json()["Response"];
    assert_eq!(
        (&reply["State"], &reply["Servers"][0]["State"]),
        (&1.into(), &1.into())
    );
}

fn is_unknown_after_an_error(daemon: &Daemon) {
    for (arguments, why) in [
        (&["nowhere"][..], "there is no server"),
        (&["--warning", "age=1"], "there is no threshold"),
        (&["--critical", "rpo=many"], "is not a size"),
        (&["--nonsense"], "unexpected argument"),
        (&["-c", "/nowhere"], "/nowhere"),
    ] {
        let (status, output) = check(daemon, arguments);
        assert_eq!(status, 3, "{arguments:?}: {output}");
        assert!(output.starts_with("PGMONETA UNKNOWN - "), "{output}");
        assert!(output.contains(why), "{output}");
        assert_eq!(output.lines().count(), 1, "{output}");
    }
}

#[test]
fn a_check_tells_whether_each_server_is_safe_to_nagios_by_both_ways() {
    let scratch = Scratch::new("nagios");
    let mut cluster = Cluster::builder(&scratch).start();
    let port = free_port();
    let mut daemon = Daemon::builder(&scratch)
        .global(&format!("nagios = {port}"))
        .server("primary", &cluster)
        .start_streaming();

    let (status, output) = check(&daemon, &["primary"]);
    assert_eq!(status, 2, "{output}");
    assert!(
        output.contains("CRITICAL: there is no valid backup"),
        "{output}"
    );
    daemon.backup("primary");
    is_ok_when_all_is_well(&daemon);
    is_ok_on_the_port(port);
    is_a_warning_beyond_a_threshold(&daemon);
    is_unknown_after_an_error(&daemon);

    cluster.stop();
    wait_until("the stop is seen", 120, || {
        let (status, output) = check(&daemon, &[]);
        let lost = "PGMONETA CRITICAL - primary: no WAL is received";
        status == 2 && output.starts_with(lost)
    });
    wait_until("the service sees it", 120, || {
        ask(port, "").starts_with("PGMONETA CRITICAL - primary: no WAL is received")
    });
    daemon.stop();
    let (status, output) = check(&daemon, &[]);
    assert_eq!(status, 3);
    assert!(
        output.starts_with("PGMONETA UNKNOWN - no daemon"),
        "{output}"
    );
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "the port is closed"
    );
}
