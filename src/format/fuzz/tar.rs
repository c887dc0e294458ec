//! The archives of a base backup.

#![allow(clippy::unwrap_used)] // as in tests

use std::io::Read;
use std::path::Component;

use crate::error::Result;
use crate::format::tar::{Entries, Entry, EntryKind};
use crate::format::tar_writer::{Attributes, TarWriter};
use crate::unit::to_u64;

/// The bytes as an archive: what is read from it is read again from one with the same entries.
pub fn tar(input: &[u8]) {
    let mut entries = Vec::new();
    let complete = read(input, &mut entries);
    for (entry, content) in &entries {
        check(entry, content, input.len());
    }
    // A longer name or size takes more entries, which PostgreSQL does not send.
    let short = |(entry, _): &(Entry, Vec<u8>)| entry.path.as_os_str().len() < 99;
    if complete.is_err() || !entries.iter().all(short) {
        return;
    }
    let written = write(&entries).unwrap();
    let mut again = Vec::new();
    read(&written, &mut again).unwrap();
    assert_eq!(again, entries);
}

fn read(input: &[u8], all: &mut Vec<(Entry, Vec<u8>)>) -> Result<()> {
    let mut entries = Entries::new(input);
    while let Some(entry) = entries.next()? {
        let mut content = Vec::new();
        if let EntryKind::File(size) = entry.kind {
            entries.content().take(size).read_to_end(&mut content)?;
            if to_u64(content.len()) < size {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        }
        all.push((entry, content));
    }
    Ok(())
}

fn check(entry: &Entry, content: &[u8], limit: usize) {
    let mut parts = entry.path.components();
    assert!(
        parts.all(|part| matches!(part, Component::Normal(_))),
        "{entry:?}"
    );
    assert!(entry.mode <= 0o7777, "{entry:?}");
    assert!(content.len() <= limit, "{entry:?}");
}

fn write(entries: &[(Entry, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut writer = TarWriter::new(Vec::new());
    for (entry, content) in entries {
        let attributes = Attributes {
            mode: entry.mode,
            modified: entry.modified,
            owner: (0, 0),
        };
        match entry.kind {
            EntryKind::Directory => writer.directory(&entry.path, attributes)?,
            EntryKind::Link => writer.link(&entry.path, "x".as_ref(), attributes)?,
            EntryKind::File(size) => {
                writer.begin_file(&entry.path, size, attributes)?;
                writer.content(content)?;
                writer.end_file()?;
            }
        }
    }
    writer.finish()
}
