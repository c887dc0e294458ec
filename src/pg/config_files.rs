//! The configuration files of a server, which may be outside of its data directory (Debian has them
//! in `/etc/postgresql`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use postgres_protocol::escape::escape_literal;

use super::Connection;
use super::wire::protocol_error;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{ConfigFile, hex};

/// The paths of the configuration files of a server, as far as the role may see them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigFiles {
    /// `data_directory`; `None` if the role may not see it, and then the others are not known
    /// either.
    pub data_directory: Option<PathBuf>,
    /// The files, each path once.
    pub files: Vec<(ConfigFile, PathBuf)>,
    /// Whether the role may read files.
    pub readable: bool,
}

/// Bytes; in hexadecimal digits the file must fit into a result set.
const MAX_FILE_SIZE: usize = 16 << 20;

/// The function that reads a file, with the signature that incremental backups of the C program
/// need too.
const READ_FUNCTION: &str = "pg_catalog.pg_read_binary_file(text,bigint,bigint,boolean)";

const SETTINGS_QUERY: &str = "\
SELECT name, setting FROM pg_catalog.pg_settings
 WHERE name IN ('data_directory', 'config_file', 'hba_file', 'ident_file') AND setting IS NOT NULL";

/// The files of the settings in effect. The column is NULL for a role that may not see it.
const INCLUDED_QUERY: &str = "\
SELECT DISTINCT sourcefile FROM pg_catalog.pg_settings WHERE sourcefile IS NOT NULL";

/// Functions that list the files themselves, for roles that may call them; the last since version
/// 16.
const LIST_FUNCTIONS: [(&str, &str); 3] = [
    (
        "pg_catalog.pg_show_all_file_settings()",
        "SELECT DISTINCT sourcefile FROM pg_catalog.pg_show_all_file_settings() WHERE sourcefile \
         IS NOT NULL",
    ),
    (
        "pg_catalog.pg_hba_file_rules()",
        "SELECT DISTINCT file_name FROM pg_catalog.pg_hba_file_rules() WHERE file_name IS NOT NULL",
    ),
    (
        "pg_catalog.pg_ident_file_mappings()",
        "SELECT DISTINCT file_name FROM pg_catalog.pg_ident_file_mappings() WHERE file_name IS \
         NOT NULL",
    ),
];

/// The first version whose lists have the names of files.
const LISTS_HAVE_NAMES_SINCE: u32 = 16;

impl ConfigFiles {
    /// Queries the server over a Sql connection. What the role may not see is left out, without an
    /// error in the server's log.
    pub fn read(connection: &mut Connection) -> Result<ConfigFiles> {
        let action = |failure: Error| failure.context("ask the server for its configuration files");
        let mut files = ConfigFiles::default();
        for row in connection.rows(SETTINGS_QUERY).map_err(action)? {
            let Ok([Some(name), Some(path)]) = <[_; 2]>::try_from(row) else {
                return Err(action(protocol_error(
                    "a row does not have the expected columns",
                )));
            };
            let name = String::from_utf8_lossy(&name);
            match ConfigFile::of_setting(&name) {
                Some(kind) => files.add(kind, path),
                None => files.data_directory = Some(to_path(path)),
            }
        }
        files.add_included(connection).map_err(action)?;
        files.readable = may_execute(connection, READ_FUNCTION).map_err(action)?;
        files.files.sort();
        Ok(files)
    }

    fn add_included(&mut self, connection: &mut Connection) -> Result<()> {
        self.add_listed(connection, INCLUDED_QUERY)?;
        for (function, query) in LIST_FUNCTIONS {
            let has_names = function.contains("file_settings")
                || connection.version().major >= LISTS_HAVE_NAMES_SINCE;
            if has_names && may_execute(connection, function)? {
                self.add_listed(connection, query)?;
            }
        }
        Ok(())
    }

    fn add_listed(&mut self, connection: &mut Connection, query: &str) -> Result<()> {
        for row in connection.rows(query)? {
            if let Some(path) = row.into_iter().next().flatten() {
                self.add(ConfigFile::Included, path);
            }
        }
        Ok(())
    }

    fn add(&mut self, kind: ConfigFile, path: Vec<u8>) {
        let path = to_path(path);
        if !path.as_os_str().is_empty() && self.files.iter().all(|(_, known)| *known != path) {
            self.files.push((kind, path));
        }
    }
}

/// Whether the function exists and the role may execute it.
fn may_execute(connection: &mut Connection, function: &str) -> Result<bool> {
    let rows = connection.query(&format!(
        "SELECT coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure({}), \
         'EXECUTE'), false)",
        escape_literal(function)
    ))?;
    let row = rows.first();
    row.ok_or_else(|| protocol_error("the answer is empty"))?
        .boolean(0)
}

fn to_path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

impl Connection {
    /// Reads a configuration file of the server; `None` if it is not there.
    pub fn read_config_file(&mut self, path: &Path) -> Result<Option<Vec<u8>>> {
        let text = path.to_str().ok_or_else(|| {
            let message = "the path is not UTF-8";
            Error::new(ErrorKind::Server, message)
        })?;
        let rows = self.query(&format!(
            "SELECT pg_catalog.encode(pg_catalog.pg_read_binary_file({}, 0, {}, true), 'hex')",
            escape_literal(text),
            MAX_FILE_SIZE + 1
        ))?;
        let row = rows
            .first()
            .ok_or_else(|| protocol_error("the answer is empty"))?;
        let Some(digits) = row.optional(0)? else {
            return Ok(None);
        };
        let bytes =
            hex::decode(digits).ok_or_else(|| protocol_error("the content is not hexadecimal"))?;
        if bytes.len() > MAX_FILE_SIZE {
            return Err(Error::new(
                ErrorKind::Server,
                format!("it has more than {MAX_FILE_SIZE} bytes"),
            ));
        }
        Ok(Some(bytes))
    }
}
