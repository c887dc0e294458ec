//! Verifies a backup: reads and decodes every stored file, compares it with the manifest, and
//! checks that the WAL which the backup needs exists and is valid. Writes nothing, and continues
//! after an error to report all of them.

mod files;
mod report;
mod run;
mod wal;

pub(crate) use report::{FileReport, Options, Outcome};
pub(crate) use run::run;
