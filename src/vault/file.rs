//! A users file as text: what is changed is one line, everything else stays byte for byte.

use std::path::{Path, PathBuf};

use super::password::check_password;
use super::record::{self, Line, check_user_name};
use super::users::refusal;
use crate::crypto::{MasterKey, Secret};
use crate::error::{Context, Failure, Kind, Result};
use crate::storage::{DirectoryLock, Secrecy, check_secrecy, replace};
use crate::unit::without_mark;

/// A users or admins file. Lines may be of any length.
pub struct UsersFile {
    path: PathBuf,
    text: Vec<u8>,
}

impl UsersFile {
    /// Reads a file. It must be ours and closed to others, or root's and at most readable by the group.
    pub fn read(path: &Path) -> Result<UsersFile> {
        check_secrecy(path, Secrecy::Handed)?;
        let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        Ok(UsersFile {
            path: path.to_owned(),
            text: without_mark(&text).to_vec(),
        })
    }

    /// The names of the users, in the order of the file.
    pub fn names(&self) -> Vec<&str> {
        self.records().map(|(_, name, _)| name).collect()
    }

    /// Lines that are no records, with their numbers and what is wrong. The daemon refuses a file with such lines.
    pub fn damaged(&self) -> impl Iterator<Item = (usize, &'static str)> {
        self.lines().filter_map(|(number, line)| match line {
            Line::Damaged(what) => Some((number, what)),
            _ => None,
        })
    }

    /// Refuses a name that is in the file.
    pub fn check_absent(&self, name: &str) -> Result<()> {
        if !self.names().contains(&name) {
            return Ok(());
        }
        Err(Failure::new(
            Kind::Usage,
            format!("user {name} is in {} already", self.path.display()),
        )
        .hint(format!(
            "change the password with: pgmoneta-admin -f {} -U {name} user edit",
            self.path.display()
        )))
    }

    /// Refuses a name that is not in the file.
    pub fn check_present(&self, name: &str) -> Result<()> {
        if self.names().contains(&name) {
            return Ok(());
        }
        Err(Failure::new(
            Kind::NotFound,
            format!("user {name} is not in {}", self.path.display()),
        ))
    }

    /// Line number, name and sealed password of each record.
    pub(super) fn records(&self) -> impl Iterator<Item = (usize, &str, &[u8])> {
        self.lines().filter_map(|(number, line)| match line {
            Line::Record { name, sealed } => Some((number, name, sealed)),
            _ => None,
        })
    }

    fn lines(&self) -> impl Iterator<Item = (usize, Line<'_>)> {
        let lines = self.text.split(|&byte| byte == b'\n');
        lines
            .enumerate()
            .map(|(index, line)| (index + 1, record::read(line)))
    }

    /// Adds a user at the end of the file at `path`, which is made if it does not exist. A name that is there
    /// already is refused, and so is a master key that opens none of the records.
    pub fn add(path: &Path, name: &str, password: &Secret, key: &MasterKey) -> Result<UsersFile> {
        check_user_name(name)?;
        check_password(password)?;
        let path = real(path)?;
        let _lock = DirectoryLock::wait(&path)?;
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

    /// Gives a user another password.
    pub fn edit(path: &Path, name: &str, password: &Secret, key: &MasterKey) -> Result<UsersFile> {
        check_password(password)?;
        let path = real(path)?;
        let _lock = DirectoryLock::wait(&path)?;
        let mut file = UsersFile::read(&path)?;
        file.check_key(name, key)?;
        let line = record::write(name, password, key)?;
        file.rewrite(name, Some(&line))?;
        file.save()
    }

    /// Removes a user.
    pub fn remove(path: &Path, name: &str) -> Result<UsersFile> {
        let path = real(path)?;
        let _lock = DirectoryLock::wait(&path)?;
        let mut file = UsersFile::read(&path)?;
        file.rewrite(name, None)?;
        file.save()
    }

    /// Refuses a master key that opens none of the other users' records: the file would get two keys.
    fn check_key(&self, except: &str, key: &MasterKey) -> Result<()> {
        let mut refused = None;
        for (line, name, sealed) in self.records().filter(|&(_, name, _)| name != except) {
            match record::open(sealed, key) {
                Ok(_) => return Ok(()),
                Err(failure) => refused = Some(refusal(&self.path, line, name, &failure, true)),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Puts `record` in the place of the line of user `name`, or removes the line. What follows the record on its
    /// line, a comment or a carriage return, stays where the line stays.
    fn rewrite(&mut self, name: &str, record: Option<&str>) -> Result<()> {
        self.check_present(name)?;
        let mut text = Vec::with_capacity(self.text.len() + record.map_or(0, str::len));
        for line in self.text.split_inclusive(|&byte| byte == b'\n') {
            match record::read(line) {
                Line::Record {
                    name: known,
                    sealed,
                } if known == name => {
                    if let Some(record) = record {
                        replace_record(line, known, sealed, record, &mut text);
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

/// Appends `line` to `output` with `record` in the place of `name:sealed`.
fn replace_record(line: &[u8], name: &str, sealed: &[u8], record: &str, output: &mut Vec<u8>) {
    let length = name.len() + 1 + sealed.len();
    let front = line
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    output.extend_from_slice(line.get(..front).unwrap_or_default());
    output.extend_from_slice(record.as_bytes());
    output.extend_from_slice(line.get(front + length..).unwrap_or_default());
}

/// The file itself, not a symbolic link to it, which a rename would replace.
fn real(path: &Path) -> Result<PathBuf> {
    if path.symlink_metadata().is_ok() {
        path.canonicalize()
            .with_context(|| path.display().to_string())
    } else {
        Ok(path.to_owned())
    }
}
