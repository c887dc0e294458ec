//! `backup.sha512`: the digests of the stored files, as `sha512sum --binary` writes them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::layout::{C_BACKUP_SUMS, DATA_DIRECTORY, INFO, MANIFEST};
use super::super::line::read_line;
use super::super::manifest_line::is_relative_path;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::{BackupLabel, hex};
use crate::storage::open_file;

/// The digests by path relative to the directory of the backup.
pub type Sums = BTreeMap<PathBuf, [u8; 64]>;

/// PostgreSQL's manifest, in the data directory.
pub(super) const SERVER_MANIFEST: &str = "backup_manifest";

/// Reads the digests of all files of the backup in `directory`.
pub(super) fn read(directory: &Path) -> Result<Sums> {
    let mut sums = Sums::new();
    for_each(directory, |path, digest| {
        if sums
            .insert(path.clone(), digest)
            .is_some_and(|other| other != digest)
        {
            let message = format!("{} has two digests", path.display());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(true)
    })?;
    Ok(sums)
}

/// A file that a complete backup lists and this one does not: the C program writes the list last,
/// but says before that the backup is valid. `None` if the list is complete.
pub fn missing_entry(directory: &Path) -> Result<Option<PathBuf>> {
    let data = Path::new(DATA_DIRECTORY);
    let mut missing = vec![
        PathBuf::from(INFO),
        PathBuf::from(MANIFEST),
        data.join(SERVER_MANIFEST),
        data.join(BackupLabel::FILE_NAME),
    ];
    for_each(directory, |path, _| {
        missing.retain(|name| *name != path);
        Ok(!missing.is_empty())
    })?;
    Ok(missing.into_iter().next())
}

/// Calls `f` with each path and its digest, until it returns `false`.
fn for_each(directory: &Path, mut f: impl FnMut(PathBuf, [u8; 64]) -> Result<bool>) -> Result<()> {
    let path = directory.join(C_BACKUP_SUMS);
    let action = || format!("read {}", path.display());
    let mut input = BufReader::new(open_file(&path).with_context(action)?);
    let mut number = 0_u64;
    while let Some((path, digest)) = next(&mut input, &mut number).with_context(action)? {
        if !f(path, digest).with_context(action)? {
            break;
        }
    }
    Ok(())
}

fn next(input: &mut impl BufRead, number: &mut u64) -> Result<Option<(PathBuf, [u8; 64])>> {
    let Some(line) = read_line(input)? else {
        return Ok(None);
    };
    *number += 1;
    let parsed = line.strip_suffix(b"\n").and_then(parse_line);
    let parsed = parsed.ok_or_else(|| {
        let message = format!("line {number} is not a digest and the path of a file");
        Error::new(ErrorKind::Corrupt, message)
    })?;
    Ok(Some(parsed))
}

/// 128 digits, and a path in the directory of the backup after ` *./`. In an unfinished backup the
/// slash may be missing.
pub(super) fn parse_line(line: &[u8]) -> Option<(PathBuf, [u8; 64])> {
    let (digits, rest) = line.split_at_checked(128)?;
    let digest = hex::decode_array(std::str::from_utf8(digits).ok()?)?;
    let name = rest.strip_prefix(b" *.")?;
    let path = Path::new(OsStr::from_bytes(name.strip_prefix(b"/").unwrap_or(name)));
    is_relative_path(path).then(|| (path.to_owned(), digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_digest_and_a_path_below_the_backup() {
        let digits = "0a".repeat(64);
        let parse = |rest: &str| parse_line(format!("{digits}{rest}").as_bytes());
        let (path, digest) = parse(" *./data/base/5/1 2").unwrap();
        assert_eq!((path, digest), ("data/base/5/1 2".into(), [10; 64]));
        assert_eq!(parse(" *.backup.info").unwrap().0, Path::new(INFO));
        for wrong in [
            "",
            " ",
            " *./",
            "  ./a",
            " *./../x",
            " *.//etc/passwd",
            " *./a/../../b",
            "0 *./a",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(
            parse_line(format!("{} *./a", "x".repeat(128)).as_bytes()),
            None
        );
    }
}
