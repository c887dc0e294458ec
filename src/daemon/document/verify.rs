//! The documents of `verify`.

use crate::config::Server;
use crate::job::verify::{FileReport, Options, Outcome};
use crate::protocol::{
    BadFile, Files, List, ServerMembers, VerifiedFile, VerifiedFiles, VerifyReply, VerifyRequest,
};
use crate::unit::PgVersion;

/// The options of the job.
pub(in crate::daemon) fn verify_options(request: VerifyRequest) -> Options {
    Options {
        backup: request.backup,
        all: request.files == Files::All,
    }
}

/// The response to `verify`.
pub(in crate::daemon) fn verify(
    server: &Server,
    version: Option<PgVersion>,
    outcome: &Outcome,
) -> VerifyReply {
    let failed = outcome.failed.iter().map(|file| BadFile {
        file: verified(file),
        calculated: file.found.clone(),
        reason: file.reason.clone(),
    });
    VerifyReply {
        server: ServerMembers::new(server.name.as_str(), version),
        backup: outcome.label.to_string(),
        files: VerifiedFiles {
            all: outcome.good.iter().map(verified).collect(),
            failed: failed.collect(),
        },
        warnings: List(outcome.warnings.clone()),
    }
}

fn verified(file: &FileReport) -> VerifiedFile {
    VerifiedFile {
        directory: None,
        file_name: file.path.clone(),
        hash_algorithm: file.algorithm.clone(),
        original: file.expected.clone(),
    }
}
