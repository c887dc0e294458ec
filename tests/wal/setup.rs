//! Runs a WAL receiver in a thread of the tests.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use pgmoneta::config::{Config, ConfigHandle, Files};
use pgmoneta::crypto::{MasterKey, Secret};
use pgmoneta::format::TimelineHistory;
use pgmoneta::job::context::{DaemonContext, ServerContext};
use pgmoneta::job::pace::Pace;
use pgmoneta::pool::Pool;
use pgmoneta::repository::{BaseDirectory, Repository, WalDirectory, WalEnd};
use pgmoneta::status::{Phase, ReceiverState};
use pgmoneta::sys::Stop;
use pgmoneta::unit::{Lsn, Timeline};
use pgmoneta::vault::Vault;
use postgres::types::PgLsn;

use super::log;
use crate::harness::{Cluster, REPLICATION_USER, Scratch, wait_until};

/// A receiver of the server section `name`, which is unique in the process. Stopped on drop.
pub struct Receiver {
    pub name: String,
    directory: PathBuf,
    pub context: ServerContext,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// A receiver of a cluster with additional configuration lines; not started.
    pub fn new(scratch: &Scratch, cluster: &Cluster, global: &str, section: &str) -> Receiver {
        Receiver::at(scratch, cluster.sockets(), cluster, global, section)
    }

    /// As [`Receiver::new`], but connects by the sockets in another directory.
    pub fn at(
        scratch: &Scratch,
        sockets: &Path,
        cluster: &Cluster,
        global: &str,
        section: &str,
    ) -> Receiver {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        log::collect();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("w{number}");
        let directory = scratch.join(&name);
        fs::create_dir_all(&directory).unwrap();
        let server = [name.parse().unwrap()];
        BaseDirectory::create(&directory.join("repo"), &server).unwrap();
        let base = BaseDirectory::open(&directory.join("repo"), &server).unwrap();
        let text = sections(&name, (sockets, cluster.port()), global, section);
        Receiver {
            context: context(&directory, &text, Arc::new(base)),
            name,
            directory,
            thread: None,
        }
    }

    /// Changes the configuration of a stopped receiver.
    pub fn configure(&mut self, cluster: &Cluster, global: &str, section: &str) {
        let sockets = cluster.sockets();
        let text = sections(&self.name, (sockets, cluster.port()), global, section);
        self.context = context(&self.directory, &text, self.context.daemon.base.clone());
    }

    pub fn start(&mut self) {
        assert!(self.thread.is_none());
        self.context = ServerContext::new(&self.context.daemon, &self.context.server).unwrap();
        let context = self.context.clone();
        let thread = move || pgmoneta::job::wal::run(&context);
        self.thread = Some(std::thread::spawn(thread));
    }

    pub fn started(mut self) -> Receiver {
        self.start();
        self
    }

    /// Stops the receiver and waits for it and for the pool, as the daemon does: segments may be
    /// sealed or prepared until then.
    pub fn stop(&mut self) {
        self.context.stop.request();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.context.daemon.pool = Arc::new(Pool::new(2).unwrap());
    }

    /// Runs `wal begin`, as an operator does.
    pub fn begin(&self) {
        pgmoneta::job::wal::begin(&self.context).unwrap();
    }

    pub fn state(&self) -> ReceiverState {
        self.context.status.receiver()
    }

    pub fn wait_streaming(&self) {
        wait_until("WAL is streamed", 60, || self.state().is_streaming());
    }

    /// Waits for an alarm with `text` and returns its message.
    pub fn wait_alarm(&self, text: &str) -> String {
        let mut message = String::new();
        wait_until(&format!("an alarm with {text:?}"), 60, || {
            if let Phase::Alarm(why) = self.state().phase {
                message = why;
            }
            message.contains(text)
        });
        message
    }

    pub fn log(&self) -> Vec<String> {
        log::lines_of(&self.name)
    }

    /// How many failed attempts were logged at debug level only.
    pub fn unreported_attempts(&self) -> usize {
        let lines = log::with_debug(&self.name);
        lines.len() - self.log().len()
    }

    /// Waits until all WAL that the server has flushed is on stable storage in the archive. Returns
    /// its end.
    pub fn wait_flushed(&self, cluster: &Cluster) -> Lsn {
        let end: PgLsn = cluster.query_value(
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE \
             pg_current_wal_flush_lsn() END",
        );
        let end = Lsn(end.into());
        wait_until("all WAL is flushed", 60, || self.state().flushed >= end);
        end
    }

    pub fn repository(&self) -> Repository {
        self.context.repository().unwrap()
    }

    pub fn wal(&self) -> WalDirectory {
        self.repository().wal().unwrap().expect("bound")
    }

    /// The archive's end of WAL on timeline 1.
    pub fn wal_end(&self) -> WalEnd {
        let end = self.wal().end_of_path(&TimelineHistory::first());
        end.unwrap().expect("there is WAL")
    }

    pub fn wal_path(&self) -> PathBuf {
        self.repository().wal_path()
    }

    /// The file names in the archive, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.wal_path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Waits until every complete segment is sealed.
    pub fn wait_sealed(&self) {
        wait_until("all segments are sealed", 60, || self.state().unsealed == 0);
    }

    /// Compares the received part of every segment with the server's file. Returns how many were
    /// compared. The receiver must be stopped.
    pub fn compare(&self, cluster: &Cluster) -> usize {
        self.compare_from(cluster, Timeline::FIRST)
    }

    /// As [`Receiver::compare`], of the segments of `oldest` and later timelines.
    pub fn compare_from(&self, cluster: &Cluster, oldest: Timeline) -> usize {
        let wal = self.wal();
        assert_eq!(wal.gaps(&[]).unwrap(), [], "{:?}", self.names());
        let size = wal.segment_size();
        let mut compared = 0;
        for file in wal.segments().unwrap() {
            let name = file.segment.name(size);
            if file.segment.timeline < oldest {
                continue;
            }
            let pg_wal = cluster.data().join("pg_wal");
            let Ok(theirs) = fs::read(pg_wal.join(&name)) else {
                continue;
            };
            let mut ours = Vec::new();
            let key = &self.context.daemon.key;
            let mut source = wal.open(&file.path(), file.suffixes, key).unwrap();
            source.read_to_end(&mut ours).unwrap();
            source.finish().unwrap();
            assert_eq!(ours.len() as u64, size.bytes(), "{name}");
            let length = if file.partial {
                ours.iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |n| n + 1)
            } else {
                ours.len()
            };
            assert!(ours[..length] == theirs[..length], "{name} differs");
            compared += 1;
        }
        compared
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("log of {}:\n{}", self.name, self.log().join("\n"));
        }
    }
}

fn sections(name: &str, (sockets, port): (&Path, u16), global: &str, section: &str) -> String {
    let compression = if global.contains("compression") {
        ""
    } else {
        "compression = none"
    };
    format!(
        "{compression}\n{global}\n[{name}]\nhost = {}\nport = {port}\nuser = {REPLICATION_USER}\n\
         wal_slot = pgmoneta\n{section}\n",
        sockets.display(),
    )
}

fn context(directory: &Path, sections: &str, base: Arc<BaseDirectory>) -> ServerContext {
    let main = directory.join("pgmoneta.conf");
    let at = directory.display();
    let text = format!(
        "[pgmoneta]\nhost = 127.0.0.1\nunix_socket_dir = {at}\nbase_dir = {at}/repo\n{sections}"
    );
    fs::write(&main, text).unwrap();
    let users = directory.join("pgmoneta_users.conf");
    let files = Files {
        main,
        users,
        admins: None,
    };
    let config = Config::load(&files).unwrap_or_else(|problems| panic!("{problems:?}"));
    let key = MasterKey::derive(&Secret::new(b"secret".to_vec()), &[1; 16]);
    let config_handle = ConfigHandle::new(config.config);
    let daemon = DaemonContext {
        config: config_handle.current(),
        config_handle,
        base,
        vault: Arc::new(Vault::default()),
        key: Arc::new(key),
        pool: Arc::new(Pool::new(2).unwrap()),
        pace: Arc::new(Pace::new(0)),
        disks: Arc::default(),
        stop: Stop::new().unwrap(),
    };
    daemon.servers().unwrap().remove(0)
}

/// Writes about `mib` MiB of WAL.
pub fn write_wal(cluster: &Cluster, mib: u32) {
    cluster.execute("CREATE TABLE IF NOT EXISTS filler (t text)");
    for _ in 0..mib {
        cluster.execute(
            "INSERT INTO filler SELECT string_agg(md5(random()::text), '') FROM generate_series(1, \
             32000) g, generate_series(1, 1) GROUP BY g % 16",
        );
    }
}

/// The position that the receiver has reported as flushed; `None` before its first report, or
/// without a receiver.
pub fn flush_lsn(cluster: &Cluster) -> Option<Lsn> {
    let sql = "SELECT flush_lsn FROM pg_stat_replication \
               WHERE application_name = 'pgmoneta' AND flush_lsn IS NOT NULL";
    let lsns: Vec<PgLsn> = cluster.query_values(sql);
    lsns.first().map(|lsn| Lsn((*lsn).into()))
}
