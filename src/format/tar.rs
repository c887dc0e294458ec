//! The archives of a base backup: tar streams (POSIX.1-1988 `ustar`, as PostgreSQL's `basebackup.c`
//! writes them).
//!
//! Only what PostgreSQL sends is accepted: directories, regular files, and the links to
//! tablespaces. Anything else is an error that names the entry, so that a backup never lacks a file
//! silently.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use ::tar::{EntryType, Header};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::unit::{first_mut, read_full, to_u64, to_usize};

/// The size of a header; contents are padded to a multiple of it.
const BLOCK: usize = 512;

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path, relative and without `..`.
    pub path: PathBuf,
    /// Directory, file or link.
    pub kind: EntryKind,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Modification time, seconds since 1970 UTC.
    pub modified: i64,
}

/// The type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file, and its size in bytes.
    File(u64),
    /// A link to a tablespace.
    Link,
}

/// Reads an archive, entry by entry.
pub struct Entries<R: Read> {
    input: R,
    /// Bytes of padding after the last content.
    padding: usize,
    ended: bool,
}

impl<R: Read> Entries<R> {
    /// The entries of the archive that `input` has from its start on.
    pub fn new(input: R) -> Entries<R> {
        Entries {
            input,
            padding: 0,
            ended: false,
        }
    }

    /// The next entry; the content of a file must be read from [`Entries::content`] in full before
    /// the next call. The archive ends with its stream (PostgreSQL 13 and 14) or with blocks of
    /// zeros.
    pub fn next(&mut self) -> Result<Option<Entry>> {
        if self.ended {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        let padding = first_mut(&mut block, self.padding);
        if read_block(&mut self.input, padding)? < self.padding {
            return Err(invalid("the archive ends within the padding of a file"));
        }
        let count = read_block(&mut self.input, &mut block)?;
        if count == 0 || (count == BLOCK && block == [0; BLOCK]) {
            self.ended = true;
            self.expect_zeros()?;
            return Ok(None);
        }
        if count < BLOCK {
            return Err(invalid("the archive ends within a header"));
        }
        let entry = parse(&block)?;
        self.padding = match entry.kind {
            EntryKind::File(size) => {
                let over = to_usize(size % to_u64(BLOCK));
                (BLOCK - over) % BLOCK
            }
            EntryKind::Directory | EntryKind::Link => 0,
        };
        Ok(Some(entry))
    }

    /// The reader for the content of the file that [`Entries::next`] returned.
    pub fn content(&mut self) -> &mut R {
        &mut self.input
    }

    /// Reads the trailing zero blocks, so that the next archive can begin.
    fn expect_zeros(&mut self) -> Result<()> {
        let mut block = [0; BLOCK];
        loop {
            let count = read_block(&mut self.input, &mut block)?;
            if count == 0 {
                return Ok(());
            }
            if block.iter().take(count).any(|byte| *byte != 0) {
                return Err(invalid("there is data after the end of an archive"));
            }
        }
    }
}

/// Fills `block`, or reads up to the end of the stream.
fn read_block(input: &mut impl Read, block: &mut [u8]) -> Result<usize> {
    let read = read_full(input, block).context("read the base backup")?;
    Ok(read.len())
}

fn parse(block: &[u8; BLOCK]) -> Result<Entry> {
    let header = Header::from_byte_slice(block);
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            // The checksum field itself counts as blanks.
            u32::from(if (148..156).contains(&at) {
                b' '
            } else {
                *byte
            })
        })
        .sum();
    if header.cksum().ok() != Some(sum) {
        return Err(invalid("a header of the archive is damaged"));
    }
    let name = header.path_bytes();
    let bad = |problem: &dyn std::fmt::Display| {
        let name: String = String::from_utf8_lossy(&name).chars().take(300).collect();
        invalid(&format!("the entry {name:?} {problem}"))
    };
    let size = header.entry_size().map_err(|error| bad(&error))?;
    let kind = match header.entry_type() {
        EntryType::Directory => EntryKind::Directory,
        EntryType::Regular => EntryKind::File(size),
        EntryType::Symlink => EntryKind::Link,
        EntryType::Link => return Err(bad(&"is a hard link")),
        EntryType::GNUSparse => return Err(bad(&"is a sparse file")),
        EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader => {
            return Err(bad(
                &"is an extended header, which PostgreSQL does not write",
            ));
        }
        _ => return Err(bad(&"is of an unknown type")),
    };
    if size != 0 && !matches!(kind, EntryKind::File(_)) {
        return Err(bad(&"has content, but is not a file"));
    }
    let path = relative(&name).ok_or_else(|| bad(&"has an invalid path"))?;
    let mode = header.mode().map_err(|error| bad(&error))?;
    let modified = modified(header).ok_or_else(|| bad(&"has an invalid time"))?;
    Ok(Entry {
        path,
        kind,
        mode: mode & 0o7777,
        modified,
    })
}

/// When a file was modified, seconds since 1970 UTC. A time that does not fit into octal digits,
/// before 1970 or after 2242, is binary: after a first byte of 0x80 the bytes of the number as an
/// unsigned one, in the last eight (`print_tar_number`, PostgreSQL tar.c, 13 to 18), so that a
/// negative one has zeros before them. GNU tar fills up with the sign.
fn modified(header: &Header) -> Option<i64> {
    let field = &header.as_old().mtime;
    let (fill, number) = field.split_last_chunk::<8>()?;
    match fill {
        [0x80, 0, 0, 0] | [0xff, 0xff, 0xff, 0xff] => Some(i64::from_be_bytes(*number)),
        [first, ..] if first & 0x80 != 0 => None,
        _ => i64::try_from(header.mtime().ok()?).ok(),
    }
}

/// The path, if relative, without `..` and not empty.
fn relative(name: &[u8]) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!path.as_os_str().is_empty() && !name.contains(&0)).then_some(path)
}

fn invalid(problem: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the base backup that the server sent: {problem}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o100_600);
        header.set_mtime(1_795_000_000);
        header.set_cksum();
        header
    }

    fn archive(entries: &[(&[u8], EntryType, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, kind, content) in entries {
            bytes.extend_from_slice(header(name, *kind, content.len() as u64).as_bytes());
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
        let mut entries = Entries::new(bytes);
        let mut all = Vec::new();
        while let Some(entry) = entries.next()? {
            let mut content = Vec::new();
            if let EntryKind::File(size) = entry.kind {
                entries.content().take(size).read_to_end(&mut content)?;
            }
            all.push((entry, content));
        }
        Ok(all)
    }

    const GOOD: [(&[u8], EntryType, &[u8]); 4] = [
        (b"base/", EntryType::Directory, b""),
        (b"base/1", EntryType::Regular, &[7; 1000]),
        (b"./base/\xff", EntryType::Regular, &[8; 512]),
        (b"pg_tblspc/16400", EntryType::Symlink, b""),
    ];

    #[test]
    fn an_archive_ends_with_its_stream_or_with_zeros() {
        let mut bytes = archive(&GOOD);
        let plain = read(&bytes).unwrap();
        bytes.extend_from_slice(&[0; 1024]);
        assert_eq!(read(&bytes).unwrap(), plain);
        let paths: Vec<&[u8]> = plain
            .iter()
            .map(|(entry, _)| entry.path.as_os_str().as_bytes())
            .collect();
        assert_eq!(
            paths,
            [&b"base"[..], b"base/1", b"base/\xff", b"pg_tblspc/16400"]
        );
        let (entry, content) = &plain[1];
        assert_eq!(
            (entry.kind, entry.mode, entry.modified),
            (EntryKind::File(1000), 0o600, 1_795_000_000)
        );
        assert_eq!(content, &[7; 1000]);
        assert_eq!(plain[2].1, [8; 512]);
    }

    #[test]
    fn a_truncated_archive_is_an_error() {
        let bytes = archive(&GOOD[..2]);
        for length in [1, 511, 513, 1023, 1024 + 1000, bytes.len() - 1] {
            let result = read(&bytes[..length]);
            // The reader of the content detects a short content.
            assert!(
                result.is_err() || result.unwrap()[1].1.len() < 1000,
                "{length}"
            );
        }
        let mut more = bytes;
        more.extend_from_slice(&[0; 1024]);
        more.push(1);
        assert!(read(&more).is_err());
    }

    #[test]
    fn entries_that_postgresql_does_not_send_are_errors_that_name_them() {
        let sized = |name: &[u8], kind, size| {
            let mut bytes = header(name, kind, size).as_bytes().to_vec();
            bytes.resize(2048, 0);
            bytes
        };
        for (bytes, word) in [
            (
                archive(&[(b"/etc/passwd", EntryType::Regular, b"x")]),
                "/etc/passwd",
            ),
            (
                archive(&[(b"base/../../x", EntryType::Regular, b"x")]),
                "base/../../x",
            ),
            (archive(&[(b"..", EntryType::Directory, b"")]), "\"..\""),
            (archive(&[(b"", EntryType::Regular, b"x")]), "path"),
            (archive(&[(b"./", EntryType::Directory, b"")]), "path"),
            (archive(&[(b"hard", EntryType::Link, b"")]), "hard"),
            (archive(&[(b"pipe", EntryType::Fifo, b"")]), "pipe"),
            (archive(&[(b"dev", EntryType::Char, b"")]), "dev"),
            (archive(&[(b"long", EntryType::GNULongName, b"x")]), "long"),
            (archive(&[(b"pax", EntryType::XHeader, b"x")]), "pax"),
            (archive(&[(b"pax", EntryType::XGlobalHeader, b"x")]), "pax"),
            (archive(&[(b"dir", EntryType::Directory, b"x")]), "dir"),
            (sized(b"huge", EntryType::GNUSparse, 1 << 60), "huge"),
        ] {
            let failure = read(&bytes).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Corrupt);
            assert!(failure.message().contains(word), "{failure}");
        }
        let mut damaged = archive(&GOOD);
        damaged[3] ^= 1;
        assert!(read(&damaged).is_err());
    }

    #[test]
    fn times_before_1970_and_after_2242_are_read() {
        let mut header = header(b"old", EntryType::Regular, 0);
        let mut read = |field: [u8; 12]| {
            header.as_old_mut().mtime = field;
            header.set_cksum();
            parse(header.as_bytes()).map(|entry| entry.modified)
        };
        let binary = |fill: [u8; 4], time: i64| {
            let mut field = [0; 12];
            field[..4].copy_from_slice(&fill);
            field[4..].copy_from_slice(&time.to_be_bytes());
            field
        };
        let (unsigned, signed) = ([0x80, 0, 0, 0], [0xff; 4]);
        for time in [
            -1,
            -315_619_200,
            i64::MIN,
            1 << 33,
            16_725_225_600,
            i64::MAX,
        ] {
            assert_eq!(read(binary(unsigned, time)).unwrap(), time);
        }
        assert_eq!(read(binary(signed, -315_619_200)).unwrap(), -315_619_200);
        assert_eq!(read(*b"15276726300\0").unwrap(), 0o15_276_726_300);
        assert!(read(binary([0x80, 0, 0, 1], 0)).is_err());
        assert!(read(*b"1527672630x\0").is_err());
    }

    #[test]
    fn sizes_from_eight_gigabytes_up_are_read() {
        let bytes = header(b"big", EntryType::Regular, 9 << 30);
        let entry = parse(bytes.as_bytes()).unwrap();
        assert_eq!(entry.kind, EntryKind::File(9 << 30));
        let mut bad = bytes;
        bad.as_old_mut().size = *b"77777777777x";
        bad.set_cksum();
        assert!(parse(bad.as_bytes()).is_err());
    }
}
