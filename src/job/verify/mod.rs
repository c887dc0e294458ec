//! Verifies a backup: reads and decodes every stored file, compares it with the manifest, and
//! checks that the WAL which the backup needs exists and is valid. Changes no backup, and continues
//! after an error to report all of them.

mod files;
mod proof;
mod reading;
mod report;
mod run;
mod wal;

pub(crate) use reading::PacedReading;
pub(crate) use report::{FileReport, Options, Outcome};
pub(crate) use run::{may_become_valid, run, run_paced};
