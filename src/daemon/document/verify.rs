//! The document of `verify`.

use crate::config::Server;
use crate::job::verify::{FileReport, Outcome};
use crate::protocol::{Fields, Value};
use crate::unit::PgVersion;

/// The response to `verify`. As in the C program it is a success also with damaged files, which are
/// in `Failed`. Reason and Warnings are not in the C program; Directory is null, since verifying
/// writes no files.
pub(in crate::daemon) fn verify(
    server: &Server,
    version: Option<PgVersion>,
    outcome: &Outcome,
) -> Fields {
    let good: Vec<Value> = outcome
        .good
        .iter()
        .map(|file| report(file).into())
        .collect();
    let failed = outcome.failed.iter();
    let failed: Vec<Value> = failed
        .map(|file| {
            let fields = report(file)
                .with("Calculated", file.found.as_str())
                .with("Reason", file.reason.as_str());
            fields.into()
        })
        .collect();
    Fields::for_server(server.name.as_str(), version)
        .with("Backup", outcome.label.as_str())
        .with(
            "Files",
            Fields::new().with("All", good).with("Failed", failed),
        )
        .with("Warnings", outcome.warnings.clone())
}

fn report(file: &FileReport) -> Fields {
    Fields::new()
        .with("Directory", Value::Null)
        .with("FileName", file.path.as_str())
        .with("HashAlgorithm", file.algorithm.as_str())
        .with("Original", file.expected.as_str())
}
