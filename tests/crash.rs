//! kill -9 of the daemon at random file system calls of a backup, a verify, a restore, a change of
//! the catalogue, the removal of WAL, or the cleanup at startup, while it receives WAL. After each
//! restart every listed backup is valid, one of them restores, no incomplete files are left, and
//! the WAL has no gap, equals that of the server, and reaches the acknowledged position.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::harness::{
    Call, Cluster, Daemon, Faults, Load, Process, Random, Reference, RunningStatement, Scratch,
    assert_sound, discard, user,
};

/// The number of crashes in each of the two tests.
const CRASHES: u32 = 50;
/// After this many crashes a backup is completed, to bound the WAL that the restores read.
const CRASHES_PER_BACKUP: u32 = 5;

#[test]
fn crashes_with_compressed_wal() {
    crashes("compression = zstd\nlink = hard");
}

#[test]
fn crashes_with_plain_wal() {
    crashes("compression = none\nlink = symbolic");
}

fn crashes(storage: &str) {
    let scratch = Scratch::new("crash");
    let archive = scratch.directory("archive");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(&format!(
            "archive_mode = on\narchive_command = 'cp %p {0}/%f.new && mv {0}/%f.new {0}/%f'",
            archive.display()
        ))
        .start();
    let faults = Faults::new(&scratch, &scratch.join("moneta"));
    let builder = Daemon::builder(&scratch)
        .global(&format!("{storage}\nretention = 2"))
        .server("primary", &cluster);
    let daemon = faults.daemon(builder).start_streaming();
    let mut reference = Reference::new(&cluster, &archive);
    let load = Load::start(&cluster, 0, 1, Duration::from_millis(2));
    let bulk = start_bulk(&cluster);
    let mut killer = Killer::new(daemon, faults, &scratch);

    for crash in 0..CRASHES {
        if crash % CRASHES_PER_BACKUP == CRASHES_PER_BACKUP - 1 {
            killer.complete(Job::Backup);
        }
        killer.kill_in_a_job();
        reference.check(&killer.daemon.wal("primary"), cluster.restart_lsn());
        if killer.kill_in_the_start() {
            reference.check(&killer.daemon.wal("primary"), cluster.restart_lsn());
        }
        killer.daemon.start();
        killer.check_catalogue();
        killer.check_backups();
    }

    println!("killed at: {:?}", killer.hits);
    load.stop();
    drop(bulk);
    cluster.wait_quiet();
    cluster.wait_received("pgmoneta");
    let rows = cluster.fingerprint();
    let mut daemon = killer.daemon;
    for label in daemon.listed("primary") {
        let data = daemon.restore("primary", &label, Some("immediate"), &label);
        let mut restored = Cluster::adopt(&scratch, cluster.major(), data);
        restored = restored.with("archive_mode", "off");
        restored.start();
        restored.wait_primary(120);
        assert_sound(&restored);
    }
    let data = daemon.restore("primary", "newest", Some("current"), "last");
    let mut restored = Cluster::adopt(&scratch, cluster.major(), data).with("archive_mode", "off");
    restored.start();
    restored.wait_primary(120);
    assert_eq!(restored.fingerprint(), rows);
    assert_sound(&restored);
    daemon.stop();
    reference.reset();
    reference.check(&daemon.wal("primary"), cluster.restart_lsn());
}

/// The operation during which the daemon is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    Backup,
    Verify,
    Restore,
    Annotate,
    Delete,
    /// Retention a day later, with the removal of backups in view.
    Retention,
    /// The same, with the removal of WAL in view.
    Prune,
}

impl Job {
    const ALL: [Job; 7] = [
        Job::Backup,
        Job::Verify,
        Job::Restore,
        Job::Annotate,
        Job::Delete,
        Job::Retention,
        Job::Prune,
    ];

    /// The common part of the paths of its files.
    fn path_part(self) -> &'static str {
        match self {
            Job::Restore => "/restored-",
            Job::Prune => "/primary/wal",
            _ => "/primary/basebackup",
        }
    }

    /// The kinds of calls at which it is interesting to be killed.
    fn calls(self) -> &'static [Call] {
        match self {
            Job::Verify => &[Call::Open],
            Job::Prune => &[Call::Create, Call::Sync, Call::Rename, Call::Unlink],
            _ => &Call::ALL,
        }
    }
}

/// Kills the daemon at file system calls: a random kind of call, and a random one of that kind.
struct Killer {
    daemon: Daemon,
    faults: Faults,
    random: Random,
    /// The file with the standard error of the client.
    stderr: PathBuf,
    restored: u32,
    /// How many days the clock of the daemon is ahead.
    days: u32,
    /// The backups that must be there.
    backups: BTreeSet<String>,
    /// Those of them that the running job may remove.
    doomed: BTreeSet<String>,
    /// The comments that must be there, as backup and key.
    comments: BTreeSet<(String, String)>,
    /// The number of calls of each kind in the last complete run of a job.
    totals: BTreeMap<Job, [u64; Call::ALL.len()]>,
    /// The number of kills for each job and kind of call.
    hits: BTreeMap<String, u32>,
}

impl Killer {
    /// Runs each job once to count its calls.
    fn new(daemon: Daemon, faults: Faults, scratch: &Scratch) -> Self {
        let mut killer = Self {
            daemon,
            faults,
            random: Random::new(),
            stderr: scratch.join("stderr"),
            restored: 0,
            days: 0,
            backups: BTreeSet::new(),
            doomed: BTreeSet::new(),
            comments: BTreeSet::new(),
            totals: BTreeMap::new(),
            hits: BTreeMap::new(),
        };
        // The second backup makes other calls: unchanged files are linked.
        killer.complete(Job::Backup);
        for job in Job::ALL.into_iter().chain([Job::Backup, Job::Retention]) {
            killer.complete(job);
        }
        killer
    }

    /// Runs a job to its end, and counts its calls.
    fn complete(&mut self, job: Job) {
        let mut command = self.prepare(job);
        self.faults.steps.count(job.path_part());
        let status = self.start(&mut command).wait(300);
        assert!(status.success(), "{job:?}: {}", self.stderr());
        self.totals.insert(job, self.faults.steps.counted());
        self.faults.steps.release();
        self.check_catalogue();
    }

    /// Runs jobs until the daemon is killed in one.
    fn kill_in_a_job(&mut self) {
        loop {
            let job = Job::ALL[self.random.below(Job::ALL.len() as u64) as usize];
            let mut command = self.prepare(job);
            let Some((call, number)) = self.moment(job) else {
                continue;
            };
            self.faults.steps.kill_at(job.path_part(), call, number);
            let status = self.start(&mut command).wait(300);
            if job == Job::Prune && status.success() {
                self.faults.steps.wait_reached();
            } else if self.faults.steps.reached() {
                assert!(
                    !status.success(),
                    "{job:?} succeeded although the daemon was killed"
                );
            }
            if self.faults.steps.reached() {
                self.wait_killed();
                return self.note(format!("{job:?} {call:?}"));
            }
            // The job made fewer calls than in the last complete run.
            assert!(status.success(), "{job:?}: {}", self.stderr());
            self.totals.insert(job, self.faults.steps.counted());
            self.faults.steps.release();
            self.check_catalogue();
        }
    }

    /// Kills the daemon in the cleanup at startup; `false` if there is nothing to clean up.
    fn kill_in_the_start(&mut self) -> bool {
        let left = self.daemon.unfinished("primary");
        let backups = self.daemon.backups("primary");
        let count = left.iter().map(|name| count_entries(&backups.join(name)));
        let count: u64 = count.sum();
        if count == 0 || self.random.below(2) == 0 {
            return false;
        }
        let number = 1 + self.random.below(count);
        let steps = &self.faults.steps;
        steps.kill_at("/basebackup/.", Call::Unlink, number);
        let status = self.daemon.try_start();
        assert!(steps.reached(), "{number} of {count}: {status:?}");
        if status.is_none() {
            self.wait_killed();
        }
        self.note("Start Unlink".to_owned());
        true
    }

    /// Waits for the end of the killed daemon.
    fn wait_killed(&mut self) {
        self.daemon.process().wait(30);
        self.daemon.kill();
    }

    fn note(&mut self, place: String) {
        self.faults.steps.release();
        *self.hits.entry(place).or_default() += 1;
    }

    /// A random call of the job; `None` if its last run made none.
    fn moment(&mut self, job: Job) -> Option<(Call, u64)> {
        let mut totals = self.totals[&job];
        if job == Job::Prune {
            // The receiver goes on to make such calls.
            totals = totals.map(|total| total.max(10));
        }
        let made = |call: &&Call| totals[**call as usize] > 0;
        let calls: Vec<Call> = job.calls().iter().filter(made).copied().collect();
        let count = calls.len() as u64;
        let call = (count > 0).then(|| calls[self.random.below(count) as usize])?;
        Some((call, 1 + self.random.below(totals[call as usize])))
    }

    /// The command of a job, for which the catalogue has what it needs; notes what the job may do.
    fn prepare(&mut self, job: Job) -> Command {
        let removes = [Job::Delete, Job::Retention, Job::Prune].contains(&job);
        if removes && self.backups.len() < 2 {
            self.complete(Job::Backup);
        }
        let label = self.random_backup();
        match job {
            Job::Backup => self.daemon.cli_command(&["backup", "primary"]),
            Job::Verify => self.daemon.cli_command(&["verify", "primary", &label]),
            Job::Restore => {
                let directory = self.new_directory();
                let directory = directory.to_str().unwrap();
                self.daemon
                    .cli_command(&["restore", "primary", "newest", "current", directory])
            }
            Job::Annotate => {
                let key = format!("key-{}", self.random.below(1 << 60));
                self.daemon
                    .cli_command(&["annotate", "primary", &label, "add", &key, "a | b,\nc"])
            }
            Job::Delete => {
                self.doomed.insert(label.clone());
                self.daemon.cli_command(&["delete", "primary", &label])
            }
            Job::Retention | Job::Prune => {
                while self.doomed.is_empty() {
                    self.pass_a_day();
                    self.doomed = self.expired();
                }
                self.daemon.cli_command(&["retention", "primary"])
            }
        }
    }

    /// A random backup of the catalogue; empty if there is none.
    fn random_backup(&mut self) -> String {
        let count = self.backups.len().max(1) as u64;
        let number = self.random.below(count) as usize;
        self.backups.iter().nth(number).cloned().unwrap_or_default()
    }

    /// Restarts the daemon on the next day, as its clock tells.
    fn pass_a_day(&mut self) {
        self.daemon.stop();
        self.days += 1;
        let seconds = self.days * 86_400;
        self.faults.on_with("clock", &seconds.to_string());
        self.daemon.start();
    }

    /// The backups that retention would remove.
    fn expired(&self) -> BTreeSet<String> {
        let arguments = ["retention", "primary", "--dry-run", "--format", "json"];
        let plan = self.daemon.cli(&arguments).ok().json();
        let backups = plan["Response"]["Backups"].as_array().unwrap();
        let expired = backups
            .iter()
            .filter(|backup| backup["Decision"] == "expire");
        let labels = expired.map(|backup| backup["Backup"].as_str().unwrap().to_owned());
        let labels: BTreeSet<String> = labels.collect();
        assert!(
            self.backups
                .last()
                .is_none_or(|label| !labels.contains(label))
        );
        labels
    }

    /// Starts the client.
    fn start(&mut self, command: &mut Command) -> Process {
        let stderr = File::create(&self.stderr).unwrap();
        let child = quiet(command).stderr(stderr).spawn().unwrap();
        Process::new(child, "pgmoneta-cli")
    }

    /// An empty directory to restore into.
    fn new_directory(&mut self) -> PathBuf {
        self.restored += 1;
        let directory = format!("restored-{}", self.restored);
        let directory = self.daemon.directory().join(directory);
        fs::create_dir(&directory).unwrap();
        user().chown(&directory);
        directory
    }

    /// Checks the catalogue after a job or a start: what must be there is there.
    fn check_catalogue(&mut self) {
        let daemon = &self.daemon;
        let hidden = daemon.unfinished("primary");
        assert!(hidden.is_empty(), "left after a start: {hidden:?}");
        let listed: BTreeSet<_> = daemon.listed("primary").into_iter().collect();
        assert_eq!(listed, daemon.labels("primary").into_iter().collect());
        let missing: BTreeSet<_> = self.backups.difference(&listed).cloned().collect();
        assert!(
            missing.is_subset(&self.doomed),
            "{:?} became {listed:?}, of which {:?} may go",
            self.backups,
            self.doomed
        );
        self.doomed.clear();
        self.backups = listed;
        for path in entries(self.daemon.directory()) {
            if name(&path).starts_with("restored-") {
                discard(&path); // complete or not
            }
        }
    }

    /// Checks the backups after a start: they are valid, with their comments and WAL; one of them
    /// is restored.
    fn check_backups(&mut self) {
        let mut comments = BTreeSet::new();
        for label in &self.backups {
            self.daemon.cli(&["verify", "primary", label]).ok();
            let info = ["info", "primary", label, "--format", "json"];
            let info = self.daemon.cli(&info).ok().json();
            let annotations = info["Response"]["Annotations"].as_object();
            for (key, text) in annotations.into_iter().flatten() {
                assert_eq!(text, "a | b,\nc");
                comments.insert((label.clone(), key.clone()));
            }
        }
        let backups = &self.backups;
        self.comments.retain(|(label, _)| backups.contains(label));
        assert!(comments.is_superset(&self.comments), "{comments:?}");
        self.comments = comments;
        self.check_restore();
    }

    /// Restores one of the backups.
    fn check_restore(&mut self) {
        let label = self.random_backup();
        if !label.is_empty() {
            let directory = self.new_directory();
            let path = directory.to_str().unwrap();
            let restore = ["restore", "primary", &label, "immediate", path];
            self.daemon.cli(&restore).ok();
            discard(&directory);
        }
    }

    fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// The number of files and directories below a directory, including itself.
fn count_entries(path: &Path) -> u64 {
    if !path.symlink_metadata().unwrap().is_dir() {
        return 1;
    }
    1 + entries(path)
        .iter()
        .map(|path| count_entries(path))
        .sum::<u64>()
}

/// A client that writes several segments a second.
fn start_bulk(cluster: &Cluster) -> RunningStatement {
    cluster.execute("CREATE TABLE bulk (n int, x text)");
    RunningStatement::start(
        cluster,
        "DO $$ BEGIN LOOP TRUNCATE bulk; COMMIT; \
         INSERT INTO bulk SELECT g, md5(g::text) FROM generate_series(1, 6000) g; COMMIT; \
         PERFORM pg_sleep(0.2); END LOOP; END $$",
    )
}
