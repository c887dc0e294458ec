//! The configuration files of a server, which need not lie in its data directory (Debian has them in `/etc/postgresql`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use postgres_protocol::escape::escape_literal;

use super::Connection;
use super::wire::protocol;
use crate::error::{Failure, Kind, Result};
use crate::format::{ConfigFile, hex};

/// Where the configuration files of a server are, as far as the role may see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigFiles {
    /// `data_directory`; `None` if the role may not see it, and then the others are not known either.
    pub data_directory: Option<PathBuf>,
    /// The files, each once.
    pub files: Vec<(ConfigFile, PathBuf)>,
    /// Whether the role may read files.
    pub readable: bool,
}

/// The longest file that is read, bytes; in hexadecimal digits it must fit into an answer.
const LONGEST: usize = 16 << 20;

/// The function that reads, with the arguments that incremental backups of the C program need too.
const READ: &str = "pg_catalog.pg_read_binary_file(text,bigint,bigint,boolean)";

const SETTINGS: &str = "\
SELECT name, setting FROM pg_catalog.pg_settings
 WHERE name IN ('data_directory', 'config_file', 'hba_file', 'ident_file') AND setting IS NOT NULL";

/// Files with a setting that is in force. The column is NULL for a role that may not see it.
const INCLUDED: &str = "\
SELECT DISTINCT sourcefile FROM pg_catalog.pg_settings WHERE sourcefile IS NOT NULL";

/// Functions that list the files themselves, for roles that may call them; the last since version 16.
const LISTS: [(&str, &str); 3] = [
    (
        "pg_catalog.pg_show_all_file_settings()",
        "SELECT DISTINCT sourcefile FROM pg_catalog.pg_show_all_file_settings() WHERE sourcefile IS NOT NULL",
    ),
    (
        "pg_catalog.pg_hba_file_rules()",
        "SELECT DISTINCT file_name FROM pg_catalog.pg_hba_file_rules() WHERE file_name IS NOT NULL",
    ),
    (
        "pg_catalog.pg_ident_file_mappings()",
        "SELECT DISTINCT file_name FROM pg_catalog.pg_ident_file_mappings() WHERE file_name IS NOT NULL",
    ),
];

/// The first version whose lists have the names of files.
const LISTS_HAVE_NAMES: u32 = 16;

impl ConfigFiles {
    /// Asks; a Sql connection. What the role may not see is left open, without an error in the server's log.
    pub fn read(connection: &mut Connection) -> Result<ConfigFiles> {
        let doing =
            |failure: Failure| failure.context("ask the server for its configuration files");
        let mut files = ConfigFiles::default();
        for row in connection.rows(SETTINGS).map_err(doing)? {
            let Ok([Some(name), Some(path)]) = <[_; 2]>::try_from(row) else {
                return Err(doing(protocol("a row is not as it was asked for")));
            };
            let name = String::from_utf8_lossy(&name);
            match ConfigFile::of_setting(&name) {
                Some(what) => files.add(what, path),
                None => files.data_directory = Some(path_of(path)),
            }
        }
        files.included(connection).map_err(doing)?;
        files.readable = may_call(connection, READ).map_err(doing)?;
        files.files.sort();
        Ok(files)
    }

    fn included(&mut self, connection: &mut Connection) -> Result<()> {
        self.listed(connection, INCLUDED)?;
        for (function, question) in LISTS {
            let has_names = function.contains("file_settings")
                || connection.version().major >= LISTS_HAVE_NAMES;
            if has_names && may_call(connection, function)? {
                self.listed(connection, question)?;
            }
        }
        Ok(())
    }

    fn listed(&mut self, connection: &mut Connection, question: &str) -> Result<()> {
        for row in connection.rows(question)? {
            if let Some(path) = row.into_iter().next().flatten() {
                self.add(ConfigFile::Included, path);
            }
        }
        Ok(())
    }

    fn add(&mut self, what: ConfigFile, path: Vec<u8>) {
        let path = path_of(path);
        if !path.as_os_str().is_empty() && self.files.iter().all(|(_, known)| *known != path) {
            self.files.push((what, path));
        }
    }
}

/// Whether the role may call a function that is there.
fn may_call(connection: &mut Connection, function: &str) -> Result<bool> {
    let rows = connection.query(&format!(
        "SELECT coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure({}), 'EXECUTE'), false)",
        escape_literal(function)
    ))?;
    let row = rows.first();
    row.ok_or_else(|| protocol("the answer is empty"))?
        .boolean(0)
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

impl Connection {
    /// Reads a configuration file of the server; `None` if it is not there.
    pub fn read_config_file(&mut self, path: &Path) -> Result<Option<Vec<u8>>> {
        let text = path.to_str().ok_or_else(|| {
            let message = "the path is not UTF-8";
            Failure::new(Kind::Server, message)
        })?;
        let rows = self.query(&format!(
            "SELECT pg_catalog.encode(pg_catalog.pg_read_binary_file({}, 0, {}, true), 'hex')",
            escape_literal(text),
            LONGEST + 1
        ))?;
        let row = rows
            .first()
            .ok_or_else(|| protocol("the answer is empty"))?;
        let Some(digits) = row.optional(0)? else {
            return Ok(None);
        };
        let bytes =
            hex::decode(digits).ok_or_else(|| protocol("the content is not hexadecimal"))?;
        if bytes.len() > LONGEST {
            return Err(Failure::new(
                Kind::Server,
                format!("it has more than {LONGEST} bytes"),
            ));
        }
        Ok(Some(bytes))
    }
}
