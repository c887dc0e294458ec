//! Collects the log lines of the receivers of this process.

use std::sync::{Mutex, MutexGuard, Once};

struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.level() <= log::Level::Debug
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            self.lines()
                .push(format!("{} {}", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}

impl Lines {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(|error| error.into_inner())
    }
}

/// Installs the logger.
pub fn collect() {
    static BEGIN: Once = Once::new();
    BEGIN.call_once(|| {
        log::set_logger(&LINES).expect("no other logger in the tests");
        log::set_max_level(log::LevelFilter::Debug);
    });
}

/// The log lines of a server above debug level.
pub fn lines_of(server: &str) -> Vec<String> {
    let all = with_debug(server).into_iter();
    all.filter(|line| !line.starts_with("DEBUG")).collect()
}

/// The log lines of a server, debug level included.
pub fn with_debug(server: &str) -> Vec<String> {
    let wanted = format!("server {server}: ");
    let lines = LINES.lines();
    let own = lines.iter().filter(|line| line.contains(&wanted));
    own.map(|line| line.replace(&wanted, "")).collect()
}
