//! The text of the metrics in the Prometheus exposition format 0.0.4.

use super::Snapshot;
use super::row::Metric;

/// The samples of these metrics as text.
pub fn exposition<'a>(
    metrics: impl IntoIterator<Item = &'a Metric>,
    snapshot: &Snapshot,
) -> String {
    let servers = &snapshot.servers;
    let backups: usize = servers.iter().map(|server| server.backups().count()).sum();
    let mut text = String::with_capacity(text_size(servers.len(), backups));
    for metric in metrics {
        let (name, help, kind) = (metric.name, metric.help, metric.kind.word());
        for part in [
            "# HELP ",
            name,
            " ",
            help,
            "\n# TYPE ",
            name,
            " ",
            kind,
            "\n",
        ] {
            text.push_str(part);
        }
        metric.samples(
            &snapshot.daemon,
            &snapshot.servers,
            &mut |suffix, labels, value| {
                text.push_str(name);
                text.push_str(suffix);
                if !labels.is_empty() {
                    text.push('{');
                    text.push_str(labels);
                    text.push('}');
                }
                text.push(' ');
                value.add_to(&mut text);
                text.push('\n');
            },
        );
    }
    text
}

/// About how many bytes the text has.
fn text_size(servers: usize, backups: usize) -> usize {
    const DAEMON: usize = 32 << 10;
    const SERVER: usize = 16 << 10;
    const BACKUP: usize = 3 << 10;
    let servers = servers.saturating_mul(SERVER);
    let backups = backups.saturating_mul(BACKUP);
    DAEMON.saturating_add(servers).saturating_add(backups)
}
