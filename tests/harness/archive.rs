//! Compares the WAL in a repository with that of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use postgres::types::PgLsn;

use super::cluster::Cluster;

/// The WAL of the server, for comparison: its `archive_command` copies each segment to a directory.
pub struct Reference {
    segment_size: u64,
    archive: PathBuf,
    pg_wal: PathBuf,
    seen: BTreeSet<PathBuf>,
}

impl Reference {
    /// For a cluster whose `archive_command` copies to `archive`.
    pub fn new(cluster: &Cluster, archive: &Path) -> Self {
        let size = "SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'";
        let size: i64 = cluster.query_value(size);
        Self {
            segment_size: size as u64,
            archive: archive.to_owned(),
            pg_wal: cluster.data().join("pg_wal"),
            seen: BTreeSet::new(),
        }
    }

    /// Panics unless the stored WAL has no gap, reaches `acknowledged`, and equals that of the
    /// server up to there. Files that passed before are not read again. No process may write there
    /// meanwhile.
    pub fn check(&mut self, wal: &Path, acknowledged: PgLsn) {
        let acknowledged: u64 = acknowledged.into();
        let mut found: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
        for entry in fs::read_dir(wal).unwrap() {
            let path = entry.unwrap().path();
            if let Some(number) = self.number(path.file_name().unwrap().to_str().unwrap()) {
                found.entry(number).or_default().push(path);
            }
        }
        let numbers: Vec<_> = found.keys().copied().collect();
        for pair in numbers.windows(2) {
            assert_eq!(pair[0] + 1, pair[1], "a gap in {}", wal.display());
        }
        // If the acknowledged position is the end of a segment, the next segment may be missing.
        let needed = (acknowledged - 1) / self.segment_size;
        assert!(
            numbers.last().is_some_and(|last| *last >= needed) && numbers[0] <= needed,
            "{acknowledged:#X} is acknowledged, and {numbers:?} are there"
        );
        for (number, paths) in found {
            let begin = number * self.segment_size;
            for path in paths {
                let known = acknowledged.saturating_sub(begin).min(self.segment_size) as usize;
                self.check_file(&path, known);
            }
        }
    }

    /// Makes the next check read all files again.
    pub fn reset(&mut self) {
        self.seen.clear();
    }

    fn check_file(&mut self, path: &Path, known: usize) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let partial = name.ends_with(".partial");
        if self.seen.contains(path) {
            return;
        }
        let stored = decode(path);
        let generated = self.generated(&name[..24]);
        let known = if partial { known } else { generated.len() };
        // A partial file is shorter where the disk had no room for a whole one.
        let whole = stored.len() == generated.len() || partial && stored.len() >= known;
        let length = stored.len();
        assert!(whole, "the length of {} is {length}", path.display());
        if stored[..known] != generated[..known] {
            let at = (0..known).find(|at| stored[*at] != generated[*at]).unwrap();
            panic!(
                "{} differs from what the server generated at byte {at} of {known}",
                path.display()
            );
        }
        if !partial {
            self.seen.insert(path.to_owned());
        }
    }

    /// The content of a segment on the server: in the archive, or still in pg_wal.
    fn generated(&self, name: &str) -> Vec<u8> {
        [&self.archive, &self.pg_wal, &self.archive]
            .into_iter()
            .find_map(|directory| fs::read(directory.join(name)).ok())
            .unwrap_or_else(|| panic!("the server has never generated {name}"))
    }

    /// The segment number (timeline 1) in a file name, `None` for other files.
    fn number(&self, name: &str) -> Option<u64> {
        let (base, _) = name.split_once('.').unwrap_or((name, ""));
        if base.len() != 24 {
            return None;
        }
        let part = |range: std::ops::Range<usize>| u64::from_str_radix(&base[range], 16).ok();
        Some(part(8..16)? * (0x1_0000_0000 / self.segment_size) + part(16..24)?)
    }
}

/// The content of a stored segment, uncompressed or zstd.
fn decode(path: &Path) -> Vec<u8> {
    let stored = fs::read(path).unwrap();
    match path.extension().and_then(|extension| extension.to_str()) {
        None | Some("partial") => stored,
        Some("zstd") => zstd::decode_all(&stored[..])
            .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        Some(other) => panic!("{}: .{other} is not known here", path.display()),
    }
}
