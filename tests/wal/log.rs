//! What the receivers of this process log.

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

/// Collects from here on.
pub fn collect() {
    static BEGIN: Once = Once::new();
    BEGIN.call_once(|| {
        log::set_logger(&LINES).expect("no other logger in the tests");
        log::set_max_level(log::LevelFilter::Debug);
    });
}

/// What was logged of a server for people.
pub fn of(server: &str) -> Vec<String> {
    let all = with_details(server).into_iter();
    all.filter(|line| !line.starts_with("DEBUG")).collect()
}

/// What was logged of a server, details too.
pub fn with_details(server: &str) -> Vec<String> {
    let wanted = format!("server {server}: ");
    let lines = LINES.lines();
    let mine = lines.iter().filter(|line| line.contains(&wanted));
    mine.map(|line| line.replace(&wanted, "")).collect()
}
