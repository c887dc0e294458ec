//! kill -9 of the daemon at random file system calls of a backup, a verify, a restore, or the
//! cleanup at startup, while it receives WAL. After each restart every listed backup is valid, no
//! incomplete files are left, and the WAL has no gap, equals that of the server, and reaches the
//! acknowledged position.
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
    crashes("compression = zstd");
}

#[test]
fn crashes_with_plain_wal() {
    crashes("compression = none");
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
        .global(storage)
        .server("primary", &cluster);
    let daemon = faults.daemon(builder).start_streaming();
    let mut reference = Reference::new(&cluster, &archive);
    let load = Load::start(&cluster, 0, 1, Duration::from_millis(2));
    let bulk = start_bulk(&cluster);
    let mut killer = Killer::new(daemon, faults, &scratch);
    let mut known = check_catalogue(&killer.daemon, &BTreeSet::new());

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
        known = check_catalogue(&killer.daemon, &known);
    }

    println!("killed at: {:?}", killer.hits);
    load.stop();
    drop(bulk);
    cluster.wait_quiet();
    cluster.wait_received("pgmoneta");
    let rows = cluster.fingerprint();
    let mut daemon = killer.daemon;
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
}

impl Job {
    /// The common part of the paths of its files.
    fn path_part(self) -> &'static str {
        match self {
            Job::Backup | Job::Verify => "/primary/basebackup",
            Job::Restore => "/restored-",
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
    /// The number of calls of each kind in the last complete run of a job.
    totals: BTreeMap<Job, [u64; Call::ALL.len()]>,
    /// The number of kills for each job and kind of call.
    hits: BTreeMap<String, u32>,
}

impl Killer {
    /// Runs each job once to count its calls; the catalogue has two backups then.
    fn new(daemon: Daemon, faults: Faults, scratch: &Scratch) -> Self {
        let mut killer = Self {
            daemon,
            faults,
            random: Random::new(),
            stderr: scratch.join("stderr"),
            restored: 0,
            totals: BTreeMap::new(),
            hits: BTreeMap::new(),
        };
        // The second backup makes other calls: unchanged files are linked.
        for job in [Job::Backup, Job::Backup, Job::Verify, Job::Restore] {
            killer.complete(job);
        }
        killer
    }

    /// Runs a job to its end, and counts its calls.
    fn complete(&mut self, job: Job) {
        self.faults.steps.count(job.path_part());
        let status = self.start(job).wait(300);
        assert!(status.success(), "{job:?}: {}", self.stderr());
        self.totals.insert(job, self.faults.steps.counted());
    }

    /// Runs jobs until the daemon is killed in one.
    fn kill_in_a_job(&mut self) {
        let jobs = [Job::Backup, Job::Backup, Job::Verify, Job::Restore];
        loop {
            let job = jobs[self.random.below(4) as usize];
            let totals = self.totals[&job];
            let calls: Vec<Call> = Call::ALL
                .into_iter()
                .filter(|call| totals[*call as usize] > 0)
                .filter(|call| job != Job::Verify || *call == Call::Open)
                .collect();
            let call = calls[self.random.below(calls.len() as u64) as usize];
            let number = 1 + self.random.below(totals[call as usize]);
            self.faults.steps.kill_at(job.path_part(), call, number);
            let status = self.start(job).wait(300);
            if self.faults.steps.reached() {
                assert!(
                    !status.success(),
                    "{job:?} succeeded although the daemon was killed"
                );
                self.wait_killed();
                return self.note(format!("{job:?} {call:?}"));
            }
            // The job made fewer calls than in the last run.
            assert!(status.success(), "{job:?}: {}", self.stderr());
            self.totals.insert(job, self.faults.steps.counted());
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

    fn start(&mut self, job: Job) -> Process {
        let mut command = match job {
            Job::Backup => self.daemon.cli_command(&["backup", "primary"]),
            Job::Verify => self.daemon.cli_command(&["verify", "primary", "newest"]),
            Job::Restore => {
                self.restored += 1;
                let directory = format!("restored-{}", self.restored);
                let directory = self.daemon.directory().join(directory);
                fs::create_dir(&directory).unwrap();
                user().chown(&directory);
                let directory = directory.to_str().unwrap();
                self.daemon
                    .cli_command(&["restore", "primary", "newest", "current", directory])
            }
        };
        let stderr = File::create(&self.stderr).unwrap();
        let child = quiet(&mut command).stderr(stderr).spawn().unwrap();
        Process::new(child, "pgmoneta-cli")
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

/// Checks the catalogue after a start; returns its labels.
fn check_catalogue(daemon: &Daemon, known: &BTreeSet<String>) -> BTreeSet<String> {
    let hidden = daemon.unfinished("primary");
    assert!(hidden.is_empty(), "left after a start: {hidden:?}");
    let listed: BTreeSet<_> = daemon.listed("primary").into_iter().collect();
    assert_eq!(listed, daemon.labels("primary").into_iter().collect());
    assert!(listed.is_superset(known), "{known:?} became {listed:?}");
    for label in listed.difference(known) {
        daemon.cli(&["verify", "primary", label]).ok();
    }
    for path in entries(daemon.directory()) {
        if name(&path).starts_with("restored-") {
            discard(&path); // complete or not
        }
    }
    listed
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
