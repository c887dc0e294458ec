//! The digest of `backup.info` in `backup.sha512` of a backup of the C program.
//!
//! Both files are replaced, one after the other: the new `backup.sha512` is complete under its
//! temporary name before `backup.info` is replaced. After a crash between, the next start finishes.

use std::io::{BufReader, Write};
use std::path::Path;

use super::backup_info::MAX_SIZE;
use super::layout::{C_BACKUP_SUMS, INFO};
use super::line::read_line;
use crate::crypto::sha512;
use crate::error::{Context, Result};
use crate::format::hex;
use crate::storage::{self, AtomicFile};

/// The names of `backup.info` in the file; the last one is a defect of the C program.
const NAMES: [&[u8]; 3] = [b"./backup.info", b"backup.info", b".backup.info"];

/// Calls `replace`, which replaces `backup.info` in the directory of a backup by `info`, and writes
/// its new digest. Without a digest of it, or without `backup.sha512`, the backup is incomplete:
/// then that file is not changed.
pub(super) fn replace_with(
    directory: &Path,
    info: &[u8],
    replace: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let path = directory.join(C_BACKUP_SUMS);
    let action = || format!("read {}", path.display());
    let input = match storage::open_file(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return replace(),
        opened => opened.with_context(action)?,
    };
    let mut input = BufReader::new(input);
    let mut output = AtomicFile::create(&path)?;
    let mut found = false;
    let mut buffer = std::io::BufWriter::new(&mut output);
    while let Some(line) = read_line(&mut input).with_context(action)? {
        if digest_of_info(&line).is_some() {
            found = true;
            let digest = hex::encode(&sha512(info));
            writeln!(buffer, "{digest} *./{INFO}").with_context(action)?;
        } else {
            buffer.write_all(&line).with_context(action)?;
        }
    }
    buffer.flush().with_context(action)?;
    drop(buffer);
    if !found {
        return replace();
    }
    output.sync()?;
    replace()?;
    output.commit()
}

/// Whether the digest of `backup.info` in the directory of a backup is that of the file, or there
/// is none.
pub(super) fn has_digest_of_info(directory: &Path) -> Result<bool> {
    let path = directory.join(C_BACKUP_SUMS);
    let action = || format!("read {}", path.display());
    let input = match storage::open_file(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        opened => opened.with_context(action)?,
    };
    let mut input = BufReader::new(input);
    while let Some(line) = read_line(&mut input).with_context(action)? {
        if let Some(digest) = digest_of_info(&line) {
            let action = || format!("read {}", directory.join(INFO).display());
            let info = storage::read_file(&directory.join(INFO), MAX_SIZE).with_context(action)?;
            return Ok(digest == hex::encode(&sha512(&info)).as_bytes());
        }
    }
    Ok(true)
}

/// Finishes or undoes a change that a crash interrupted; returns whether there was one. No other
/// change may run.
pub(super) fn finish(directory: &Path) -> Result<bool> {
    let path = directory.join(C_BACKUP_SUMS);
    let temporary = storage::temporary_path(&path);
    let input = match storage::open_file(&temporary) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        opened => opened.with_context(|| format!("read {}", temporary.display()))?,
    };
    let action = || format!("read {}", directory.join(INFO).display());
    let info = storage::read_file(&directory.join(INFO), MAX_SIZE).with_context(action)?;
    let expected = hex::encode(&sha512(&info));
    let mut input = BufReader::new(input);
    while let Ok(Some(line)) = read_line(&mut input) {
        // Before `backup.info` is replaced, the file is complete.
        if digest_of_info(&line) == Some(expected.as_bytes()) {
            storage::rename(&temporary, &path)?;
            return Ok(true);
        }
    }
    storage::remove_file(&temporary)?;
    Ok(true)
}

/// The hexadecimal digest, if the line is that of `backup.info`: digest, a blank, `*`, name.
fn digest_of_info(line: &[u8]) -> Option<&[u8]> {
    let (digest, name) = line.trim_ascii_end().split_at_checked(128)?;
    let name = name.strip_prefix(b" *")?;
    NAMES.contains(&name).then_some(digest)
}
