//! Runs of retention on real repositories of small backups, with an injected clock.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Span;
use jiff::civil::{Date, DateTime};

use super::pass::{BackupOutcome, Pass, Removal, due};
use super::policy::{BackupFacts, Clock, Decision, Policy, Validity, decide};
use crate::codec::{DigestValues, OwnDigests, StoredFormat};
use crate::config::Retention;
use crate::crypto::{MasterKey, Sha256};
use crate::format::TimelineHistory;
use crate::job::authentic::Assessment;
use crate::repository::{
    BACKUP_WAL_DIRECTORY, Backup, BackupInfo, DATA_DIRECTORY, INFO, ManifestFile, ManifestWriter,
    Repository, SystemInfo,
};
use crate::status::{Activity, Scope, ServerState};
use crate::sys::Stop;
use crate::unit::{Label, Lsn, PgVersion, Segment, SegmentSize, Timeline};

const MIB: u64 = 1 << 20;

fn size() -> SegmentSize {
    SegmentSize::new(MIB).unwrap()
}

/// A repository with segments of 1 MiB, and the state of its server. Removed on drop.
struct Server {
    base: PathBuf,
    repository: Repository,
    status: Arc<ServerState>,
    stop: Stop,
    policy: Policy,
    wal_retention: u32,
    now: DateTime,
    clock: Clock,
    /// The number of the newest segment.
    segment: u64,
}

impl Server {
    fn new(name: &str, now: &str) -> Server {
        let base = format!("pgmoneta-retention-{name}-{}", std::process::id());
        let base = std::env::temp_dir().join(base);
        let _ = fs::remove_dir_all(&base);
        fs::create_dir_all(&base).unwrap();
        let repository = Repository::create(&base, &"primary".parse().unwrap()).unwrap();
        let system = SystemInfo {
            system_identifier: 7,
            version: PgVersion {
                major: 17,
                minor: 1,
            },
            segment_size: size(),
        };
        repository.bind(&system).unwrap();
        repository.set_followed_timeline(Timeline::FIRST).unwrap();
        fs::write(base.join("file"), b"stored").unwrap();
        let server = Server {
            base,
            repository,
            status: ServerState::new(&"primary".parse().unwrap()),
            stop: Stop::new().unwrap(),
            policy: Policy {
                retention: Retention {
                    days: Some(1),
                    ..Retention::default()
                },
                minimum: 1,
            },
            wal_retention: 0,
            now: now.parse().unwrap(),
            clock: Clock::Steady,
            segment: 1,
        };
        server.put(1);
        server
    }

    fn pass(&self) -> Pass<'_> {
        self.pass_with(&assess)
    }

    fn pass_with<'a>(&'a self, assess: &'a dyn Fn(&Backup) -> Assessment) -> Pass<'a> {
        Pass {
            status: &self.status,
            repository: &self.repository,
            policy: self.policy,
            wal_retention: self.wal_retention,
            now: (self.now, self.clock),
            assess,
            stop: &self.stop,
        }
    }

    fn put(&self, number: u64) {
        let segment = Segment {
            timeline: Timeline::FIRST,
            number,
        };
        let name = segment.name(size()) + ".zstd";
        fs::write(self.repository.wal_path().join(name), b"sealed").unwrap();
    }

    /// A backup at that time, which begins in a segment of its own.
    fn back_up(&mut self, time: DateTime) -> Label {
        self.segment += 2;
        self.put(self.segment - 1);
        self.put(self.segment);
        let label: Label = time.strftime("%Y%m%d%H%M%S").to_string().parse().unwrap();
        let directory = self.repository.backup_directory(&label);
        write_backup(&directory, &label, self.segment, &self.base.join("file"));
        self.repository.record_backups().unwrap();
        label
    }

    /// A backup at 03:00 of each day.
    fn back_up_daily(&mut self, from: &str, to: &str) -> Vec<Label> {
        let (mut day, to): (Date, Date) = (from.parse().unwrap(), to.parse().unwrap());
        let mut labels = Vec::new();
        while day <= to {
            labels.push(self.back_up(day.at(3, 0, 0, 0)));
            day = day.tomorrow().unwrap();
        }
        labels
    }

    /// Replaces a value in a `backup.info`.
    fn set(&self, label: &Label, from: &str, to: &str) {
        let path = self.repository.backup_directory(label).join(INFO);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn labels(&self) -> Vec<Label> {
        let backups = self.repository.backups().unwrap().into_iter();
        backups.map(|backup| backup.label).collect()
    }

    /// The numbers of the archived segments.
    fn segments(&self) -> BTreeSet<u64> {
        let wal = self.repository.wal().unwrap().unwrap();
        let files = wal.files().unwrap();
        files.iter().map(|file| file.segment.number).collect()
    }

    /// Every remaining backup can be read and has its WAL from its start to now.
    fn check(&self) {
        let wal = self.repository.wal().unwrap().unwrap();
        let backups = self.repository.backups().unwrap();
        let segments = self.segments();
        let starts: Vec<_> = backups.iter().map(|backup| backup.info.start).collect();
        assert_eq!(wal.gaps(&starts).unwrap(), []);
        let key = Arc::new(MasterKey::for_tests(1));
        for backup in &backups {
            assert_eq!(backup.manifest(&key).unwrap().files.len(), 1);
            let first = backup.info.start.lsn.0 / MIB;
            assert!((first..=self.segment).all(|number| segments.contains(&number)));
        }
        // The newest two segments stay.
        let oldest = starts.iter().map(|start| start.lsn.0 / MIB);
        let oldest = oldest.chain([self.segment - 1]).min();
        assert_eq!(
            segments.first().copied(),
            oldest,
            "nothing before the oldest backup"
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// A backup of one file, which is a hard link to `file`, and its WAL.
fn write_backup(directory: &Path, label: &Label, segment: u64, file: &Path) {
    for name in [DATA_DIRECTORY, BACKUP_WAL_DIRECTORY] {
        fs::create_dir_all(directory.join(name)).unwrap();
    }
    let stored_path = Path::new(DATA_DIRECTORY).join("PG_VERSION");
    fs::hard_link(file, directory.join(&stored_path)).unwrap();
    let mut writer = ManifestWriter::create(directory, label, 7, StoredFormat::PLAIN).unwrap();
    let entry = ManifestFile {
        path: "PG_VERSION".into(),
        size: 6,
        modified: 0,
        mode: 0o600,
        stored_path,
        stored: Some(StoredFormat::PLAIN),
        stored_size: 6,
        digests: DigestValues::Own(OwnDigests {
            crc32c: 0,
            blake3: [0; 32],
            sha256: Sha256::of(b"stored"),
        }),
        combined: None,
    };
    writer.file(&entry).unwrap();
    let (_, manifest_sha256) = writer.finish().unwrap();
    let first = Segment {
        timeline: Timeline::FIRST,
        number: segment,
    };
    let name = first.name(size());
    fs::write(directory.join(BACKUP_WAL_DIRECTORY).join(&name), b"").unwrap();
    let (start, end) = (Lsn(segment * MIB + 40), Lsn(segment * MIB + 400));
    let text = format!(
        "STATUS=1\nLABEL={label}\nWAL={name}\nKEEP=0\nSTART_WALPOS={start}\nEND_WALPOS={end}\n\
         START_TIMELINE=1\nEND_TIMELINE=1\n"
    );
    let mut info = BackupInfo::parse(text.as_bytes(), label).unwrap();
    info.manifest_sha256 = Some(manifest_sha256);
    let text = info.signed_text(label, &MasterKey::for_tests(1)).unwrap();
    fs::write(directory.join(INFO), text).unwrap();
}

fn removed(outcomes: &[BackupOutcome]) -> Vec<&Label> {
    let removed = outcomes
        .iter()
        .filter(|one| one.removal == Removal::Removed);
    removed.map(|one| &one.label).collect()
}

#[test]
fn three_years_of_daily_backups() {
    let mut server = Server::new("years", "2024-01-01T12:00:00");
    server.policy.retention = Retention {
        days: Some(7),
        weeks: Some(4),
        months: Some(12),
        years: Some(3),
    };
    server.policy.minimum = 3;
    let mut all: Vec<Label> = Vec::new();
    for day in 0..3 * 365 {
        // Two weeks without backups in the second summer.
        if !(540..554).contains(&day) {
            let time = server.now.with().hour(3).build().unwrap();
            all.push(server.back_up(time));
        }
        if day % 5 == 4 {
            server.pass().expire().unwrap();
            server.pass().prune_wal().unwrap();
        }
        if day % 30 == 29 {
            // What is kept is what the policy keeps of all backups that there ever were.
            let facts: Vec<BackupFacts> = all.iter().map(valid).collect();
            let decisions = decide(&facts, (server.now, Clock::Steady), &server.policy);
            let kept = all.iter().zip(decisions);
            let kept = kept.filter(|(_, decision)| matches!(decision, Decision::Keep(_)));
            let kept: Vec<Label> = kept.map(|(label, _)| label.clone()).collect();
            let labels = server.labels();
            println!("{}: {}", server.now.date(), names(&labels).join(" "));
            assert_eq!(labels, kept);
            assert!(labels.len() <= 7 + 1 + 4 + 12 + 3, "{labels:?}");
            server.check();
        }
        server.now = server.now.checked_add(Span::new().days(1)).unwrap();
    }
    let expected = "20241231030000 20251231030000 20260131030000 20260228030000 20260331030000 \
                    20260430030000 20260531030000 20260630030000 20260731030000 20260831030000 \
                    20260930030000 20261031030000 20261130030000 20261213030000 20261220030000";
    let labels = names(&server.labels());
    let days = labels
        .iter()
        .filter(|label| label.as_str() > "20261221")
        .count();
    let older = labels.len() - days;
    assert_eq!(labels[..older].join(" "), expected);
    assert_eq!(days, 7, "{labels:?}");
}

fn assess(backup: &Backup) -> Assessment {
    match backup.info.valid && backup.damage().is_none() {
        true => Assessment::Restorable,
        false => Assessment::NotRestorable,
    }
}

fn valid(label: &Label) -> BackupFacts {
    BackupFacts {
        label: label.clone(),
        validity: Validity::Valid,
        retained: false,
        parent: None,
        on_path: true,
    }
}

fn names(labels: &[Label]) -> Vec<String> {
    labels.iter().map(ToString::to_string).collect()
}

#[test]
fn a_dry_run_removes_nothing_and_a_run_all_that_is_due() {
    let mut server = Server::new("dry", "2026-11-25T12:00:00");
    let labels = server.back_up_daily("2026-11-01", "2026-11-25");
    server.set(&labels[2], "KEEP=0", "KEEP=1");
    let segments = server.segments();
    let plan = server.pass().plan().unwrap();
    let due = due(&plan);
    assert_eq!(
        due.iter().filter(|one| one.removal == Removal::Due).count(),
        23
    );
    let kept = plan.into_iter();
    let kept = kept.filter(|one| matches!(one.decision, Decision::Keep(_)));
    let kept: Vec<_> = kept.map(|one| one.backup).collect();
    let preview = server.pass().preview_wal(&kept).unwrap();
    assert_eq!(
        (server.labels(), server.segments()),
        (labels.clone(), segments)
    );

    let outcomes = server.pass().expire().unwrap();
    assert_eq!(outcomes.len(), labels.len());
    assert_eq!(removed(&outcomes).len(), 23);
    assert_eq!(server.labels(), [labels[2].clone(), labels[24].clone()]);
    let wal = server.pass().prune_wal().unwrap();
    assert_eq!(wal, preview);
    assert_eq!(wal.files, 6, "before the retained backup");
    server.check();
    assert_eq!(removed(&server.pass().expire().unwrap()), [] as [&Label; 0]);
}

#[test]
fn what_cannot_be_restored_is_no_reason_to_remove_what_can() {
    let mut server = Server::new("restorable", "2026-11-25T12:00:00");
    let labels = server.back_up_daily("2026-11-01", "2026-11-05");
    fs::remove_file(
        server
            .repository
            .backup_directory(&labels[4])
            .join("backup.manifest"),
    )
    .unwrap();
    let forged = labels[3].clone();
    let untrusted = |backup: &Backup| match backup.label == forged {
        true => Assessment::Untrusted,
        false => assess(backup),
    };
    let pass = server.pass_with(&untrusted);
    assert_eq!(removed(&pass.expire().unwrap()), [&labels[0], &labels[1]]);
    pass.prune_wal().unwrap();
    // The one without a manifest is damaged for less than a day.
    assert_eq!(server.labels(), labels[2..]);
    let first = server.repository.backups().unwrap()[0].info.start.lsn.0 / MIB;
    assert_eq!(server.segments().first().copied(), Some(first));
    let none = server.pass_with(&|_| Assessment::Untrusted);
    assert_eq!(removed(&none.expire().unwrap()), [] as [&Label; 0]);
    assert!(
        none.prune_wal()
            .unwrap()
            .postponed
            .unwrap()
            .contains("no valid backup")
    );
}

#[test]
fn what_is_being_read_is_removed_by_a_later_run() {
    let mut server = Server::new("read", "2026-11-25T12:00:00");
    let labels = server.back_up_daily("2026-11-21", "2026-11-25");
    let scope = Scope::Read(labels[1].clone());
    let restore = server.status.begin(Activity::Restore, scope).unwrap();
    let outcomes = server.pass().expire().unwrap();
    assert_eq!(removed(&outcomes).len(), 3);
    assert!(matches!(&outcomes[1].removal, Removal::Postponed(why) if why.contains("restore")));
    let wal = server.pass().prune_wal().unwrap();
    assert_eq!(wal.files, 0);
    assert!(wal.postponed.unwrap().contains("restore"));
    drop(restore);
    assert_eq!(removed(&server.pass().expire().unwrap()), [&labels[1]]);
    assert!(server.pass().prune_wal().unwrap().files > 0);
    server.check();
}

#[test]
fn an_incremental_backup_goes_before_the_one_on_which_it_is_based() {
    let mut server = Server::new("chain", "2026-11-25T12:00:00");
    let labels = server.back_up_daily("2026-11-21", "2026-11-25");
    let parent = format!("TYPE=1\nPARENT={}", labels[0]);
    server.set(&labels[1], "TYPE=0\nPARENT=", &parent);
    server.set(&labels[2], "TYPE=0\nPARENT=", &parent);
    let scope = Scope::Read(labels[2].clone());
    let restore = server.status.begin(Activity::Restore, scope).unwrap();
    let outcomes = server.pass().expire().unwrap();
    assert_eq!(removed(&outcomes), [&labels[1], &labels[3]]);
    assert!(matches!(outcomes[0].removal, Removal::Postponed(_)));
    drop(restore);
    server.pass().expire().unwrap();
    assert_eq!(server.labels(), labels[4..]);
    // A kept one keeps it.
    let mut server = Server::new("kept-chain", "2026-11-25T12:00:00");
    let labels = server.back_up_daily("2026-11-21", "2026-11-25");
    server.set(&labels[4], "TYPE=0\nPARENT=", &parent);
    server.pass().expire().unwrap();
    assert_eq!(server.labels(), [labels[0].clone(), labels[4].clone()]);
}

#[test]
fn without_a_readable_or_valid_backup_no_wal_is_removed() {
    let mut server = Server::new("unreadable", "2026-11-25T12:00:00");
    let labels = server.back_up_daily("2026-11-24", "2026-11-25");
    let segments = server.segments();
    let path = server.repository.backup_directory(&labels[0]).join(INFO);
    let text = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    // open(2) of a socket is ENXIO.
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(removed(&server.pass().expire().unwrap()), [] as [&Label; 0]);
    let wal = server.pass().prune_wal().unwrap();
    assert!(
        wal.postponed.unwrap().contains("cannot be read"),
        "its WAL is not known"
    );
    drop(socket);
    fs::remove_file(&path).unwrap();
    fs::write(&path, text).unwrap();
    for label in &labels {
        server.set(label, "STATUS=1", "STATUS=0");
    }
    server.now = "2036-11-25T12:00:00".parse().unwrap();
    server.pass().expire().unwrap();
    assert_eq!(server.labels(), labels);
    let wal = server.pass().prune_wal().unwrap();
    assert!(wal.postponed.unwrap().contains("no valid backup"));
    assert_eq!(server.segments(), segments);
}

#[test]
fn wal_retention_shortens_the_time_that_can_be_recovered() {
    let mut server = Server::new("window", "2026-11-25T12:00:00");
    server.policy.retention.days = Some(30);
    let labels = server.back_up_daily("2026-11-11", "2026-11-25");
    let first = |label: &Label| {
        let backups = server.repository.backups().unwrap();
        let found = backups.iter().find(|backup| backup.label == *label);
        found.unwrap().info.start.lsn.0 / MIB
    };
    let (no_wal, window) = (first(&labels[3]), first(&labels[7]));
    // This one has no WAL of its own.
    let own = server
        .repository
        .backup_directory(&labels[3])
        .join(BACKUP_WAL_DIRECTORY);
    fs::remove_dir_all(own).unwrap();
    // A clock that is wrong shortens nothing.
    server.wal_retention = 7;
    let all = server.segments();
    let (now, oldest) = (server.now, first(&labels[0]));
    for (time, clock) in [
        ("2026-11-24T12:00:00", Clock::Steady),
        ("2036-01-01T00:00:00", Clock::Jumped),
    ] {
        (server.now, server.clock) = (time.parse().unwrap(), clock);
        server.pass().prune_wal().unwrap();
        assert_eq!(server.segments(), all.range(oldest..).copied().collect());
    }
    (server.now, server.clock) = (now, Clock::Steady);
    let pruned = server.pass().prune_wal().unwrap();
    assert!(pruned.files > 0 && pruned.postponed.is_none());
    // The newest backup that is older than seven days is that of the 18th.
    assert_eq!(labels[7].as_str(), "20261118030000");
    let mut expected: BTreeSet<u64> = (window..=server.segment).collect();
    expected.insert(no_wal);
    assert_eq!(server.segments(), expected);
    let wal = server.repository.wal().unwrap().unwrap();
    let backups = server.repository.backups().unwrap();
    let starts: Vec<_> = backups.iter().map(|backup| backup.info.start).collect();
    assert_eq!(wal.gaps(&starts).unwrap(), [], "it was removed on purpose");
    let segment = |number| Segment {
        timeline: Timeline::FIRST,
        number,
    };
    let removed = wal.pruned().unwrap();
    assert!(removed.contains(segment(window - 1), size()));
    assert!(!removed.contains(segment(window), size()));
}

#[test]
fn wal_of_a_branch_without_a_backup_is_kept_while_it_is_followed() {
    let mut server = Server::new("branch", "2026-11-25T12:00:00");
    let labels = server.back_up_daily("2026-11-20", "2026-11-25");
    let second = Timeline::new(2).unwrap();
    let wal = server.repository.wal().unwrap().unwrap();
    // Recovery to a moment before all kept backups.
    let text = format!("1\t{}\tx\n", Lsn(2 * MIB + 7));
    wal.store_history(second, text.as_bytes()).unwrap();
    assert!(TimelineHistory::parse(second, text.as_bytes()).is_ok());
    for number in 2..5 {
        let name = Segment {
            timeline: second,
            number,
        }
        .name(size());
        fs::write(server.repository.wal_path().join(name + ".zstd"), b"sealed").unwrap();
    }
    server.repository.set_followed_timeline(second).unwrap();
    server.pass().expire().unwrap();
    assert_eq!(server.labels(), labels[5..]);
    server.pass().prune_wal().unwrap();
    let count = |timeline: Timeline| {
        let files = wal.files().unwrap();
        files
            .iter()
            .filter(|file| file.segment.timeline == timeline)
            .count()
    };
    assert_eq!((count(Timeline::FIRST), count(second)), (1, 3));
    server
        .repository
        .set_followed_timeline(Timeline::FIRST)
        .unwrap();
    server.pass().prune_wal().unwrap();
    assert_eq!((count(Timeline::FIRST), count(second)), (1, 0));
}
