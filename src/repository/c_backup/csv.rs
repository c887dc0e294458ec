//! `backup.manifest` of the C program: the path of each file and the digest of its plain bytes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::BufReader;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::layout::MANIFEST;
use super::super::line::read_line;
use super::super::manifest_line::is_relative_path;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage::open_file;

/// Reads the list in the directory of a backup: hexadecimal digits by path. The C program does not
/// quote: what follows the last comma of a line is the digest.
pub(super) fn read(directory: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let path = directory.join(MANIFEST);
    let action = || format!("read {}", path.display());
    let mut input = BufReader::new(open_file(&path).with_context(action)?);
    let mut files = BTreeMap::new();
    let mut number = 0_u64;
    while let Some(line) = read_line(&mut input).with_context(action)? {
        number += 1;
        let row = line.strip_suffix(b"\n").and_then(parse_row);
        let (path, digits) = row.ok_or_else(|| invalid(number)).with_context(action)?;
        files.insert(path, digits);
    }
    Ok(files)
}

fn invalid(number: u64) -> Error {
    let message = format!("line {number} is not the path of a file and a digest");
    Error::new(ErrorKind::Corrupt, message)
}

pub(super) fn parse_row(line: &[u8]) -> Option<(PathBuf, String)> {
    let comma = line.iter().rposition(|byte| *byte == b',')?;
    let (path, digits) = line.split_at_checked(comma)?;
    let digits = std::str::from_utf8(digits.get(1..)?).ok()?;
    let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let path = Path::new(OsStr::from_bytes(path));
    (is_hex && is_relative_path(path)).then(|| (path.to_owned(), digits.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_path_and_a_digest() {
        let row = |text: &str| parse_row(text.as_bytes());
        assert_eq!(row("a,b/c,0f"), Some(("a,b/c".into(), "0f".to_owned())));
        for wrong in ["", "a", "a,", ",0f", "../a,0f", "/a,0f", "a,0g"] {
            assert_eq!(row(wrong), None, "{wrong}");
        }
    }
}
