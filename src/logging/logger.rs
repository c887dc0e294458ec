//! The logger behind the `log` macros.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::panic::Location;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Zoned;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::counters::{Counters, MessageCounts};
use super::file::LogFile;
use super::line::{Colour, Message, Severity, format_line, one_line};
use super::pattern::expand;
use super::settings::{LogKind, LogLevel, LogSettings};
use super::syslog::Syslog;
use crate::error::{Error, ErrorKind, Result};

/// The prefix of lines before the configuration is loaded.
const DEFAULT_PREFIX: &str = "%Y-%m-%d %H:%M:%S";

/// The first part of the target of records from this crate.
const CRATE_NAME: &str = env!("CARGO_CRATE_NAME");

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Installs the logger of the `log` macros. Fails when called again in the same process.
pub fn start(settings: &LogSettings) -> Result<()> {
    let logger = Logger::open(settings)?;
    let already_started = || Error::new(ErrorKind::Internal, "the log was started already");
    LOGGER.set(logger).map_err(|_| already_started())?;
    let logger = LOGGER.get().ok_or_else(already_started)?;
    log::set_logger(logger).map_err(|_| already_started())?;
    log::set_max_level(filter(settings.level));
    Ok(())
}

/// Fails if [`start`] could not open the log, without creating or changing a file.
pub fn check(settings: &LogSettings) -> Result<()> {
    match settings.kind {
        LogKind::Console => Ok(()),
        LogKind::File => LogFile::check(settings, &Zoned::now()),
        LogKind::Syslog => Syslog::connect(None).map(|_| ()),
    }
}

/// Reopens the log file, after it was renamed by log rotation; `false` if the log is not a file. If
/// that fails the old file stays open.
pub fn reopen() -> Result<bool> {
    match LOGGER.get() {
        Some(logger) => logger.reopen(),
        None => Ok(false),
    }
}

/// How many messages of each level were logged since the start.
pub fn counts() -> MessageCounts {
    LOGGER
        .get()
        .map(|logger| logger.counters.get())
        .unwrap_or_default()
}

/// Logs the error with which the daemon exits, whatever the level is; to standard error before the
/// log is started.
#[track_caller]
pub fn fatal(why: impl Display) {
    let text = one_line(&why.to_string());
    let location = Location::caller();
    let message = Message {
        severity: Severity::Fatal,
        file: location.file(),
        line: location.line(),
        text: &text,
    };
    match LOGGER.get() {
        Some(logger) => logger.write(&message),
        None => write_console(DEFAULT_PREFIX, &message, &Zoned::now()),
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Fatal => LevelFilter::Off,
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Trace => LevelFilter::Trace,
    }
}

/// The logger, shared by all threads.
struct Logger {
    filter: LevelFilter,
    prefix: String,
    output: Mutex<Output>,
    counters: Counters,
}

struct Output {
    destination: Destination,
    /// The number of messages that could not be written since the last successful write.
    lost: u64,
}

enum Destination {
    Console,
    File(Box<LogFile>),
    Syslog(Box<Syslog>),
}

impl Logger {
    fn open(settings: &LogSettings) -> Result<Logger> {
        let destination = match settings.kind {
            LogKind::Console => Destination::Console,
            LogKind::File => Destination::File(Box::new(LogFile::open(settings, &Zoned::now())?)),
            LogKind::Syslog => Destination::Syslog(Box::new(Syslog::connect(None)?)),
        };
        Ok(Logger {
            filter: filter(settings.level),
            prefix: settings.line_prefix.clone(),
            output: Mutex::new(Output {
                destination,
                lost: 0,
            }),
            counters: Counters::default(),
        })
    }

    /// The output stays usable if a thread panicked while it held the lock.
    fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reopen(&self) -> Result<bool> {
        match &mut self.output().destination {
            Destination::File(file) => file.reopen(&Zoned::now()).map(|()| true),
            Destination::Console | Destination::Syslog(_) => Ok(false),
        }
    }

    fn write(&self, message: &Message<'_>) {
        self.counters.add(message.severity);
        let now = Zoned::now();
        let mut output = self.output();
        let Err(failure) = self.send(&mut output.destination, message, &now) else {
            let lost = std::mem::take(&mut output.lost);
            if lost > 0 {
                let text = format!("{lost} messages before this one could not be logged");
                let message = warning(&text);
                if self.send(&mut output.destination, &message, &now).is_err() {
                    output.lost = lost;
                }
            }
            return;
        };
        // Reported once, not for every message; a failing log must not stop the daemon.
        if output.lost == 0 {
            write_console(&self.prefix, &warning(&one_line(failure.message())), &now);
            write_console(&self.prefix, message, &now);
        }
        output.lost = output.lost.saturating_add(1);
    }

    fn send(
        &self,
        destination: &mut Destination,
        message: &Message<'_>,
        now: &Zoned,
    ) -> Result<()> {
        match destination {
            Destination::Console => {
                write_console(&self.prefix, message, now);
                Ok(())
            }
            Destination::File(file) => {
                let prefix = expand(&self.prefix, now).unwrap_or_default();
                file.write(&format_line(&prefix, message, Colour::No))?;
                match file.rotate(now) {
                    Ok(()) => Ok(()),
                    Err(failure) => {
                        let text = one_line(failure.message());
                        file.write(&format_line(&prefix, &warning(&text), Colour::No))
                    }
                }
            }
            Destination::Syslog(syslog) => syslog.write(message, None),
        }
    }
}

fn warning(text: &str) -> Message<'_> {
    Message {
        severity: Severity::Level(Level::Warn),
        file: file!(),
        line: line!(),
        text,
    }
}

/// Writes to standard error. A failure is ignored: there is no other place to report it.
fn write_console(prefix: &str, message: &Message<'_>, now: &Zoned) {
    let prefix = expand(prefix, now).unwrap_or_default();
    let mut console = std::io::stderr().lock();
    let colour = if console.is_terminal() {
        Colour::Yes
    } else {
        Colour::No
    };
    let _ = console.write_all(format_line(&prefix, message, colour).as_bytes());
}

impl Log for Logger {
    /// Records of other crates are logged only up to level warn, except at level trace.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let own_crate = metadata.target().split("::").next() == Some(CRATE_NAME);
        metadata.level() <= self.filter
            && (own_crate || metadata.level() <= Level::Warn || self.filter == LevelFilter::Trace)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.write(&Message {
                severity: Severity::Level(record.level()),
                file: record.file().unwrap_or(record.target()),
                line: record.line().unwrap_or(0),
                text: &one_line(&record.args().to_string()),
            });
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::settings::LogMode;
    use super::*;
    use crate::unit::{ByteSize, Span};

    /// A temporary directory for log files.
    struct TempDir(PathBuf);

    impl TempDir {
        fn new() -> TempDir {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("pgmoneta-log-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            TempDir(path)
        }

        fn settings(&self, name: &str) -> LogSettings {
            LogSettings {
                kind: LogKind::File,
                level: LogLevel::Info,
                path: self.0.join(name),
                rotation_age: None,
                rotation_size: None,
                line_prefix: "%Y".into(),
                mode: LogMode::Append,
            }
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn log(logger: &Logger, target: &str, level: Level, text: &str) {
        logger.log(
            &Record::builder()
                .target(target)
                .level(level)
                .file(Some("src/job/wal/run.rs"))
                .line(Some(12))
                .args(format_args!("{text}"))
                .build(),
        );
    }

    fn texts(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let year = Zoned::now().year().to_string();
        text.lines()
            .map(|line| line.strip_prefix(&year).unwrap().to_owned())
            .collect()
    }

    #[test]
    fn messages_up_to_the_level_are_written_to_the_file() {
        let dir = TempDir::new();
        let settings = dir.settings("a-%Y.log");
        let path = dir.0.join(format!("a-{}.log", Zoned::now().year()));
        let logger = Logger::open(&settings).unwrap();
        log(&logger, "pgmoneta::job", Level::Info, "one\ntwo");
        log(&logger, "pgmoneta::job", Level::Debug, "not this");
        log(&logger, "rustls::client", Level::Info, "nor this");
        log(&logger, "rustls::client", Level::Warn, "but this");
        let expected = [" INFO  run.rs:12 one\\ntwo", " WARN  run.rs:12 but this"];
        assert_eq!(texts(&path), expected);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);

        let again = Logger::open(&settings).unwrap();
        log(&again, "pgmoneta", Level::Error, "more");
        assert_eq!(texts(&path).len(), 3);
        let create = LogSettings {
            mode: LogMode::Create,
            ..settings
        };
        log(
            &Logger::open(&create).unwrap(),
            "pgmoneta",
            Level::Error,
            "new",
        );
        assert_eq!(texts(&path), [" ERROR run.rs:12 new"]);
    }

    #[test]
    fn a_renamed_file_is_reopened() {
        let dir = TempDir::new();
        let logger = Logger::open(&dir.settings("a.log")).unwrap();
        log(&logger, "pgmoneta", Level::Info, "old");
        std::fs::rename(dir.0.join("a.log"), dir.0.join("b.log")).unwrap();
        log(&logger, "pgmoneta", Level::Info, "old");
        logger.reopen().unwrap();
        log(&logger, "pgmoneta", Level::Info, "new");
        assert_eq!(texts(&dir.0.join("b.log")).len(), 2);
        assert_eq!(texts(&dir.0.join("a.log")).len(), 1);
    }

    #[test]
    fn the_file_is_rotated_by_size_and_age() {
        let dir = TempDir::new();
        let rows = [(None, Some(ByteSize(1))), (Some(Span(0)), None)];
        for (age, size) in rows {
            let settings = LogSettings {
                rotation_age: age,
                rotation_size: size,
                ..dir.settings("%N.log")
            };
            let before = dir.0.read_dir().unwrap().count();
            let logger = Logger::open(&settings).unwrap();
            for _ in 0..3 {
                log(&logger, "pgmoneta", Level::Info, "x");
            }
            let after = dir.0.read_dir().unwrap().count();
            assert_eq!(after - before, 4, "a file each, and the next one");
        }
        let fixed = LogSettings {
            rotation_size: Some(ByteSize(1)),
            ..dir.settings("fixed.log")
        };
        let logger = Logger::open(&fixed).unwrap();
        for _ in 0..3 {
            log(&logger, "pgmoneta", Level::Info, "x");
        }
        assert_eq!(texts(&dir.0.join("fixed.log")).len(), 3);
    }

    #[test]
    fn lost_messages_are_counted_and_reported() {
        let dir = TempDir::new();
        let full = LogSettings {
            path: PathBuf::from("/dev/full"),
            ..dir.settings("")
        };
        let logger = Logger::open(&full).unwrap();
        log(&logger, "pgmoneta", Level::Info, "lost");
        log(&logger, "pgmoneta", Level::Info, "lost");
        assert_eq!(logger.output().lost, 2);
        let file = LogFile::open(&dir.settings("a.log"), &Zoned::now()).unwrap();
        logger.output().destination = Destination::File(Box::new(file));
        log(&logger, "pgmoneta", Level::Info, "back");
        let texts = texts(&dir.0.join("a.log"));
        assert!(texts[0].ends_with(" back") && texts[1].contains(" 2 messages before this one"));
        assert!(Logger::open(&dir.settings("no/such/dir")).is_err());
    }

    #[test]
    fn the_old_file_is_used_if_the_next_one_cannot_be_opened() {
        let dir = TempDir::new();
        let settings = LogSettings {
            rotation_size: Some(ByteSize(1)),
            ..dir.settings("d/%N.log")
        };
        std::fs::create_dir(dir.0.join("d")).unwrap();
        let logger = Logger::open(&settings).unwrap();
        std::fs::rename(dir.0.join("d"), dir.0.join("e")).unwrap();
        log(&logger, "pgmoneta", Level::Info, "one");
        log(&logger, "pgmoneta", Level::Info, "two");
        let mut files = dir.0.join("e").read_dir().unwrap();
        let texts = texts(&files.next().unwrap().unwrap().path());
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(texts[1].contains("open log file") && texts[2].ends_with("two"));
        assert_eq!(logger.output().lost, 0);
    }

    #[test]
    fn lines_of_many_threads_do_not_mix() {
        let dir = TempDir::new();
        let logger = Logger::open(&dir.settings("a.log")).unwrap();
        let text = "x".repeat(5000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        log(&logger, "pgmoneta", Level::Info, &text);
                    }
                });
            }
        });
        let expected = format!(" INFO  run.rs:12 {text}");
        let texts = texts(&dir.0.join("a.log"));
        assert_eq!(texts.len(), 200);
        assert!(texts.iter().all(|line| *line == expected));
    }
}
