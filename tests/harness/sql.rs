//! SQL in a cluster: typed values, and errors with their SQLSTATE.

use std::process::Command;

use postgres::types::{FromSqlOwned, PgLsn};
use postgres::{Client, Config, Error, NoTls};

use super::cluster::{Cluster, SUPERUSER};
use super::servers::client;
use super::user::user;
use super::wait::{test_timeout, wait_until};

impl Cluster {
    /// A new connection of the superuser over the Unix socket.
    pub fn connect(&self, database: &str) -> Client {
        self.try_connect(database)
            .unwrap_or_else(|error| panic!("connect to {database}: {error:?}"))
    }

    fn try_connect(&self, database: &str) -> Result<Client, Error> {
        Config::new()
            .host_path(self.sockets())
            .port(self.port())
            .user(SUPERUSER)
            .dbname(database)
            .application_name("test")
            .connect(NoTls)
    }

    /// Calls `action` with a connection to the database `postgres`, which is kept for the next call
    /// unless the server has closed it meanwhile. While one thread uses it, others open their own.
    fn with_connection<T>(
        &self,
        action: impl FnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut kept = self.connection.lock().unwrap().take();
        let valid = |client: &mut Client| client.is_valid(test_timeout(0)).is_ok();
        let mut client = match kept.take_if(valid) {
            Some(client) => client,
            None => self.try_connect("postgres")?,
        };
        let result = action(&mut client);
        *self.connection.lock().unwrap() = Some(client);
        result
    }

    /// Executes one or several statements, the latter in one transaction; settings that they
    /// change stay changed for later statements. Panics on an error.
    pub fn execute(&self, sql: &str) {
        self.try_execute(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// As [`Cluster::execute`]; returns the error.
    pub fn try_execute(&self, sql: &str) -> Result<(), Error> {
        self.with_connection(|client| client.batch_execute(sql))
    }

    /// The value of a query with one row and one column. Panics on an error.
    pub fn query_value<T: FromSqlOwned>(&self, sql: &str) -> T {
        self.try_query_value(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// As [`Cluster::query_value`]; returns the error.
    pub fn try_query_value<T: FromSqlOwned>(&self, sql: &str) -> Result<T, Error> {
        self.with_connection(|client| client.query_one(sql, &[])?.try_get(0))
    }

    /// The values of a query with one column. Panics on an error.
    pub fn query_values<T: FromSqlOwned>(&self, sql: &str) -> Vec<T> {
        let query = |client: &mut Client| {
            let rows = client.query(sql, &[])?;
            rows.iter().map(|row| row.try_get(0)).collect()
        };
        self.with_connection(query)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Waits until a query returns `true`; an error or no row is as `false`.
    pub fn wait_true(&self, sql: &str, seconds: u64) {
        wait_until(sql, seconds, || self.try_query_value(sql).unwrap_or(false));
    }

    /// The end of the WAL that the server has flushed. Not during recovery.
    pub fn flush_lsn(&self) -> PgLsn {
        self.query_value("SELECT pg_current_wal_flush_lsn()")
    }

    /// The start of the WAL that the server keeps for the slot `pgmoneta`: the position that its
    /// receiver has acknowledged.
    pub fn restart_lsn(&self) -> PgLsn {
        self.query_value(
            "SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'pgmoneta'",
        )
    }

    /// The number of rows of a table or view.
    pub fn count(&self, table: &str) -> u64 {
        let rows: i64 = self.query_value(&format!("SELECT count(*) FROM {table}"));
        rows as u64
    }

    /// The path of the file of a table, below the data directory.
    pub fn relation_path(&self, table: &str) -> String {
        self.query_value(&format!("SELECT pg_relation_filepath('{table}')"))
    }

    /// The value of a setting.
    pub fn setting(&self, name: &str) -> String {
        self.query_value(&format!("SHOW {name}"))
    }

    /// The time of the server.
    pub fn clock(&self) -> String {
        self.query_value("SELECT clock_timestamp()::text")
    }

    pub fn is_in_recovery(&self) -> bool {
        self.query_value("SELECT pg_is_in_recovery()")
    }

    /// Waits until recovery has ended and the server accepts writes; panics if the server exits
    /// instead.
    pub fn wait_primary(&mut self, seconds: u64) {
        wait_until("the end of recovery", seconds, || {
            assert!(self.is_running(), "the server has ended");
            self.try_query_value("SELECT NOT pg_is_in_recovery()")
                .unwrap_or(false)
        });
    }

    /// Waits until no other client backend is active.
    pub fn wait_quiet(&self) {
        let sql = "SELECT count(*) = 0 FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.wait_true(sql, 60);
    }

    /// Waits until the receiver of a slot has acknowledged the WAL that is written by now.
    pub fn wait_received(&self, slot: &str) {
        let written = self.flush_lsn();
        let sql = format!(
            "SELECT restart_lsn >= '{written}' FROM pg_replication_slots WHERE slot_name = '{slot}'"
        );
        self.wait_true(&sql, 60);
    }

    /// Waits until a receiver of that application name streams.
    pub fn wait_streaming(&self, application_name: &str) {
        let sql = format!(
            "SELECT count(*) = 1 FROM pg_stat_replication \
             WHERE application_name = '{application_name}' AND state = 'streaming'"
        );
        self.wait_true(&sql, 60);
    }

    /// The databases that accept connections.
    pub fn databases(&self) -> Vec<String> {
        self.query_values("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")
    }

    /// The program pgbench, for the database `postgres`.
    pub fn pgbench(&self) -> Command {
        let mut command = user().command(client("pgbench"));
        command.arg("-h").arg(self.sockets());
        command.args(["-p", &self.port().to_string(), "-U", SUPERUSER, "postgres"]);
        command
    }

    /// The contents of all databases: for each table a line with its number of rows and their
    /// digest.
    pub fn fingerprint(&self) -> String {
        let mut lines = String::new();
        for database in self.databases() {
            let mut client = self.connect(&database);
            let tables = client.query(
                "SELECT oid::regclass::text FROM pg_class \
                 WHERE relkind IN ('r', 'm') AND relpersistence = 'p' AND \
                 relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema') \
                 ORDER BY oid::regclass",
                &[],
            );
            for table in tables.unwrap() {
                let table: String = table.get(0);
                let sql = format!(
                    "SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) \
                     FROM {table} t"
                );
                let content = client.query_one(&sql, &[]).unwrap();
                let (rows, digest): (i64, Option<String>) = (content.get(0), content.get(1));
                lines.push_str(&format!("{database} {table} {rows} {digest:?}\n"));
            }
        }
        lines
    }
}
