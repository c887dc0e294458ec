//! Backup and restore, compared with `pg_basebackup` and pgBackRest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::data;
use crate::harness::{
    Cluster, Daemon, REPLICATION_PASSWORD, REPLICATION_USER, SUPERUSER, Scratch, client, user,
};
use crate::measure::{Run, command, daemon as measure_daemon, size, sync_disks, table};

const ROUNDS: usize = 5;

pub fn run() {
    let scratch = Scratch::new("bench");
    let cluster = data::cluster(&scratch);
    let mut daemon = Daemon::builder(&scratch)
        .global("log_level = warn\nworkers = 2\ncompression = zstd")
        .server("primary", &cluster)
        .start();
    let peer = PgBackRest::new(&scratch, &cluster);
    let mut backups = vec![
        ("pgmoneta", vec![]),
        ("pg_basebackup -Ft zstd:3 workers=2", vec![]),
        ("pgBackRest process-max=2 zst:3", vec![]),
    ];
    let mut restores = vec![("pgmoneta", vec![]), ("pgBackRest process-max=2", vec![])];
    for round in 0..=ROUNDS {
        eprintln!(
            "round {round} of {ROUNDS}{}",
            if round == 0 { " (warm-up)" } else { "" }
        );
        let runs = [
            our_backup(&cluster, &mut daemon),
            pg_basebackup(&scratch, &cluster),
            peer.backup(&cluster),
        ];
        let restored = [our_restore(&scratch, &mut daemon), peer.restore()];
        if round > 0 {
            backups
                .iter_mut()
                .zip(runs)
                .for_each(|(row, run)| row.1.push(run));
            restores
                .iter_mut()
                .zip(restored)
                .for_each(|(row, run)| row.1.push(run));
        }
    }
    table("Full backup, 2.9 GB", &backups);
    table("Restore (only pgmoneta verifies the files)", &restores);
}

fn our_backup(cluster: &Cluster, daemon: &mut Daemon) -> Run {
    for label in daemon.labels("primary") {
        fs::remove_dir_all(daemon.backups("primary").join(label)).unwrap();
    }
    checkpoint_and_sync(cluster);
    let pid = daemon.process().pid();
    let mut run = measure_daemon(pid, || {
        daemon.cli(&["backup", "primary"]).ok();
    });
    let labels = daemon.labels("primary");
    let backup = daemon.backups("primary").join(&labels[0]);
    // Without WAL, as for the other tools.
    run.stored = size(&backup) - size(&backup.join("wal"));
    run
}

fn our_restore(scratch: &Scratch, daemon: &mut Daemon) -> Run {
    let target = scratch.directory("restored");
    sync_disks();
    let pid = daemon.process().pid();
    let run = measure_daemon(pid, || {
        daemon
            .cli(&["restore", "primary", "newest", target.to_str().unwrap()])
            .ok();
    });
    fs::remove_dir_all(target).unwrap();
    run
}

fn pg_basebackup(scratch: &Scratch, cluster: &Cluster) -> Run {
    let target = scratch.join("basebackup");
    checkpoint_and_sync(cluster);
    let mut backup = Command::new(client("pg_basebackup"));
    backup
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &cluster.port().to_string(),
            "-U",
            REPLICATION_USER,
        ])
        .args([
            "-Ft",
            "--compress=client-zstd:level=3,workers=2",
            "-X",
            "none",
            "-c",
            "fast",
            "-D",
        ])
        .arg(&target)
        .env("PGPASSWORD", REPLICATION_PASSWORD);
    let mut run = command(scratch, &backup, Path::new("/dev/null"));
    run.stored = size(&target);
    fs::remove_dir_all(target).unwrap();
    run
}

/// Writes dirty pages to disk, so that the disk is idle.
fn checkpoint_and_sync(cluster: &Cluster) {
    cluster.execute("checkpoint");
    sync_disks();
}

struct PgBackRest<'a> {
    scratch: &'a Scratch,
    configuration: PathBuf,
    repository: PathBuf,
}

impl<'a> PgBackRest<'a> {
    fn new(scratch: &'a Scratch, cluster: &Cluster) -> Self {
        let directory = scratch.directory("pgbackrest");
        let repository = scratch.directory("pgbackrest/repo");
        let at = directory.display();
        let configuration = scratch.write(
            "pgbackrest.conf",
            format!(
                "[global]\nrepo1-path={at}/repo\nlog-path={at}\nlock-path={at}\nspool-path={at}\n\
                 log-level-console=warn\nlog-level-file=off\ncompress-type=zst\ncompress-level=3\n\
                 process-max=2\n\
                 start-fast=y\narchive-check=n\narchive-copy=n\nrepo1-retention-full=1\n\
                 [main]\npg1-path={}\npg1-port={}\npg1-socket-path={}\npg1-user={SUPERUSER}\n",
                cluster.data().display(),
                cluster.port(),
                cluster.sockets().display(),
            ),
        );
        let peer = Self {
            scratch,
            configuration,
            repository,
        };
        let output = user()
            .command("pgbackrest")
            .args(peer.arguments(&["stanza-create"]))
            .output()
            .expect("pgbackrest is installed");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        peer
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let configuration = format!("--config={}", self.configuration.display());
        let own = [configuration, "--stanza=main".to_owned()];
        own.into_iter()
            .chain(more.iter().map(|&text| text.to_owned()))
            .collect()
    }

    fn timed(&self, more: &[&str], stored: &Path) -> Run {
        let mut timed = Command::new("pgbackrest");
        timed.args(self.arguments(more));
        command(self.scratch, &timed, stored)
    }

    fn backup(&self, cluster: &Cluster) -> Run {
        checkpoint_and_sync(cluster);
        // Each backup expires the one before, so that one backup is stored.
        self.timed(&["--type=full", "backup"], &self.repository.join("backup"))
    }

    fn restore(&self) -> Run {
        let target = self.scratch.directory("pgbackrest-restored");
        sync_disks();
        let path = format!("--pg1-path={}", target.display());
        let mut run = self.timed(&[&path, "restore"], Path::new("/dev/null"));
        run.stored = 0;
        fs::remove_dir_all(target).unwrap();
        run
    }
}
