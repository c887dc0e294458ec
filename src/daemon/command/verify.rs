//! `verify`.

use crate::error::Result;
use crate::job;
use crate::job::context::ServerContext;
use crate::job::verify::{FileReport, Options};
use crate::protocol::{
    BadFile, Files, List, ServerMembers, VerifiedFile, VerifiedFiles, VerifyReply, VerifyRequest,
};

/// Verifies a backup.
pub(in crate::daemon) fn verify(
    context: &ServerContext,
    request: VerifyRequest,
) -> Result<VerifyReply> {
    let options = Options {
        backup: request.backup,
        all: request.files == Files::All,
    };
    let outcome = job::verify::run(context, &options)?;
    let version = job::catalogue::version(context)?;
    let failed = outcome.failed.iter().map(|file| BadFile {
        file: verified(file),
        calculated: file.found.clone(),
        reason: file.reason.clone(),
    });
    Ok(VerifyReply {
        server: ServerMembers::new(context.server.name.as_str(), version),
        backup: outcome.label.to_string(),
        files: VerifiedFiles {
            all: outcome.good.iter().map(verified).collect(),
            failed: failed.collect(),
        },
        warnings: List(outcome.warnings),
    })
}

fn verified(file: &FileReport) -> VerifiedFile {
    VerifiedFile {
        directory: None,
        file_name: file.path.clone(),
        hash_algorithm: file.algorithm.clone(),
        original: file.expected.clone(),
    }
}
