//! A row of the table.

use super::label::add_label;
use super::snapshot::{DaemonSnapshot, ServerSnapshot};
use super::value::Value;
use crate::status::{HistogramSnapshot, StoredBackup};

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Goes up only; 0 after a restart.
    Counter,
    /// How many of some events were how large.
    Histogram,
}

impl Kind {
    /// The word for it in the exposition format.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        }
    }
}

/// A row of the table: a metric, that is, a family of samples.
pub struct Metric {
    /// The name. One that the C program does not have is as Prometheus recommends: with the unit,
    /// and `_total` for a counter.
    pub name: &'static str,
    /// The help, one line.
    pub help: &'static str,
    /// The type.
    pub kind: Kind,
    /// The labels beside those of [`Read::labels`].
    pub extra: &'static [&'static str],
    pub(super) read: Read,
}

/// How the samples of a metric are read. A value that is not known has no sample.
pub(super) enum Read {
    /// One of the daemon.
    Daemon(fn(&DaemonSnapshot) -> Option<Value>),
    /// Any number of the daemon.
    DaemonEach(fn(&DaemonSnapshot, &mut Samples<'_>)),
    /// One for each server.
    Server(fn(&ServerSnapshot) -> Option<Value>),
    /// Any number for each server.
    ServerEach(fn(&ServerSnapshot, &mut Samples<'_>)),
    /// One for each backup.
    Backup(fn(&StoredBackup) -> Option<Value>),
    /// Any number for each backup.
    BackupEach(fn(&StoredBackup, &mut Samples<'_>)),
    /// A histogram for each server.
    Histogram(fn(&ServerSnapshot) -> &HistogramSnapshot),
}

impl Read {
    fn labels(&self) -> &'static [&'static str] {
        match self {
            Read::Daemon(_) | Read::DaemonEach(_) => &[],
            Read::Server(_) | Read::ServerEach(_) | Read::Histogram(_) => &["name"],
            Read::Backup(_) | Read::BackupEach(_) => &["name", "label"],
        }
    }
}

impl Metric {
    /// The names of its labels. `name` is a server, `label` a backup.
    pub fn labels(&self) -> impl Iterator<Item = &'static str> {
        self.read.labels().iter().chain(self.extra).copied()
    }

    /// With more labels.
    pub(super) const fn with(mut self, extra: &'static [&'static str]) -> Metric {
        self.extra = extra;
        self
    }
}

pub(super) const fn gauge(name: &'static str, help: &'static str, read: Read) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Gauge,
        extra: &[],
        read,
    }
}

pub(super) const fn counter(name: &'static str, help: &'static str, read: Read) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Counter,
        extra: &[],
        read,
    }
}

pub(super) const fn histogram(
    name: &'static str,
    help: &'static str,
    read: fn(&ServerSnapshot) -> &HistogramSnapshot,
) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Histogram,
        extra: &[],
        read: Read::Histogram(read),
    }
}

/// What takes samples: the suffix of the name, the labels as text, the value.
pub(super) type Sink<'a> = dyn FnMut(&str, &str, Value) + 'a;

/// Takes the samples of a row that has more labels.
pub(super) struct Samples<'a> {
    /// The labels that all have, as text.
    base: &'a str,
    extra: &'static [&'static str],
    sink: &'a mut Sink<'a>,
}

impl Samples<'_> {
    /// Adds a sample with these values of the further labels.
    pub(super) fn add(&mut self, values: &[&str], value: impl Into<Value>) {
        let mut labels = String::with_capacity(self.base.len().saturating_add(64));
        labels.push_str(self.base);
        for (name, value) in self.extra.iter().zip(values) {
            add_label(&mut labels, name, value);
        }
        (self.sink)("", &labels, value.into());
    }
}

impl Metric {
    /// Passes the samples to `sink`.
    pub(super) fn samples(
        &self,
        daemon: &DaemonSnapshot,
        servers: &[ServerSnapshot],
        sink: &mut Sink<'_>,
    ) {
        match self.read {
            Read::Daemon(read) => {
                if let Some(value) = read(daemon) {
                    sink("", "", value);
                }
                return;
            }
            Read::DaemonEach(read) => return self.each("", sink, |samples| read(daemon, samples)),
            _ => {}
        }
        for server in servers {
            self.server_samples(server, sink);
        }
    }

    fn server_samples(&self, server: &ServerSnapshot, sink: &mut Sink<'_>) {
        match self.read {
            Read::Daemon(_) | Read::DaemonEach(_) => {}
            Read::Server(read) => {
                if let Some(value) = read(server) {
                    sink("", &server.labels, value);
                }
            }
            Read::ServerEach(read) => {
                self.each(&server.labels, sink, |samples| read(server, samples));
            }
            Read::Backup(read) => {
                for (backup, labels) in server.backups() {
                    if let Some(value) = read(backup) {
                        sink("", labels, value);
                    }
                }
            }
            Read::BackupEach(read) => {
                for (backup, labels) in server.backups() {
                    self.each(labels, sink, |samples| read(backup, samples));
                }
            }
            Read::Histogram(read) => buckets(read(server), &server.labels, sink),
        }
    }

    fn each(&self, base: &str, sink: &mut Sink<'_>, read: impl FnOnce(&mut Samples<'_>)) {
        read(&mut Samples {
            base,
            extra: self.extra,
            sink: &mut |suffix, labels, value| sink(suffix, labels, value),
        });
    }
}

fn buckets(histogram: &HistogramSnapshot, base: &str, sink: &mut Sink<'_>) {
    let mut bucket = |le: &str, count: u64| {
        let mut labels = String::from(base);
        add_label(&mut labels, "le", le);
        sink("_bucket", &labels, count.into());
    };
    for (bound, count) in &histogram.buckets {
        bucket(&bound.to_string(), *count);
    }
    bucket("+Inf", histogram.count);
    sink("_sum", base, histogram.sum.into());
    sink("_count", base, histogram.count.into());
}
