//! One backup from the first check to its name.

use std::time::{Duration, Instant};

use super::pipeline::Pipeline;
use super::receive::{Place, receive};
use super::staging::{FileHead, Staging};
use super::wal::{self, Patience};
use super::{Options, Outcome, complete, config, left_out, tablespaces};
use crate::codec::Coding;
use crate::config::Server;
use crate::error::{Context as _, Failure, Kind, Result};
use crate::format::{BackupLabel, BackupManifest};
use crate::job::context::Context;
use crate::pg::{BaseBackup, BaseBackupOptions, ClusterObjects, Connection, Facts, Mode, Warning};
use crate::repository::{Backup, BackupInfo, SystemInfo, TablespaceInfo, WalDirectory};
use crate::status::{Activity, Phase, Progress};
use crate::unit::{Encryption, Label, Lsn, Timeline};

/// How long a receiver that has just been started may take to stream.
const STARTING: Duration = Duration::from_secs(15);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes a backup of `server`: [`Kind::Busy`] if one is running, [`Kind::Network`] if WAL is not being received. When it
/// fails, nothing of it is left.
pub fn run(context: &Context, server: &Server, _options: &Options) -> Result<Outcome> {
    let guard = context.board.begin(&server.name, Activity::Backup)?;
    let job = Job {
        context,
        server,
        progress: guard.progress(),
        started: Instant::now(),
    };
    let backup = job.run().map_err(|failure| explained(context, failure));
    let backup = backup.with_context(|| format!("back up server {}", server.name))?;
    let (label, elapsed) = (&backup.label, job.started.elapsed().as_secs_f64());
    log::info!(
        "backup {label} of server {} is complete after {elapsed:.1} s",
        server.name
    );
    Ok(Outcome { backup })
}

/// Adds what to do about a failure.
fn explained(context: &Context, failure: Failure) -> Failure {
    if failure.kind() == Kind::NoSpace {
        let path = context.config.base_dir.display();
        return failure.hint(format!(
            "make room on the file system of {path}; nothing of the unfinished backup is left there"
        ));
    }
    failure
}

struct Job<'a> {
    context: &'a Context,
    server: &'a Server,
    progress: &'a Progress,
    started: Instant,
}

/// What was learnt while the archives were received.
struct Received {
    manifest: BackupManifest,
    label: BackupLabel,
    start: (Timeline, Lsn),
    end: (Timeline, Lsn),
    tablespaces: Vec<TablespaceInfo>,
    /// What the server warned of.
    warnings: Vec<String>,
}

impl Job<'_> {
    /// Asks the server what it is, and what the backup must have.
    fn ask(&self) -> Result<(Facts, ClusterObjects)> {
        let mut connection = self.connect()?;
        let facts = Facts::read(&mut connection)?;
        Ok((facts, ClusterObjects::read(&mut connection)?))
    }

    fn run(&self) -> Result<Backup> {
        self.check_receiver()?;
        let (facts, objects) = self.ask()?;
        let repository = self.context.repository(&self.server.name)?;
        repository.bind(&SystemInfo {
            system_identifier: facts.system_identifier,
            version: facts.version,
            segment_size: facts.segment_size,
        })?;
        let archive = repository
            .wal()?
            .ok_or_else(|| Failure::new(Kind::Internal, "the archive is not bound"))?;
        let label = Label::after(
            jiff::Zoned::now().datetime(),
            repository.newest_label()?.as_ref(),
        )?;
        let coding = self.coding();
        let mut staging = Staging::create(&repository, &label, facts.system_identifier, &coding)?;
        let received = self.receive(&label, (&facts, &objects), &archive, &mut staging)?;
        self.passed("received");
        wal::wait(self.context, self.server, &archive, received.end)?;
        let patience = if received.label.from_standby {
            Patience::Standby
        } else {
            Patience::Primary
        };
        let ranges = &received.manifest.wal_ranges;
        let wal = wal::keep(self.context, &archive, &mut staging, ranges, patience)?;
        self.passed("complete with its WAL");
        let stop_time = self.stop_time(&facts);
        self.context.stop.check()?;
        let info = self.info(&facts, received, wal, stop_time);
        let backup = staging.commit(info, &self.context.key)?;
        if let Err(failure) = repository.note_backups() {
            // It is made up for at the next start.
            log::warn!("server {}: {failure}", self.server.name);
        }
        Ok(backup)
    }

    /// What is known of the backup; how large it is is known when it is stored.
    fn info(&self, facts: &Facts, received: Received, wal: String, stop_time: i64) -> BackupInfo {
        let config = &self.context.config;
        BackupInfo {
            valid: true,
            wal,
            backup_size: 0,
            restore_size: 0,
            biggest_file: 0,
            elapsed: self.started.elapsed().as_secs_f64(),
            version: facts.version,
            keep: false,
            compression: config.compression,
            encryption: config.encryption,
            tablespaces: received.tablespaces,
            start: received.start,
            end: received.end,
            checkpoint: received.label.checkpoint,
            comments: String::new(),
            system_identifier: Some(facts.system_identifier),
            stop_time: Some(stop_time),
            manifest_sha256: None,
            parent: None,
            warnings: received.warnings,
        }
    }

    /// Notes how long it took to get that far.
    fn passed(&self, what: &str) {
        let (name, elapsed) = (&self.server.name, self.started.elapsed().as_secs_f64());
        log::debug!("backup of server {name}: {what} after {elapsed:.1} s");
    }

    /// Without a receiver that streams, the WAL that the backup needs would never come.
    fn check_receiver(&self) -> Result<()> {
        let deadline = Instant::now() + STARTING;
        loop {
            let state = self.context.board.receiver(&self.server.name);
            let why = match state.phase {
                Phase::Streaming => return Ok(()),
                Phase::Starting if Instant::now() < deadline => {
                    self.context.stop.pause(PAUSE)?;
                    continue;
                }
                Phase::Starting => "it is still starting".to_owned(),
                Phase::Reconnecting(why) | Phase::Alarm(why) => why,
                Phase::Stopped => "it has stopped".to_owned(),
            };
            let text = format!("WAL is not being received: {why}");
            return Err(Failure::new(Kind::Network, text).hint(
                "a backup needs the WAL that is written meanwhile; see `pgmoneta-cli status`",
            ));
        }
    }

    fn connect(&self) -> Result<Connection> {
        let login = self.context.login(self.server);
        Connection::open(&login, Mode::Sql, &self.context.stop)
    }

    fn coding(&self) -> Coding {
        let config = &self.context.config;
        Coding {
            compression: config.compression,
            level: config.compression_level,
            encryption: config.encryption,
            key: (config.encryption != Encryption::None).then(|| self.context.key.clone()),
        }
    }

    /// Receives the archives and the server's manifest.
    fn receive(
        &self,
        label: &Label,
        (facts, objects): (&Facts, &ClusterObjects),
        archive: &WalDirectory,
        staging: &mut Staging,
    ) -> Result<Received> {
        let login = self.context.login(self.server);
        let mut connection = Connection::open(&login, Mode::Replication, &self.context.stop)?;
        let identity = connection.identify_system()?;
        if identity.system_identifier != facts.system_identifier {
            let text = "the server became another one while the backup began";
            return Err(Failure::new(Kind::Configuration, text));
        }
        let options = BaseBackupOptions {
            label: format!("pgmoneta_{label}"),
            checkpoint: self.server.checkpoint,
            max_rate: self.server.max_rate.map(|rate| rate.0),
        };
        let mut backup = BaseBackup::start(connection, &options)?;
        self.check_begun(&backup, archive)?;
        let start = backup.start_position();
        let sizes = backup.tablespaces().iter().filter_map(|found| found.size);
        self.progress.expect(sizes.fold(0, u64::saturating_add));
        let tablespaces = self.tablespaces(&backup, objects)?;
        for tablespace in &tablespaces {
            staging.tablespace(tablespace)?;
        }
        let label = self.archives(&mut backup, &tablespaces, staging)?;
        let bytes = backup.manifest(staging.longest_manifest())?;
        let (end, warnings) = backup.finish()?;
        let mut warnings = self.warnings(&warnings)?;
        let manifest = BackupManifest::parse(&bytes)?;
        let identifier = manifest.system_identifier;
        if identifier.is_some_and(|identifier| identifier != facts.system_identifier) {
            let text = "the server's backup manifest is of another cluster";
            return Err(Failure::new(Kind::Corrupt, text));
        }
        complete::check(staging, facts.version, objects, || {
            ClusterObjects::read(&mut self.connect()?)
        })?;
        warnings.extend(self.config(staging)?);
        staging.compare(&manifest)?;
        self.store_manifest(&bytes, staging)?;
        complete::check_positions(&label, &manifest.wal_ranges, start, end)?;
        Ok(Received {
            manifest,
            label,
            start,
            end,
            tablespaces,
            warnings,
        })
    }

    /// Refuses before the transfer what would be refused after it.
    fn check_begun(&self, backup: &BaseBackup, archive: &WalDirectory) -> Result<()> {
        left_out::check(backup.warnings())?;
        wal::check_start(self.context, self.server, archive, backup.start_position())
    }

    /// The tablespaces, by the names that they have on the server.
    fn tablespaces(
        &self,
        backup: &BaseBackup,
        objects: &ClusterObjects,
    ) -> Result<Vec<TablespaceInfo>> {
        let found = backup.tablespaces();
        if tablespaces::known(found, objects) {
            return tablespaces::named(found, objects);
        }
        // One was made a moment ago.
        tablespaces::named(found, &ClusterObjects::read(&mut self.connect()?)?)
    }

    /// Stores the configuration files that are not in the data directory; what could not be stored.
    fn config(&self, staging: &mut Staging) -> Result<Vec<String>> {
        let notes = config::keep(self.connect(), staging)?;
        for note in &notes {
            log::warn!("backup of server {}: {note}", self.server.name);
        }
        Ok(notes)
    }

    /// What the server warned of; a failure if the backup is not complete because of that.
    fn warnings(&self, warnings: &[Warning]) -> Result<Vec<String>> {
        let kept = left_out::check(warnings)?;
        for warning in warnings {
            let (name, text) = (&self.server.name, &warning.message);
            log::warn!("backup of server {name}: PostgreSQL warns: {text}");
        }
        Ok(kept)
    }

    fn archives(
        &self,
        backup: &mut BaseBackup,
        tablespaces: &[TablespaceInfo],
        staging: &mut Staging,
    ) -> Result<BackupLabel> {
        let context = self.context;
        let workers = self.server.workers;
        let mut pipeline = Pipeline::new(
            &context.pool,
            workers,
            &context.stop,
            self.progress,
            staging,
        );
        let mut label = None;
        while let Some(archive) = backup.next_archive()? {
            let place = archive.1.oid.map_or_else(Place::data, Place::tablespace);
            let found = receive(archive, &place, tablespaces, &mut pipeline)?;
            label = label.or(found);
        }
        pipeline.finish()?;
        label.ok_or_else(|| Failure::new(Kind::Corrupt, "the server sent no backup_label"))
    }

    /// Keeps the server's manifest as a file of the data directory, so that `pg_verifybackup` works after a restore.
    fn store_manifest(&self, bytes: &[u8], staging: &mut Staging) -> Result<()> {
        let suffix = staging.coding().stored().suffix();
        let (path, stored_path) = Place::data().file("backup_manifest".as_ref(), &suffix);
        let head = FileHead {
            path,
            stored_path,
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            modified: jiff::Timestamp::now().as_second(),
            mode: 0o600,
        };
        let (pool, stop) = (&self.context.pool, &self.context.stop);
        let mut pipeline = Pipeline::new(pool, self.server.workers, stop, self.progress, staging);
        pipeline.store(head, &mut &bytes[..])?;
        pipeline.finish()
    }

    /// The server's clock after the end of the backup; without a new answer, its clock at the start and the time since.
    fn stop_time(&self, facts: &Facts) -> i64 {
        match self
            .connect()
            .and_then(|mut connection| Facts::read(&mut connection))
        {
            Ok(now) => now.now_micros,
            Err(failure) => {
                log::warn!("the end of the backup is timed by our own clock: {failure}");
                let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(0);
                facts.now_micros.saturating_add(elapsed)
            }
        }
    }
}
