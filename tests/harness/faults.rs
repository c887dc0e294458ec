//! Fault injection: failing fsync, a full disk, a clock that jumps, a kill at a chosen call.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::cluster_builder::run;
use super::daemon_builder::DaemonBuilder;
use super::scratch::{Scratch, shared, write_owned};
use super::steps::Steps;
use super::user::user;

/// The switches for the faults of one daemon, described in `faults.c`. Linux only.
pub struct Faults {
    directory: PathBuf,
    below: PathBuf,
    /// Its file system calls.
    pub steps: Steps,
}

impl Faults {
    /// For files below `below`. All faults are off.
    pub fn new(scratch: &Scratch, below: &Path) -> Self {
        let directory = scratch.directory("faults");
        Self {
            steps: Steps::create(&directory),
            below: below.to_owned(),
            directory,
        }
    }

    /// Adds the faults to a daemon.
    pub fn daemon<'a>(&self, builder: DaemonBuilder<'a>) -> DaemonBuilder<'a> {
        self.environment()
            .into_iter()
            .fold(builder, |builder, (name, value)| builder.env(name, &value))
    }

    /// The environment variables for the process.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        [
            ("LD_PRELOAD", text(&library())),
            ("PGMONETA_FAULTS", text(&self.directory)),
            ("PGMONETA_FAULTS_BELOW", text(&self.below)),
        ]
    }

    /// Switches a fault on.
    pub fn on(&self, name: &str) {
        self.on_with(name, "");
    }

    /// Switches a fault on that needs a value.
    pub fn on_with(&self, name: &str, value: &str) {
        let _ = fs::remove_file(self.hit(name));
        write_owned(&self.directory.join(name), value);
    }

    /// Switches a fault off.
    pub fn off(&self, name: &str) {
        fs::remove_file(self.directory.join(name)).unwrap();
    }

    /// Whether the fault occurred since it was last switched on.
    pub fn happened(&self, name: &str) -> bool {
        self.times(name) > 0
    }

    /// How often the fault occurred since it was last switched on.
    pub fn times(&self, name: &str) -> u64 {
        fs::metadata(self.hit(name)).map_or(0, |file| file.len())
    }

    fn hit(&self, name: &str) -> PathBuf {
        self.directory.join(format!("hit-{name}"))
    }
}

/// The preload library, compiled once for a test run.
fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/faults.c");
            let library = shared().join("faults.so");
            let mut cc = Command::new("cc");
            cc.args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror"]);
            cc.args(["-U_FORTIFY_SOURCE", "-o"]); // fortified calls would bypass the library
            cc.arg(&library).arg(source).arg("-ldl");
            run(&mut cc);
            user().chown(&library);
            library
        })
        .clone()
}
