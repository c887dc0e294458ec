//! Tests of the configuration: the files of each test are in a temporary directory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Config, Files, Loaded, Problem, Problems};

mod problems;
mod rows;
mod syntax;
mod values;

/// A temporary directory for the files of a test.
pub struct TempDir(pub PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pgmoneta-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        TempDir(path)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn load(&self, name: &str, text: impl AsRef<[u8]>) -> Result<Loaded, Problems> {
        load(&self.write(name, text))
    }

    /// The main section and a server, with more lines in each.
    pub fn text(&self, main: &str, server: &str) -> String {
        let dir = self.0.display();
        format!(
            "[pgmoneta]\nhost = *\nbase_dir = {dir}/backup\nunix_socket_dir = {dir}\n{main}\n\
             [primary]\nhost = localhost\nport = 5432\nuser = repl\nwal_slot = repl\n{server}\n"
        )
    }

    /// A configuration with more lines in `[pgmoneta]` and in the server.
    pub fn with(&self, main: &str, server: &str) -> Result<Loaded, Problems> {
        self.load("pgmoneta.conf", self.text(main, server))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub fn load(main: &Path) -> Result<Loaded, Problems> {
    Config::load(&Files {
        main: main.to_owned(),
        users: PathBuf::from("/etc/pgmoneta/pgmoneta_users.conf"),
        admins: None,
    })
}

/// The messages of the errors, without the path of the file.
pub fn messages(result: Result<Loaded, Problems>) -> Vec<String> {
    let problems = result.expect_err("no problem").0;
    let short = |problem: &Problem| {
        let text = problem.to_string();
        let file = problem.file.display().to_string();
        text.strip_prefix(&file).unwrap().to_owned()
    };
    problems.iter().map(short).collect()
}
