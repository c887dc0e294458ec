//! Verify: reads every stored byte of a backup, decodes it, checks it against the manifest, and checks that the WAL
//! which the backup needs is there and valid. Writes nothing, and goes on after what is bad to name all of it.

mod files;
mod report;
mod run;
mod wal;

pub use report::{FileReport, Options, Outcome};
pub use run::run;
