//! Histograms of durations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many of some events took how long. Recording one is two additions, without a lock.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// The upper ends of the buckets, in microseconds.
    bounds: &'static [u64],
    /// One for each bound, and one for what took longer.
    counts: Vec<AtomicU64>,
    /// Of all durations, in microseconds.
    sum: AtomicU64,
}

/// The values of a [`Histogram`] at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramSnapshot {
    /// The upper end of each bucket in seconds, and how many durations were not longer.
    pub buckets: Vec<(f64, u64)>,
    /// How many durations there were.
    pub count: u64,
    /// Their sum, seconds.
    pub sum: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [u64]) -> Histogram {
        Histogram {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Records a duration.
    pub(crate) fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> HistogramSnapshot {
        let mut total = 0;
        let mut cumulative = self.counts.iter().map(|count| {
            total += count.load(Ordering::Relaxed);
            total
        });
        let bounds = self.bounds.iter().map(|bound| seconds(*bound));
        let buckets = bounds.zip(&mut cumulative).collect();
        HistogramSnapshot {
            buckets,
            count: cumulative.last().unwrap_or(0),
            sum: seconds(self.sum.load(Ordering::Relaxed)),
        }
    }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_its_bucket_and_in_those_above() {
        let histogram = Histogram::new(&[1000, 2000]);
        for micros in [1, 1000, 1001, 5_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.buckets, [(0.001, 2), (0.002, 3)]);
        assert_eq!(snapshot.count, 4);
        assert!((snapshot.sum - 5.002_002).abs() < 1e-9);
    }
}
