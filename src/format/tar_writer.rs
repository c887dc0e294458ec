//! Writes a tar archive as a stream. Long names, large files and old times are written in the way
//! of GNU tar, which the other programs of that name read too.

use std::io::{self, Write};
use std::path::Path;

use ::tar::{Builder, EntryType, Header};

use crate::error::{Error, ErrorKind, Result};
use crate::unit::{first, to_u64, to_usize};

/// The size of a header; contents are padded to a multiple of it.
const BLOCK: usize = 512;

/// The longest name that fits into a header, bytes.
const MAX_SHORT_NAME: usize = 100;

/// The blocks of zeros at the end of an archive, bytes.
const END: u64 = 1024;

/// What an entry has beside its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Modification time, seconds since 1970 UTC.
    pub modified: i64,
    /// Numeric user and group ID.
    pub owner: (u32, u32),
}

/// Writes the entries of an archive to `W`. It is complete only after [`TarWriter::finish`].
#[must_use = "an archive without its end is truncated"]
pub struct TarWriter<W: Write> {
    builder: Builder<W>,
    /// The size of the open file, and how much of its content is missing; bytes.
    open: (u64, u64),
}

impl<W: Write> TarWriter<W> {
    /// An archive that begins with the next byte of `output`.
    pub fn new(output: W) -> TarWriter<W> {
        TarWriter {
            builder: Builder::new(output),
            open: (0, 0),
        }
    }

    /// Adds a directory.
    pub fn directory(&mut self, path: &Path, attributes: Attributes) -> Result<()> {
        self.header(path, EntryType::Directory, 0, attributes)
    }

    /// Adds a symbolic link with the target `text`.
    pub fn link(&mut self, path: &Path, text: &Path, attributes: Attributes) -> Result<()> {
        let mut header = header(EntryType::Symlink, 0, attributes);
        self.builder.append_link(&mut header, path, text)?;
        Ok(())
    }

    /// Begins a file; its content follows by [`TarWriter::content`].
    pub fn begin_file(&mut self, path: &Path, size: u64, attributes: Attributes) -> Result<()> {
        self.header(path, EntryType::Regular, size, attributes)?;
        self.open = (size, size);
        Ok(())
    }

    /// Adds content to the file that was begun last. More than its size is an error.
    pub fn content(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(left) = self.open.1.checked_sub(to_u64(bytes.len())) else {
            return Err(wrong_size("more", self.open.0));
        };
        self.builder.get_mut().write_all(bytes)?;
        self.open.1 = left;
        Ok(())
    }

    /// Fills the file that was begun last up to its size with zeros.
    pub fn zeros(&mut self) -> Result<()> {
        let zeros = [0; BLOCK * 64];
        while self.open.1 > 0 {
            let count = to_usize(self.open.1).min(zeros.len());
            self.content(first(&zeros, count))?;
        }
        Ok(())
    }

    /// Ends the file that was begun last. Missing content is an error: what follows would be taken
    /// for its rest.
    pub fn end_file(&mut self) -> Result<()> {
        let (size, missing) = self.open;
        if missing > 0 {
            return Err(wrong_size("fewer", size));
        }
        let padding = to_usize(padded(size) - size);
        self.builder
            .get_mut()
            .write_all(first(&[0; BLOCK], padding))?;
        Ok(())
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<W> {
        Ok(self.builder.into_inner()?)
    }

    fn header(
        &mut self,
        path: &Path,
        kind: EntryType,
        size: u64,
        attributes: Attributes,
    ) -> Result<()> {
        let mut header = header(kind, size, attributes);
        // The content is not passed here, so that its size can be checked before the padding.
        self.builder.append_data(&mut header, path, io::empty())?;
        Ok(())
    }
}

/// The size of the archive with these entries, bytes: paths, and sizes of files. Targets of links
/// are counted as short ones.
pub fn archive_size<'p>(entries: impl Iterator<Item = (&'p Path, u64)>) -> u64 {
    entries
        .map(|(path, size)| {
            let length = path.as_os_str().len();
            let name = if length >= MAX_SHORT_NAME {
                to_u64(BLOCK).saturating_add(padded(to_u64(length) + 1))
            } else {
                0
            };
            padded(size).saturating_add(to_u64(BLOCK) + name)
        })
        .fold(END, u64::saturating_add)
}

fn header(kind: EntryType, size: u64, attributes: Attributes) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(attributes.mode & 0o7777);
    header.set_uid(attributes.owner.0.into());
    header.set_gid(attributes.owner.1.into());
    match u64::try_from(attributes.modified) {
        Ok(modified) => header.set_mtime(modified),
        Err(_) => {
            // Binary with the sign in all bytes, as GNU tar writes times before 1970.
            let mut field = [0xff; 12];
            let number = attributes.modified.to_be_bytes();
            let last = field.iter_mut().rev().zip(number.iter().rev());
            last.for_each(|(to, from)| *to = *from);
            header.as_old_mut().mtime = field;
        }
    }
    header
}

/// A size with its padding.
fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(to_u64(BLOCK))
        .unwrap_or(u64::MAX)
}

fn wrong_size(what: &str, size: u64) -> Error {
    let message = format!("its content has {what} than the {size} bytes of its entry");
    Error::new(ErrorKind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;
    use std::process::Command;

    const PRIVATE: Attributes = Attributes {
        mode: 0o600,
        modified: 1_795_000_000,
        owner: (4_000_000_000, 26),
    };

    /// An empty directory of its own for a test.
    fn scratch(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("pgmoneta-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        root
    }

    fn extract(root: &Path, archive: &[u8]) {
        std::fs::write(root.join("a.tar"), archive).unwrap();
        let mut tar = Command::new("tar");
        tar.args(["-xf", "a.tar", "--no-same-owner"]);
        let output = tar.current_dir(root).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    #[test]
    fn tar_extracts_long_and_strange_names_and_old_times() {
        let long = "x".repeat(90);
        let deep = PathBuf::from(format!("d/{long}/{long}"));
        let names = [
            PathBuf::from("d/short"),
            deep.join(&long),
            PathBuf::from("d/new\nline 'quote' \\ back"),
            PathBuf::from(OsStr::from_bytes(b"d/not \xff utf-8")),
            PathBuf::from("d/-rf"),
        ];
        let mut writer = TarWriter::new(Vec::new());
        let old = Attributes {
            modified: -315_619_200,
            ..PRIVATE
        };
        let mut entries = Vec::new();
        for path in [Path::new("d"), deep.parent().unwrap(), &deep] {
            let mode = 0o750;
            writer
                .directory(path, Attributes { mode, ..PRIVATE })
                .unwrap();
            entries.push((path, 0));
        }
        for (number, name) in names.iter().enumerate() {
            let size = to_u64(number * 513);
            writer.begin_file(name, size, old).unwrap();
            for _ in 0..number {
                writer.content(&[b'a'; 513]).unwrap();
            }
            writer.end_file().unwrap();
            entries.push((name, size));
        }
        let bytes = writer.finish().unwrap();
        assert_eq!(archive_size(entries.into_iter()), to_u64(bytes.len()));
        let root = scratch("tar");
        extract(&root, &bytes);
        for (number, name) in names.iter().enumerate() {
            let found = root.join(name).metadata().unwrap();
            assert_eq!(found.len(), to_u64(number * 513), "{name:?}");
            let attributes = (found.mtime(), found.mode() & 0o7777);
            assert_eq!(attributes, (old.modified, 0o600));
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn tar_extracts_links_and_files_that_are_filled_with_zeros() {
        let mut writer = TarWriter::new(Vec::new());
        writer
            .begin_file(Path::new("wal"), 40_000, PRIVATE)
            .unwrap();
        writer.content(b"begin").unwrap();
        writer.zeros().unwrap();
        writer.end_file().unwrap();
        let target = Path::new("../..").join("x".repeat(200));
        writer.link(Path::new("link"), &target, PRIVATE).unwrap();
        let root = scratch("links");
        extract(&root, &writer.finish().unwrap());
        let wal = std::fs::read(root.join("wal")).unwrap();
        assert_eq!((wal.len(), &wal[..6]), (40_000, &b"begin\0"[..]));
        assert_eq!(std::fs::read_link(root.join("link")).unwrap(), target);
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn tar_lists_a_file_of_more_than_eight_gigabytes() {
        // The content is left out: only the header is of interest.
        let mut writer = TarWriter::new(Vec::new());
        writer
            .begin_file(Path::new("big"), 9 << 30, PRIVATE)
            .unwrap();
        let block = writer.finish().unwrap();
        let header = Header::from_byte_slice(&block[..BLOCK]);
        assert_eq!(header.entry_size().unwrap(), 9 << 30);
        assert_eq!(header.uid().unwrap(), 4_000_000_000);
        let root = std::env::temp_dir().join(format!("pgmoneta-big-{}", std::process::id()));
        std::fs::write(&root, &block[..BLOCK]).unwrap();
        let listed = Command::new("tar").arg("-tvf").arg(&root).output().unwrap();
        std::fs::remove_file(&root).unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        assert!(
            text.contains(" 9663676416 ") && text.contains("4000000000/26"),
            "{text}"
        );
    }

    #[test]
    fn a_file_of_another_size_than_its_entry_is_an_error() {
        let mut writer = TarWriter::new(Vec::new());
        writer.begin_file(Path::new("f"), 10, PRIVATE).unwrap();
        assert!(writer.content(&[0; 11]).is_err());
        writer.content(&[0; 9]).unwrap();
        assert!(writer.end_file().is_err());
        writer.content(&[0; 1]).unwrap();
        writer.end_file().unwrap();
        assert!(writer.content(&[0; 1]).is_err());
    }
}
