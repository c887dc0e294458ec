//! `repository.info`: marks a directory as a repository and lists its servers.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::layout::REPOSITORY_INFO;
use crate::crypto;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage;
use crate::unit::ServerName;

/// Limit for the file, bytes: it has a line for each server.
const MAX_SIZE: u64 = 4 << 20;

/// The marker of a repository, as `KEY=value` lines in `<base_dir>/repository.info`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryInfo {
    /// A random ID, 32 hexadecimal digits, so that an operator can tell two disks apart.
    id: String,
    /// The servers whose directories were created or opened, `SERVER=name` each.
    servers: BTreeSet<String>,
    /// Lines of a later version, which are preserved.
    unknown_lines: Vec<String>,
}

impl RepositoryInfo {
    /// The name of the file.
    pub const NAME: &str = REPOSITORY_INFO;

    /// The marker of a new repository, with a new ID.
    pub fn new() -> Result<RepositoryInfo> {
        let mut bytes = [0; 16];
        crypto::fill_random(&mut bytes)?;
        Ok(RepositoryInfo {
            id: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            ..RepositoryInfo::default()
        })
    }

    /// Reads the file in `directory`; `None` if there is none.
    pub fn read(directory: &Path) -> Result<Option<RepositoryInfo>> {
        let path = directory.join(RepositoryInfo::NAME);
        match storage::read_file(&path, MAX_SIZE) {
            Ok(content) => RepositoryInfo::parse(&content)
                .map(Some)
                .with_context(|| format!("read {}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    pub(super) fn parse(content: &[u8]) -> Result<RepositoryInfo> {
        let invalid = |what: &str| Error::new(ErrorKind::Corrupt, what);
        let text = std::str::from_utf8(content).map_err(|_| invalid("it is not text"))?;
        let mut info = RepositoryInfo::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match line.split_once('=') {
                Some(("ID", id)) => info.id = id.trim().to_owned(),
                Some(("SERVER", name)) => {
                    info.servers.insert(name.trim().to_owned());
                }
                _ => info.unknown_lines.push(line.to_owned()),
            }
        }
        if info.id.is_empty() {
            return Err(invalid("ID is missing"));
        }
        Ok(info)
    }

    /// Whether `server` is listed.
    pub fn has_server(&self, server: &ServerName) -> bool {
        self.servers.contains(server.as_str())
    }

    /// Adds `server` to the list.
    #[must_use]
    pub fn with_server(mut self, server: &ServerName) -> RepositoryInfo {
        self.servers.insert(server.as_str().to_owned());
        self
    }

    /// Writes the file in `directory`, durably.
    pub fn write(&self, directory: &Path) -> Result<()> {
        storage::replace(
            &directory.join(RepositoryInfo::NAME),
            self.to_text().as_bytes(),
        )
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = format!("ID={}\n", self.id);
        for server in &self.servers {
            text.push_str(&format!("SERVER={server}\n"));
        }
        for line in &self.unknown_lines {
            text.push_str(&format!("{line}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_info_round_trips_and_keeps_unknown_lines() {
        let root = std::env::temp_dir().join(format!("pgmoneta-info-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
        let none = RepositoryInfo::read(&root).unwrap();
        let info = RepositoryInfo::new().unwrap();
        info.clone().with_server(&one).write(&root).unwrap();
        let path = root.join(RepositoryInfo::NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}LATER=1\n")).unwrap();
        let read = RepositoryInfo::read(&root).unwrap().unwrap();
        read.clone().with_server(&two).write(&root).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        let damaged = RepositoryInfo::read(&root);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(none, None);
        assert!(read.has_server(&one) && !read.has_server(&two) && read.id == info.id);
        assert_eq!(
            text,
            format!("ID={}\nSERVER=one\nSERVER=two\nLATER=1\n", info.id)
        );
        assert_eq!(damaged.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
