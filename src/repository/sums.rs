//! `backup.sha256`: the digests of all stored files, for `sha256sum --check`.

use std::ffi::OsStr;
use std::io::BufRead;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::line::read_line;
use crate::error::{Error, ErrorKind, Result};
use crate::format::hex;

/// A line for a file: digest, two blanks, name. As GNU coreutils do, a line with a backslash or a
/// line break in its name begins with a backslash, and the name is escaped.
pub(super) fn format_line(sha256: &[u8; 32], path: &Path) -> Vec<u8> {
    let name = path.as_os_str().as_bytes();
    let mut line = Vec::with_capacity(name.len() + 68);
    if name.iter().any(|byte| b"\\\n\r".contains(byte)) {
        line.push(b'\\');
    }
    line.extend_from_slice(hex::encode(sha256).as_bytes());
    line.extend_from_slice(b"  ");
    for &byte in name {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            _ => line.push(byte),
        }
    }
    line.push(b'\n');
    line
}

/// Parses a line without its newline.
fn parse_line(line: &[u8]) -> Option<([u8; 32], PathBuf)> {
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (digits, rest) = line.split_at_checked(64)?;
    let digest = hex::decode_array(std::str::from_utf8(digits).ok()?)?;
    let name = rest.strip_prefix(b"  ").filter(|name| !name.is_empty())?;
    if !escaped {
        return Some((digest, PathBuf::from(OsStr::from_bytes(name))));
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            _ => byte,
        });
    }
    Some((digest, std::ffi::OsString::from_vec(plain).into()))
}

/// Finds the digest of one file; a malformed line is an error.
pub(super) fn find(mut lines: impl BufRead, path: &Path) -> Result<[u8; 32]> {
    let mut found = None;
    while let Some((name, digest)) = next(&mut lines)? {
        if name == path {
            found = Some(digest);
        }
    }
    found.ok_or_else(|| corrupt(format!("it does not list {}", path.display())))
}

/// Parses all lines: names and digests, in the order of the file.
pub(super) fn parse_all(mut lines: impl BufRead) -> Result<Vec<(PathBuf, [u8; 32])>> {
    let mut all = Vec::new();
    while let Some(line) = next(&mut lines)? {
        all.push(line);
    }
    Ok(all)
}

/// Reads the next line: name and digest.
fn next(lines: &mut impl BufRead) -> Result<Option<(PathBuf, [u8; 32])>> {
    let Some(line) = read_line(lines)? else {
        return Ok(None);
    };
    let parsed = parse_line(line.strip_suffix(b"\n").unwrap_or(&line));
    let (digest, name) =
        parsed.ok_or_else(|| corrupt("a line is not a digest and a name".to_owned()))?;
    Ok(Some((name, digest)))
}

fn corrupt(what: String) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_coreutils_do() {
        for name in [
            &b"data/base/1/1"[..],
            b"a\\b",
            b"a\nb\rc",
            b"\xff\xfe",
            b" x ",
        ] {
            let path = PathBuf::from(OsStr::from_bytes(name));
            let line = format_line(&[0xab; 32], &path);
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let parsed = parse_line(line.strip_suffix(b"\n").unwrap());
            assert_eq!(parsed, Some(([0xab; 32], path)));
        }
    }

    #[test]
    fn malformed_lines_are_rejected() {
        let digits = "0".repeat(64);
        for line in [
            String::new(),
            digits.clone(),
            format!("{digits}  "),
            format!("{digits} x"),
            format!("\\{digits}  a\\x"),
            format!("{}  x", "g".repeat(64)),
        ] {
            assert_eq!(parse_line(line.as_bytes()), None, "{line}");
        }
    }
}
