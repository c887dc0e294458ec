//! `verify`.

use crate::error::Result;
use crate::job;
use crate::job::context::ServerContext;
use crate::job::verify::{FileReport, Options};
use crate::protocol::{
    BadFile, Files, List, ServerMembers, VerifiedFile, VerifiedFiles, VerifyReply, VerifyRequest,
    WAL_ARCHIVE,
};

/// Verifies a backup.
pub(in crate::daemon) fn verify(
    context: &ServerContext,
    request: VerifyRequest,
) -> Result<VerifyReply> {
    if request.backup == WAL_ARCHIVE {
        return verify_wal(context, request.files);
    }
    let options = Options {
        backup: request.backup,
        all: request.files == Files::All,
    };
    let outcome = job::verify::run(context, &options)?;
    let version = job::catalogue::version(context)?;
    Ok(VerifyReply {
        server: ServerMembers::new(context.server.name.as_str(), version),
        backup: outcome.label.to_string(),
        files: files(&outcome.good, &outcome.failed),
        warnings: List(outcome.warnings),
    })
}

/// Verifies the WAL archive.
fn verify_wal(context: &ServerContext, listed: Files) -> Result<VerifyReply> {
    let options = job::scrub::Options {
        all: listed == Files::All,
    };
    let outcome = job::scrub::run(context, options)?;
    let version = job::catalogue::version(context)?;
    Ok(VerifyReply {
        server: ServerMembers::new(context.server.name.as_str(), version),
        backup: WAL_ARCHIVE.to_owned(),
        files: files(&outcome.good, &outcome.failed),
        warnings: List(outcome.warnings),
    })
}

fn files(good: &[FileReport], failed: &[FileReport]) -> VerifiedFiles {
    let failed = failed.iter().map(|file| BadFile {
        file: verified(file),
        calculated: file.found.clone(),
        reason: file.reason.clone(),
    });
    VerifiedFiles {
        all: good.iter().map(verified).collect(),
        failed: failed.collect(),
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
