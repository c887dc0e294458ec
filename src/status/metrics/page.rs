//! The page of the metrics for people.

use std::fmt::Write;

use super::Snapshot;
use super::row::Metric;

/// How many samples of a metric are shown.
const MAX_SAMPLES: usize = 20;

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <title>pgmoneta exporter</title>\n</head>\n<body>\n<h1>pgmoneta exporter</h1>\n\
    <p><a href=\"/metrics\">Metrics</a> in the text format of Prometheus</p>\n";

/// The metrics with their help and values as an HTML page.
pub fn page<'a>(metrics: impl IntoIterator<Item = &'a Metric>, snapshot: &Snapshot) -> String {
    let mut text = String::from(HEAD);
    for metric in metrics {
        let (name, help, kind) = (metric.name, escaped(metric.help), metric.kind.word());
        text.push_str(&format!(
            "<h2 id=\"{name}\">{name}</h2>\n<p>{help} ({kind})</p>\n"
        ));
        let mut count = 0_usize;
        let mut rows = String::new();
        metric.samples(
            &snapshot.daemon,
            &snapshot.servers,
            &mut |suffix, labels, value| {
                count += 1;
                if count <= MAX_SAMPLES {
                    let suffix = suffix.trim_start_matches('_');
                    let cell = if suffix.is_empty() || labels.is_empty() {
                        escaped(labels)
                    } else {
                        format!("{suffix} {}", escaped(labels))
                    };
                    // Writing to a string cannot fail.
                    let _ = writeln!(rows, "<tr><td>{cell}</td><td>{value}</td></tr>");
                }
            },
        );
        match count {
            0 => text.push_str("<p>No value</p>\n"),
            _ => text.push_str(&format!("<table>\n{rows}</table>\n")),
        }
        if count > MAX_SAMPLES {
            let more = count.saturating_sub(MAX_SAMPLES);
            text.push_str(&format!("<p>and {more} more</p>\n"));
        }
    }
    text.push_str("</body>\n</html>\n");
    text
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
