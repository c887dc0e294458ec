//! The option table: every key of `pgmoneta.conf` and of `pgmoneta_cli.conf`, in the order of the
//! manual pages.

use std::path::PathBuf;

use super::check;
use super::model::{ClientConfig, Config, Server};
use super::setting::Scope::{Both, Main, Server as InServer};
use super::setting::{Field, Scope, Setting};
use super::unused::{self, AnyOf, Items, OneOf};
use super::value::Value;
use crate::logging::check_pattern;

type Key = &'static str;
type Text = &'static str;

const fn main(
    key: Key,
    field: fn(&mut Config) -> &mut dyn Value,
    default: Text,
    help: Text,
) -> Setting {
    Setting::new(key, Field::Daemon(field), default, help)
}

const fn server(
    key: Key,
    field: fn(&mut Server) -> &mut dyn Value,
    default: Text,
    help: Text,
) -> Setting {
    Setting::new(key, Field::Server(field), default, help)
}

const fn both(
    key: Key,
    field: fn(&mut Server) -> &mut dyn Value,
    default: Text,
    help: Text,
) -> Setting {
    Setting::new(key, Field::Inherited(field), default, help)
}

const fn client(
    key: Key,
    field: fn(&mut ClientConfig) -> &mut dyn Value,
    default: Text,
    help: Text,
) -> Setting {
    Setting::new(key, Field::Client(field), default, help)
}

const fn unused(
    scope: Scope,
    key: Key,
    new: fn() -> Box<dyn Value>,
    default: Text,
    help: Text,
) -> Setting {
    Setting::new(key, Field::Unused(scope, new), default, help)
}

// The types of keys that no feature uses.
const TEXT: fn() -> Box<dyn Value> = || Box::new(String::new());
const PATH: fn() -> Box<dyn Value> = || Box::new(PathBuf::new());
const BOOLEAN: fn() -> Box<dyn Value> = || Box::new(false);
const PORT: fn() -> Box<dyn Value> = || Box::new(0_u16);

const MAX_BACKLOG: i64 = 1 << 16;

const CONSOLE: &str = "the web console";
const STORAGE: &str = "remote storage";
const HOT_STANDBY: &str = "the hot standby";

/// The options of the daemon, with field, default and help.
#[rustfmt::skip] // One row per line.
pub const OPTIONS: &[Setting] = &[
    // Locations.
    main("host", |c| &mut c.host, "", "The address on which TCP services listen, * for all; also part of the default name of the pid file.").required(),
    main("unix_socket_dir", |c| &mut c.unix_socket_dir, "", "The directory of the management socket .s.pgmoneta; it must exist.").checked(check::socket_directory).required(),
    main("base_dir", |c| &mut c.base_dir, "", "The directory that holds the backups and the WAL of all servers; it is created with pgmoneta-admin repository create.").checked(check::base_directory).required(),
    main("pidfile", |c| &mut c.pidfile, "", "The pid file; by default pgmoneta.HOST.pid in unix_socket_dir, with all in place of *."),
    // Connections.
    main("blocking_timeout", |c| &mut c.blocking_timeout, "30s", "The timeout of a blocking operation, such as waiting for the WAL that a backup needs.").at_least(1).reloadable(),
    main("authentication_timeout", |c| &mut c.authentication_timeout, "5s", "The timeout of connecting and logging in.").at_least(1).reloadable(),
    main("keep_alive", |c| &mut c.keep_alive, "on", "Whether TCP keepalive is on, which probes idle connections.").reloadable(),
    main("nodelay", |c| &mut c.nodelay, "on", "Whether TCP_NODELAY is on, which sends small packets at once.").reloadable(),
    main("backlog", |c| &mut c.backlog, "16", "The length of the queue of connections to accept, listen(2); at least 16 is used, and at least 128 for TCP.").at_most(MAX_BACKLOG).reloadable(),
    // Backups.
    main("compression", |c| &mut c.compression, "zstd", "How backups and WAL are compressed.").reloadable(),
    main("compression_level", |c| &mut c.compression_level, "auto", "The compression level; auto chooses it for each file. gzip: 1 to 9, zstd: -131072 to 22, lz4: 1 to 12, bzip2: 1 to 9.").reloadable(),
    main("encryption", |c| &mut c.encryption, "none", "How backups and WAL are encrypted from now on, with the master key; what is stored stays readable."),
    both("workers", |s| &mut s.workers, "0", "How many threads compress, encrypt, verify and restore; 0 is one for each CPU. For a server, -1 is the value of [pgmoneta].").at_most(1024).minus_one_inherits(),
    both("max_rate", |s| &mut s.max_rate, "0", "The maximum rate of a backup in bytes per second; 0 is no limit. For a server, -1 is the value of [pgmoneta].").unit("bytes per second").minus_one_inherits().reloadable(),
    both("checkpoint", |s| &mut s.checkpoint, "fast", "Whether the checkpoint at the start of a backup is done at once or spread over time.").reloadable(),
    both("link", |s| &mut s.link, "hard", "How a file that has not changed since the last backup is stored: as a hard link or a symbolic link to the file of that backup, or, with off, again.").reloadable(),
    both("create_slot", |s| &mut s.create_slot, "off", "Whether a missing replication slot is created.").reloadable(),
    both("application_name", |s| &mut s.application_name, "pgmoneta", "The application_name of the connections, which synchronous_standby_names may list.").checked(check::application_name),
    both("wal_receiver_timeout", |s| &mut s.wal_receiver_timeout, "60s", "How long the WAL receiver waits for a message of the server before it reconnects.").at_least(1),
    both("retention", |s| &mut s.retention, "7", "How long backups are kept: days, weeks, months, years; - where there is no rule.").reloadable(),
    main("retention_interval", |c| &mut c.retention_interval, "300", "How often old backups, and WAL that no backup needs, are removed.").at_least(1).at_most((1 << 31) - 1).unit("seconds"),
    both("retention_minimum", |s| &mut s.retention_minimum, "1", "How many valid backups are always kept, the newest ones.").at_least(1).at_most(1_000_000).reloadable(),
    both("wal_retention", |s| &mut s.wal_retention, "0", "For how many days any point in time can be recovered; older backups keep only the WAL that is stored with them. 0 is as long as the oldest backup is kept.").at_most(1_000_000).unit("days").reloadable(),
    main("verification", |c| &mut c.verification, "0", "How often all backups and the archived WAL are verified; 0 is never."),
    main("verification_rate", |c| &mut c.verification_rate, "50M", "How many bytes per second are read for that, of all servers together; 0 is no limit.").unit("bytes per second"),
    main("reserve_space", |c| &mut c.reserve_space, "5%", "How much of the file system backups leave free, because WAL must go on when backups cannot: a percentage of its size, or a size. A backup that does not fit is not started, and one that reaches it is stopped. 0 is nothing.").reloadable(),
    unused(Both, "workspace", PATH, "", "The directory for temporary files.").planned("work that needs temporary files"),
    unused(Both, "progress", BOOLEAN, "off", "Whether the progress of backups is kept for the progress command.").minus_one_inherits().reloadable().planned("the progress command"),
    // Remote management.
    main("management", |c| &mut c.management.port, "0", "The port of remote management, on host; 0 is off. It is opened only if the admins file has a user.").at_most(65535),
    main("tls", |c| &mut c.management.tls, "off", "Whether connections of remote management must be encrypted; a client without TLS is refused then."),
    main("tls_cert_file", |c| &mut c.management.tls_files.certificate, "", "The certificate of remote management, with those of intermediate authorities, PEM; required with tls. SIGHUP reads the tls files again."),
    main("tls_key_file", |c| &mut c.management.tls_files.key, "", "The key of the certificate, PEM."),
    main("tls_ca_file", |c| &mut c.management.tls_files.authority, "", "The certificate authorities (CA) of clients, PEM; if it is set, every client of remote management needs a certificate of one of them."),
    // The log.
    main("log_type", |c| &mut c.log.kind, "console", "Where the log goes."),
    main("log_level", |c| &mut c.log.level, "info", "The lowest level of messages that is logged.").reloadable(),
    main("log_path", |c| &mut c.log.path, "pgmoneta.log", "The log file, a strftime pattern.").checked(check_pattern).reloadable(),
    main("log_line_prefix", |c| &mut c.log.line_prefix, "%Y-%m-%d %H:%M:%S", "The prefix of each line, a strftime pattern.").checked(check_pattern).reloadable(),
    main("log_mode", |c| &mut c.log.mode, "append", "Whether an existing log file is appended to or truncated.").reloadable(),
    main("log_rotation_age", |c| &mut c.log.rotation_age, "0", "The age at which the log file is rotated; 0 is never.").reloadable(),
    main("log_rotation_size", |c| &mut c.log.rotation_size, "0", "The size at which the log file is rotated; 0 is never.").reloadable(),
    // Servers.
    server("host", |s| &mut s.host, "", "The name or address of the server, or the directory of its Unix socket.").required(),
    server("port", |s| &mut s.port, "", "The port of the server.").at_least(1).required(),
    server("user", |s| &mut s.user, "", "The role with REPLICATION to log in as; its password is in the users file.").required(),
    server("wal_slot", |s| &mut s.wal_slot, "", "The physical replication slot: lower case letters, digits and _.").checked(check::slot_name).required(),
    server("auth", |s| &mut s.auth, "scram-sha-256", "How the server may authenticate pgmoneta; scram-sha-256 is always allowed. Where the key is not set, trust and peer are allowed over a Unix socket, and cert with tls = verify and tls_cert_file."),
    server("tls", |s| &mut s.tls, "off", "Whether the connection is encrypted, and the certificate verified; on by default if a tls file is set, verify if tls_ca_file is."),
    server("tls_cert_file", |s| &mut s.tls_files.certificate, "", "The client certificate for the server, PEM."),
    server("tls_key_file", |s| &mut s.tls_files.key, "", "The key of the certificate, PEM."),
    server("tls_ca_file", |s| &mut s.tls_files.authority, "", "The certificate authorities (CA) that sign the certificate of the server, PEM."),
    unused(InServer, "follow", TEXT, "", "The server whose WAL is received while this one is down.").planned("the take-over from a server that is down"),
    unused(InServer, "wal_shipping", TEXT, "", "A directory that gets a copy of the WAL.").planned("WAL shipping"),
    unused(InServer, "hot_standby", || Box::new(Items(',', 8, Vec::new())), "", "Directories that are kept as a copy of the newest backup.").reloadable().planned(HOT_STANDBY),
    unused(InServer, "hot_standby_overrides", || Box::new(Items('|', 8, Vec::new())), "", "Directories whose files replace those of the copy, for each copy.").reloadable().planned(HOT_STANDBY),
    unused(InServer, "hot_standby_tablespaces", || Box::new(Items('|', 8, Vec::new())), "", "Where the tablespaces of each copy are: from->to.").reloadable().planned(HOT_STANDBY),
    unused(InServer, "extra", || Box::new(Items(',', 64, Vec::new())), "", "More files of the server that a backup takes.").reloadable().planned("the backup of extra files"),
    // Services.
    main("metrics", |c| &mut c.metrics, "0", "The port of the metrics service for Prometheus, on host; 0 is off."),
    main("metrics_cache_max_age", |c| &mut c.metrics_cache_max_age, "0", "How long an answer of the metrics service is used again; 0 is off, and hardly ever needed: a scrape reads memory only.").reloadable(),
    main("metrics_cache_max_size", |c| &mut c.metrics_cache_max_size, "0", "How large an answer is at most that is used again; 0 is no limit.").reloadable(),
    main("metrics_cert_file", |c| &mut c.metrics_tls.certificate, "", "The certificate of the metrics service, PEM; with it only TLS is served. It is read again on SIGHUP."),
    main("metrics_key_file", |c| &mut c.metrics_tls.key, "", "The key of the certificate, PEM."),
    main("metrics_ca_file", |c| &mut c.metrics_tls.authority, "", "The certificate authorities (CA) that sign the certificates of clients, PEM; with it every client must have one."),
    main("nagios", |c| &mut c.nagios, "0", "The port of the Nagios service, on host; 0 is off. Each connection gets the output of pgmoneta-cli check, in plain text and without authentication."),
    unused(Main, "console", PORT, "0", "The port of the web console; 0 is off.").reloadable().planned(CONSOLE),
    // Remote storage.
    unused(Main, "storage_engine", || Box::new(AnyOf(unused::STORAGE, Vec::new())), "local", "Where backups are kept.").planned(STORAGE),
    unused(Main, "ssh_hostname", TEXT, "", "The host that backups are copied to.").planned(STORAGE),
    unused(Main, "ssh_username", TEXT, "", "The user on that host.").planned(STORAGE),
    unused(Main, "ssh_port", PORT, "0", "The port on that host; 0 is 22.").planned(STORAGE),
    unused(Main, "ssh_base_dir", PATH, "", "The directory on that host.").planned(STORAGE),
    unused(Main, "ssh_ciphers", TEXT, "", "The ciphers for that host.").planned(STORAGE),
    unused(Main, "ssh_public_key_file", PATH, "", "The public key for that host.").planned(STORAGE),
    unused(Main, "ssh_private_key_file", PATH, "", "The private key for that host.").planned(STORAGE),
    unused(Both, "s3_endpoint", TEXT, "", "The S3 service.").planned(STORAGE),
    unused(Both, "s3_port", PORT, "0", "The port of the S3 service; 0 is 443 with TLS, 80 without.").planned(STORAGE),
    unused(Both, "s3_use_tls", BOOLEAN, "off", "Whether the connection to it is encrypted.").planned(STORAGE),
    unused(Both, "s3_region", TEXT, "", "The region of the bucket.").planned(STORAGE),
    unused(Both, "s3_access_key_id", TEXT, "", "The access key ID.").planned(STORAGE),
    unused(Both, "s3_secret_access_key", TEXT, "", "The key for it.").secret().planned(STORAGE),
    unused(Both, "s3_bucket", TEXT, "", "The bucket.").planned(STORAGE),
    unused(Both, "s3_base_dir", TEXT, "", "The directory in the bucket.").planned(STORAGE),
    unused(Both, "s3_storage_class", TEXT, "", "The storage class of what is stored.").planned(STORAGE),
    unused(Main, "azure_storage_account", TEXT, "", "The Azure storage account.").planned(STORAGE),
    unused(Main, "azure_container", TEXT, "", "The container in it.").planned(STORAGE),
    unused(Main, "azure_shared_key", TEXT, "", "The key for it.").secret().planned(STORAGE),
    unused(Main, "azure_base_dir", TEXT, "", "The directory in the container.").planned(STORAGE),
    unused(Main, "azure_endpoint", TEXT, "", "Another service that speaks this protocol.").planned(STORAGE),
    unused(Main, "azure_port", PORT, "0", "The port of that service; 0 is 443.").planned(STORAGE),
    unused(Main, "azure_use_tls", BOOLEAN, "off", "Whether the connection to that service is encrypted.").planned(STORAGE),
    // Accepted for compatibility with the C program.
    unused(Main, "non_blocking", BOOLEAN, "on", "No effect.").reloadable().ignored("no connection here blocks another"),
    unused(Main, "libev", || Box::new(OneOf(unused::LIBEV, "")), "auto", "No effect.").ignored("there is no event library to choose"),
    unused(Main, "hugepage", || Box::new(OneOf(unused::HUGEPAGE, "")), "try", "No effect.").ignored("there is no shared memory"),
    unused(Main, "direct_io", || Box::new(OneOf(unused::DIRECT_IO, "")), "off", "No effect.").ignored("files are synced before anything depends on them"),
    unused(Main, "update_process_title", || Box::new(OneOf(unused::TITLE, "")), "verbose", "No effect.").ignored("there is one process; its threads have names"),
];

/// The options of the client, with field, default and help.
#[rustfmt::skip] // One row per line.
pub const CLIENT_OPTIONS: &[Setting] = &[
    client("host", |c| &mut c.host, "", "The host of the daemon, for remote management."),
    client("port", |c| &mut c.port, "0", "The port of remote management; 0 is none."),
    client("unix_socket_dir", |c| &mut c.unix_socket_dir, "", "The directory of the management socket, where host and port are not both set."),
    client("compression", |c| &mut c.compression, "none", "How messages are compressed."),
    client("encryption", |c| &mut c.encryption, "none", "How messages are encrypted, with the master key."),
    client("output", |c| &mut c.output, "text", "The output format."),
    client("log_type", |c| &mut c.log.kind, "console", "Where the log goes."),
    client("log_level", |c| &mut c.log.level, "info", "The lowest level of messages that is logged."),
    client("log_path", |c| &mut c.log.path, "pgmoneta-cli.log", "The log file, a strftime pattern.").checked(check_pattern),
    client("log_line_prefix", |c| &mut c.log.line_prefix, "%Y-%m-%d %H:%M:%S", "The prefix of each line, a strftime pattern.").checked(check_pattern),
    client("log_mode", |c| &mut c.log.mode, "append", "Whether an existing log file is appended to or truncated."),
    client("log_rotation_age", |c| &mut c.log.rotation_age, "0", "The age at which the log file is rotated; 0 is never."),
    client("log_rotation_size", |c| &mut c.log.rotation_size, "0", "The size at which the log file is rotated; 0 is never."),
];
