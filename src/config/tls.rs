//! The files that TLS needs.

use super::model::TlsFiles;
use super::problem::{Findings, wrong};
use super::section::Section;
use crate::storage::{Secrecy, check_secrecy};

/// The `tls_*_file` of a section; each must exist and be readable, and nobody else may read the key.
pub(super) fn check_tls_files(section: &Section<'_>, findings: &mut Findings) -> TlsFiles {
    let files = TlsFiles {
        certificate: section.path("tls_cert_file"),
        key: section.path("tls_key_file"),
        authority: section.path("tls_ca_file"),
    };
    let rows = [
        ("tls_cert_file", &files.certificate, Secrecy::Public),
        ("tls_key_file", &files.key, Secrecy::Handed),
        ("tls_ca_file", &files.authority, Secrecy::Public),
    ];
    for (key, path, secrecy) in rows {
        let Some(path) = path else { continue };
        let readable = || {
            let opened = std::fs::File::open(path);
            opened.map_err(|error| wrong(format!("{}: {error}", path.display())))
        };
        let result = check_secrecy(path, secrecy).and_then(|()| readable().map(|_| ()));
        if let Err(problem) = result {
            findings.add(section.line_of(key), key, problem);
        }
    }
    let pairs = [
        (
            "tls_cert_file",
            &files.certificate,
            "tls_key_file",
            &files.key,
        ),
        (
            "tls_key_file",
            &files.key,
            "tls_cert_file",
            &files.certificate,
        ),
    ];
    for (key, one, other_key, other) in pairs {
        if one.is_some() && other.is_none() {
            let text = format!("it is set, and {other_key} is not");
            findings.add(section.line_of(key), key, wrong(text));
        }
    }
    files
}
