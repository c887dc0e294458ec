//! Runs one backup from the first check to the rename.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::links::{Source, UnchangedFiles};
use super::pipeline::Pipeline;
use super::receive::{ArchiveRoot, receive};
use super::staging::{FileHeader, Sizes, Staging};
use super::wal::{self, SealWait};
use super::{complete, config, left_out, tablespaces};
use crate::config::LinkMode;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::format::{BackupLabel, BackupManifest};
use crate::job::context::ServerContext;
use crate::job::retention;
use crate::job::room::{self, ClusterSize, Watch};
use crate::pg::{
    BaseBackup, BaseBackupOptions, ClusterObjects, Connection, Mode, ServerInfo, Warning,
    cluster_size,
};
use crate::repository::{Backup, BackupInfo, Repository, SystemInfo, TablespaceInfo, WalDirectory};
use crate::status::{Activity, Claim, Phase, Progress, Scope};
use crate::unit::{BackupStep, Label, StepTimes, WalPosition, to_u64};

/// How often its state is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Takes a backup of `server`: [`ErrorKind::Busy`] if one is running, [`ErrorKind::Network`] if WAL
/// is not being received, [`ErrorKind::NoSpace`] if it does not fit, also after retention has run.
/// On failure all its files are removed.
pub fn run(context: &ServerContext) -> Result<Backup> {
    match attempt(context) {
        Err(failure) if failure.kind() == ErrorKind::NoSpace => {
            let name = &context.server.name;
            log::info!("server {name}: no room for a backup: retention runs now");
            match retention::at_once(context) {
                true => attempt(context),
                false => Err(failure),
            }
        }
        done => done,
    }
}

fn attempt(context: &ServerContext) -> Result<Backup> {
    let scope = match context.server.link {
        LinkMode::Symbolic => Scope::NewLinkedBackup,
        LinkMode::Hard | LinkMode::Off => Scope::NewBackup,
    };
    let guard = context.status.begin(Activity::Backup, scope)?;
    let job = Job {
        context,
        progress: &guard.progress().clone(),
        started: Instant::now(),
    };
    let backup = job
        .run()
        .map_err(|failure| with_space_hint(context, failure));
    let backup = backup.with_context(|| format!("back up server {}", context.server.name))?;
    guard.succeeded();
    let (label, elapsed) = (&backup.label, job.started.elapsed().as_secs_f64());
    log::info!(
        "backup {label} of server {} is complete after {elapsed:.1} s",
        context.server.name
    );
    Ok(backup)
}

/// Adds a hint to an error for lack of space.
fn with_space_hint(context: &ServerContext, failure: Error) -> Error {
    if failure.kind() == ErrorKind::NoSpace {
        let path = context.daemon.config.base_dir.display();
        return failure.with_hint(format!(
            "make room on the file system of {path}: keep fewer backups (retention), delete some, \
             or use a larger disk; nothing of the unfinished backup is left there"
        ));
    }
    failure
}

struct Job<'a> {
    context: &'a ServerContext,
    progress: &'a Arc<Progress>,
    started: Instant,
}

/// What the server sent besides the files.
struct ReceivedBackup {
    manifest: BackupManifest,
    label: BackupLabel,
    start: WalPosition,
    end: WalPosition,
    tablespaces: Vec<TablespaceInfo>,
    /// The warnings of the server.
    warnings: Vec<String>,
}

impl Job<'_> {
    /// Reads what the server is, and which databases and tablespaces the backup must have.
    fn read_server(&self) -> Result<(ServerInfo, ClusterObjects)> {
        let mut connection = self.connect()?;
        let server_info = ServerInfo::read(&mut connection)?;
        Ok((server_info, ClusterObjects::read(&mut connection)?))
    }

    fn run(&self) -> Result<Backup> {
        self.check_receiver()?;
        let (server_info, objects) = self.read_server()?;
        let repository = self.context.repository()?;
        repository.bind(&SystemInfo {
            system_identifier: server_info.system_identifier,
            version: server_info.version,
            segment_size: server_info.segment_size,
        })?;
        let _room = self.claim_room(&repository)?;
        let archive = repository
            .wal()?
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the archive is not bound"))?;
        let label = Label::after(
            jiff::Zoned::now().datetime(),
            repository.newest_label()?.as_ref(),
        )?;
        let coding = self.context.daemon.encode_options();
        let mut staging =
            Staging::create(&repository, &label, server_info.system_identifier, &coding)?;
        staging.link_to(self.unchanged_files(&repository, &server_info, &staging)?);
        let received = self.receive(&label, (&server_info, &objects), &archive, &mut staging)?;
        self.log_progress("received");
        wal::wait(self.context, &archive, received.end)?;
        let seal_wait = if received.label.from_standby {
            SealWait::Standby
        } else {
            SealWait::Primary
        };
        let ranges = &received.manifest.wal_ranges;
        let wal = wal::attach_wal(self.context, &archive, &mut staging, ranges, seal_wait)?;
        self.log_progress("complete with its WAL");
        let stop_time = self.stop_time(&server_info);
        self.context.stop.check()?;
        let sizes = staging.finish_manifest()?;
        let mut info = self.info(&server_info, received, wal, stop_time, sizes);
        info.symbolic_links = staging.has_symbolic_links();
        let backup = staging.publish(&info, &self.context.daemon.key)?;
        if let Err(failure) = repository.record_backups() {
            // The next start of the daemon does it.
            log::warn!("server {}: {failure}", self.context.server.name);
        }
        Ok(backup)
    }

    /// The files of an older backup that those of the new one may be linked to.
    fn unchanged_files(
        &self,
        repository: &Repository,
        server_info: &ServerInfo,
        staging: &Staging,
    ) -> Result<Option<UnchangedFiles>> {
        let source = Source {
            repository,
            key: &self.context.daemon.key,
            system_identifier: server_info.system_identifier,
            stored: staging.coding().stored(),
        };
        let (mode, stop) = (self.context.server.link, &self.context.stop);
        UnchangedFiles::find(mode, &source, staging.path(), stop)
    }

    /// The content of `backup.info`.
    fn info(
        &self,
        server_info: &ServerInfo,
        received: ReceivedBackup,
        wal: String,
        stop_time: i64,
        (sizes, manifest_sha256): (Sizes, [u8; 32]),
    ) -> BackupInfo {
        let config = &self.context.daemon.config;
        let elapsed = self.started.elapsed().as_secs_f64();
        let mut steps = StepTimes::default();
        steps.set(BackupStep::BaseBackup, elapsed);
        BackupInfo {
            valid: true,
            wal,
            backup_size: sizes.stored,
            restore_size: sizes.plain,
            biggest_file: sizes.biggest,
            elapsed,
            steps,
            version: server_info.version,
            keep: false,
            compression: config.compression,
            encryption: config.encryption,
            tablespaces: received.tablespaces,
            start: received.start,
            end: received.end,
            checkpoint: received.label.checkpoint,
            comments: String::new(),
            system_identifier: Some(server_info.system_identifier),
            stop_time: Some(stop_time),
            manifest_sha256: Some(manifest_sha256),
            linked_size: sizes.linked,
            symbolic_links: false,
            parent: None,
            warnings: received.warnings,
        }
    }

    /// Claims the room for the backup, by the size of the databases.
    fn claim_room(&self, repository: &Repository) -> Result<Claim> {
        let size = self
            .connect()
            .and_then(|mut connection| cluster_size(&mut connection));
        let size = size.unwrap_or_else(|failure| {
            log::debug!("backup of server {}: {failure}", self.context.server.name);
            None
        });
        let size = ClusterSize::Databases(size);
        room::claim(self.context, repository, size, self.progress)
    }

    /// Logs the time until a step was complete.
    fn log_progress(&self, step: &str) {
        let (name, elapsed) = (
            &self.context.server.name,
            self.started.elapsed().as_secs_f64(),
        );
        log::debug!("backup of server {name}: {step} after {elapsed:.1} s");
    }

    /// Fails unless WAL is streamed: the backup needs the WAL written meanwhile. A receiver that
    /// was just started has `blocking_timeout` to begin.
    fn check_receiver(&self) -> Result<()> {
        let timeout = self.context.daemon.config.blocking_timeout;
        let deadline = Instant::now().checked_add(timeout.duration());
        let in_time = || deadline.is_none_or(|deadline| Instant::now() < deadline);
        loop {
            let state = self.context.status.receiver();
            let kind = if state.no_space {
                ErrorKind::NoSpace
            } else {
                ErrorKind::Network
            };
            let why = match state.phase {
                Phase::Streaming => return Ok(()),
                Phase::Starting if in_time() => {
                    self.context.stop.pause(POLL_INTERVAL)?;
                    continue;
                }
                Phase::Starting => "it is still starting".to_owned(),
                Phase::Reconnecting(why) | Phase::Alarm(why) => why,
                Phase::Stopped => "it has stopped".to_owned(),
            };
            let text = format!("WAL is not being received: {why}");
            return Err(Error::new(kind, text).with_hint(
                "a backup needs the WAL that is written meanwhile; see `pgmoneta-cli status`",
            ));
        }
    }

    fn connect(&self) -> Result<Connection> {
        self.context.connect(Mode::Sql)
    }

    /// Receives the archives and the server's manifest.
    fn receive(
        &self,
        label: &Label,
        (server_info, objects): (&ServerInfo, &ClusterObjects),
        archive: &WalDirectory,
        staging: &mut Staging,
    ) -> Result<ReceivedBackup> {
        let mut connection = self.context.connect(Mode::Replication)?;
        let identity = connection.identify_system()?;
        if identity.system_identifier != server_info.system_identifier {
            let text = "the server was replaced by another cluster while the backup began";
            return Err(Error::new(ErrorKind::Configuration, text));
        }
        let options = BaseBackupOptions {
            label: format!("pgmoneta_{label}"),
            checkpoint: self.context.server.checkpoint,
            max_rate: self.context.server.max_rate.map(|rate| rate.0),
        };
        let mut backup = BaseBackup::start(connection, &options)?;
        let _room = self.check_before_transfer(&backup, archive)?;
        let start = backup.start_position();
        let tablespaces = self.tablespaces(&backup, objects)?;
        for tablespace in &tablespaces {
            staging.tablespace(tablespace)?;
        }
        let label = self.receive_archives(&mut backup, &tablespaces, staging)?;
        let bytes = backup.manifest(staging.max_manifest_size())?;
        let (end, warnings) = backup.finish()?;
        let mut warnings = self.check_warnings(&warnings)?;
        let manifest = BackupManifest::parse(&bytes)?;
        let identifier = manifest.system_identifier;
        if identifier.is_some_and(|identifier| identifier != server_info.system_identifier) {
            let text = "the server's backup manifest is of another cluster";
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        complete::check(staging, server_info.version, objects, || {
            ClusterObjects::read(&mut self.connect()?)
        })?;
        warnings.extend(self.store_config(staging)?);
        staging.compare(&manifest)?;
        self.store_manifest(&bytes, staging)?;
        complete::check_positions(&label, &manifest.wal_ranges, start, end)?;
        Ok(ReceivedBackup {
            manifest,
            label,
            start,
            end,
            tablespaces,
            warnings,
        })
    }

    /// Fails before the transfer rather than after it. Claims the room, by the size of all files.
    fn check_before_transfer(&self, backup: &BaseBackup, archive: &WalDirectory) -> Result<Claim> {
        left_out::check(backup.warnings())?;
        wal::check_start(self.context, archive, backup.start_position())?;
        let sizes = backup.tablespaces().iter().filter_map(|found| found.size);
        let size = sizes.fold(0, u64::saturating_add);
        self.progress.set_total(size);
        let size = Some(size).filter(|size| *size > 0);
        room::claim(
            self.context,
            &self.context.repository()?,
            ClusterSize::Files(size),
            self.progress,
        )
    }

    /// The tablespaces with their names on the server.
    fn tablespaces(
        &self,
        backup: &BaseBackup,
        objects: &ClusterObjects,
    ) -> Result<Vec<TablespaceInfo>> {
        let found = backup.tablespaces();
        if tablespaces::all_names_known(found, objects) {
            return tablespaces::with_names(found, objects);
        }
        // One was created after the names were read.
        tablespaces::with_names(found, &ClusterObjects::read(&mut self.connect()?)?)
    }

    /// Stores the configuration files from outside the data directory. Returns warnings about those
    /// that could not be stored.
    fn store_config(&self, staging: &mut Staging) -> Result<Vec<String>> {
        let warnings = config::store_files(self.connect(), staging)?;
        for warning in &warnings {
            log::warn!("backup of server {}: {warning}", self.context.server.name);
        }
        Ok(warnings)
    }

    /// Logs and returns the warnings of the server; fails if they mean that the backup is
    /// incomplete.
    fn check_warnings(&self, warnings: &[Warning]) -> Result<Vec<String>> {
        let messages = left_out::check(warnings)?;
        for warning in warnings {
            let (name, text) = (&self.context.server.name, &warning.message);
            log::warn!("backup of server {name}: PostgreSQL warns: {text}");
        }
        Ok(messages)
    }

    fn receive_archives(
        &self,
        backup: &mut BaseBackup,
        tablespaces: &[TablespaceInfo],
        staging: &mut Staging,
    ) -> Result<BackupLabel> {
        let context = self.context;
        let workers = self.context.server.threads();
        let path = staging.path().to_owned();
        let mut pipeline = Pipeline::new(
            &context.daemon.pool,
            workers,
            &context.stop,
            self.progress,
            staging,
        )
        .with_watch(Watch::new(context, &path));
        let mut label = None;
        while let Some(archive) = backup.next_archive()? {
            let root = archive
                .1
                .oid
                .map_or_else(ArchiveRoot::data, ArchiveRoot::tablespace);
            let found = receive(archive, &root, tablespaces, &mut pipeline)?;
            label = label.or(found);
        }
        pipeline.finish()?;
        label.ok_or_else(|| Error::new(ErrorKind::Corrupt, "the server sent no backup_label"))
    }

    /// Keeps the server's manifest as a file of the data directory, so that `pg_verifybackup` works
    /// after a restore.
    fn store_manifest(&self, bytes: &[u8], staging: &mut Staging) -> Result<()> {
        let suffix = staging.coding().stored().suffix();
        let (path, stored_path) = ArchiveRoot::data().file("backup_manifest".as_ref(), &suffix);
        let header = FileHeader {
            path,
            stored_path,
            size: to_u64(bytes.len()),
            modified: jiff::Timestamp::now().as_second(),
            mode: 0o600,
        };
        let (entry, digest) = staging.store(header, &mut &bytes[..])?;
        staging.end(entry, &digest)?;
        self.progress.advance(to_u64(bytes.len()));
        Ok(())
    }

    /// The server's time at the end of the backup; if unavailable, its time at the start plus the
    /// elapsed time.
    fn stop_time(&self, server_info: &ServerInfo) -> i64 {
        match self
            .connect()
            .and_then(|mut connection| ServerInfo::read(&mut connection))
        {
            Ok(now) => now.now_micros,
            Err(failure) => {
                log::warn!("the stop time of the backup is from the local clock: {failure}");
                let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(0);
                server_info.now_micros.saturating_add(elapsed)
            }
        }
    }
}
