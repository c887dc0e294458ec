//! Reading and editing a users file: an edit changes one line, all other bytes stay.

use std::path::{Path, PathBuf};

use super::password::check_password;
use super::record::{self, Line, check_user_name};
use crate::crypto::{MasterKey, Secret};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage::{Access, DirectoryLock, check_access, replace};
use crate::unit::{after, first, without_bom};

/// The text of a users or admins file. Lines may be of any length.
pub struct UsersFile {
    path: PathBuf,
    text: Vec<u8>,
}

impl UsersFile {
    /// Reads a file. It must be owned by this user without access for others, or by root and at
    /// most readable by the group.
    pub fn read(path: &Path) -> Result<UsersFile> {
        check_access(path, Access::SharedWithGroup)?;
        let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        Ok(UsersFile::of(path, &text))
    }

    /// The file at `path` with this content.
    pub(super) fn of(path: &Path, text: &[u8]) -> UsersFile {
        UsersFile {
            path: path.to_owned(),
            text: without_bom(text).to_vec(),
        }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the users, in the order of the file.
    pub fn names(&self) -> Vec<&str> {
        self.records().map(|(_, name, _)| name).collect()
    }

    /// Lines that are not records, with line number and reason. The daemon refuses a file with such
    /// lines.
    pub fn damaged(&self) -> impl Iterator<Item = (usize, &'static str)> {
        self.lines().filter_map(|(number, line)| match line {
            Line::Damaged(what) => Some((number, what)),
            _ => None,
        })
    }

    /// Fails if the file has a user of this name.
    pub fn check_absent(&self, name: &str) -> Result<()> {
        if !self.names().contains(&name) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Usage,
            format!("user {name} is in {} already", self.path.display()),
        )
        .with_hint(format!(
            "change the password with: pgmoneta-admin -f {} -U {name} user edit",
            self.path.display()
        )))
    }

    /// Fails if the file has no user of this name.
    pub fn check_present(&self, name: &str) -> Result<()> {
        if self.names().contains(&name) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::NotFound,
            format!("user {name} is not in {}", self.path.display()),
        ))
    }

    /// Line number, name and encrypted password of each record.
    pub(super) fn records(&self) -> impl Iterator<Item = (usize, &str, &[u8])> {
        self.lines().filter_map(|(number, line)| match line {
            Line::Record { name, encrypted } => Some((number, name, encrypted)),
            _ => None,
        })
    }

    fn lines(&self) -> impl Iterator<Item = (usize, Line<'_>)> {
        let lines = self.text.split(|&byte| byte == b'\n');
        lines
            .enumerate()
            .map(|(index, line)| (index + 1, record::read(line)))
    }

    /// Adds a user at the end of the file at `path`, which is created if it does not exist. Fails
    /// if the name exists, or if the master key decrypts none of the records.
    pub fn add(path: &Path, name: &str, password: &Secret, key: &MasterKey) -> Result<UsersFile> {
        check_user_name(name)?;
        check_password(password)?;
        let path = resolve_link(path)?;
        let _lock = DirectoryLock::acquire(&path)?;
        let mut file = if path.exists() {
            UsersFile::read(&path)?
        } else {
            UsersFile {
                path,
                text: Vec::new(),
            }
        };
        file.check_absent(name)?;
        file.check_key(name, key)?;
        if file.text.last().is_some_and(|&byte| byte != b'\n') {
            file.text.push(b'\n');
        }
        file.text
            .extend_from_slice(record::write(name, password, key)?.as_bytes());
        file.text.push(b'\n');
        file.save()
    }

    /// Changes the password of a user.
    pub fn edit(path: &Path, name: &str, password: &Secret, key: &MasterKey) -> Result<UsersFile> {
        check_password(password)?;
        let path = resolve_link(path)?;
        let _lock = DirectoryLock::acquire(&path)?;
        let mut file = UsersFile::read(&path)?;
        file.check_key(name, key)?;
        let line = record::write(name, password, key)?;
        file.rewrite(name, Some(&line))?;
        file.save()
    }

    /// Removes the line of a user.
    pub fn remove(path: &Path, name: &str) -> Result<UsersFile> {
        let path = resolve_link(path)?;
        let _lock = DirectoryLock::acquire(&path)?;
        let mut file = UsersFile::read(&path)?;
        file.rewrite(name, None)?;
        file.save()
    }

    /// Fails if the master key decrypts none of the other users' records: the file would be
    /// encrypted with two keys.
    fn check_key(&self, except: &str, key: &MasterKey) -> Result<()> {
        let mut refused = None;
        for (line, name, encrypted) in self.records().filter(|&(_, name, _)| name != except) {
            match record::open(encrypted, key) {
                Ok(_) => return Ok(()),
                Err(failure) => {
                    refused = Some(record::decrypt_error(
                        &self.path, line, name, &failure, true,
                    ))
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Replaces the record of user `name` by `record`, or removes the line. A comment or a carriage
    /// return after a replaced record stays.
    pub(super) fn rewrite(&mut self, name: &str, record: Option<&str>) -> Result<()> {
        self.check_present(name)?;
        let mut text = Vec::with_capacity(self.text.len() + record.map_or(0, str::len));
        for line in self.text.split_inclusive(|&byte| byte == b'\n') {
            match record::read(line) {
                Line::Record {
                    name: known,
                    encrypted,
                } if known == name => {
                    if let Some(record) = record {
                        replace_record(line, known, encrypted, record, &mut text);
                    }
                }
                _ => text.extend_from_slice(line),
            }
        }
        self.text = text;
        Ok(())
    }

    fn save(self) -> Result<UsersFile> {
        replace(&self.path, &self.text)?;
        Ok(self)
    }
}

/// Appends `line` to `output` with `name:encrypted` replaced by `record`.
fn replace_record(line: &[u8], name: &str, encrypted: &[u8], record: &str, output: &mut Vec<u8>) {
    let length = name.len() + 1 + encrypted.len();
    let indent = line
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    output.extend_from_slice(first(line, indent));
    output.extend_from_slice(record.as_bytes());
    output.extend_from_slice(after(line, indent + length));
}

/// Resolves symbolic links, which a rename to `path` would replace.
fn resolve_link(path: &Path) -> Result<PathBuf> {
    if path.symlink_metadata().is_ok() {
        path.canonicalize()
            .with_context(|| path.display().to_string())
    } else {
        Ok(path.to_owned())
    }
}
