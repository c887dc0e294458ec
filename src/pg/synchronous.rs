//! Whether commits of a server wait until a standby has applied their WAL.

use super::Connection;
use crate::error::{Error, Result};

/// The standbys that commits wait for, if they wait until the WAL is applied; any role may run it.
/// A standby waits for none.
const QUERY: &str = "\
SELECT setting FROM pg_catalog.pg_settings
 WHERE name = 'synchronous_standby_names'
   AND pg_catalog.current_setting('synchronous_commit') = 'remote_apply'
   AND NOT pg_catalog.pg_is_in_recovery()";

impl Connection {
    /// Whether commits may wait until the standby `application_name` has applied their WAL, by the
    /// settings that this connection has. Needs a Sql connection.
    pub fn waits_for_apply(&mut self, application_name: &str) -> Result<bool> {
        let action = |failure: Error| failure.context("query the synchronous standbys");
        let rows = self.query(QUERY).map_err(action)?;
        match rows.first() {
            Some(row) => Ok(lists(row.text(0).map_err(action)?, application_name)),
            None => Ok(false),
        }
    }
}

/// Whether a value of `synchronous_standby_names` lists a standby: `ANY 2 (one, "two")`, `one`,
/// `*` (PostgreSQL 18 `syncrep_scanner.l`; `SyncRepGetStandbyPriority`, `syncrep.c`).
fn lists(names: &str, standby: &str) -> bool {
    let is = |name: &str| name == "*" || name.eq_ignore_ascii_case(standby);
    // Every second part is in quotes; two quotes within them are one.
    let names = names.replace("\"\"", "\0");
    names.split('"').enumerate().any(|(index, part)| {
        if index % 2 == 1 {
            return is(&part.replace('\0', "\""));
        }
        let mut words = part.split([',', '(', ')', ' ', '\t', '\n', '\r']);
        words.any(|word| !word.is_empty() && is(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_synchronous_standbys_are_found() {
        for names in [
            "pgmoneta",
            "*",
            "one, PGMoneta",
            "\"pgmoneta\"",
            "2(one,pgmoneta,three)",
            "FIRST 1 (one, \"PgMoneta\")",
            "ANY 1 (\"o,\"\"ne\",pgmoneta)",
            "\"a\"\"b\" , *",
        ] {
            assert!(lists(names, "pgmoneta"), "{names}");
        }
        for names in [
            "",
            "one",
            "pgmoneta2, my_pgmoneta",
            "\"pgmoneta \"",
            "\"one, pgmoneta\"",
            "\"a\"\"pgmoneta\"\"\"",
        ] {
            assert!(!lists(names, "pgmoneta"), "{names}");
        }
        assert!(lists("one, \"a \"\" b\"", "a \" b"));
    }
}
