//! Checks of the files for TLS.

use super::model::TlsFiles;
use super::problem::{Diagnostics, invalid};
use super::section::Section;
use crate::storage::{Access, check_access};

/// The `tls_*_file` of a section; each must be readable, and the key not by others.
pub(super) fn check_tls_files(section: &Section<'_>, diagnostics: &mut Diagnostics) -> TlsFiles {
    let files = TlsFiles {
        certificate: section.path("tls_cert_file"),
        key: section.path("tls_key_file"),
        authority: section.path("tls_ca_file"),
    };
    let rows = [
        ("tls_cert_file", &files.certificate, Access::Public),
        ("tls_key_file", &files.key, Access::SharedWithGroup),
        ("tls_ca_file", &files.authority, Access::Public),
    ];
    for (key, path, secrecy) in rows {
        let Some(path) = path else { continue };
        let readable = || {
            let opened = std::fs::File::open(path);
            opened.map_err(|error| invalid(format!("{}: {error}", path.display())))
        };
        let result = check_access(path, secrecy).and_then(|()| readable().map(|_| ()));
        if let Err(problem) = result {
            diagnostics.add(section.line_of(key), key, problem);
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
            diagnostics.add(section.line_of(key), key, invalid(text));
        }
    }
    files
}
