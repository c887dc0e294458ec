//! The option table: every key of `pgmoneta.conf`, in the order of the manual page.

use super::enums;
use super::option::Scope::{Both, Main, Server};
use super::option::Setting;
use super::option::ValueKind::{
    Boolean, Enum, EnumList, InheritedBoolean, Integer, Level, List, Path, Pattern, PlainPath,
    Rate, Retention, ServerRate, Size, Text, Time,
};

const fn main(
    key: &'static str,
    kind: super::option::ValueKind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting::new(Main, key, kind, default, help)
}

const fn server(
    key: &'static str,
    kind: super::option::ValueKind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting::new(Server, key, kind, default, help)
}

const fn both(
    key: &'static str,
    kind: super::option::ValueKind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting::new(Both, key, kind, default, help)
}

const MAX_BACKLOG: i64 = 1 << 16;
const MAX_PORT: i64 = u16::MAX as i64;

const METRICS: &str = "the metrics service";
const CONSOLE: &str = "the web console";
const REMOTE: &str = "remote management";
const STORAGE: &str = "remote storage";
const HOT_STANDBY: &str = "the hot standby";

/// The options of the daemon, with kind, default and help.
#[rustfmt::skip] // One row per line.
pub const OPTIONS: &[Setting] = &[
    // Locations.
    main("host", Text, "", "The address on which TCP services listen, * for all; also part of the default name of the pid file.").required(),
    main("unix_socket_dir", Path, "", "The directory of the management socket .s.pgmoneta; it must exist.").required(),
    main("base_dir", Path, "", "The directory that holds the backups and the WAL of all servers; it is created with pgmoneta-admin repository create.").required(),
    main("pidfile", Path, "", "The pid file; by default pgmoneta.HOST.pid in unix_socket_dir, with all in place of *."),
    // Connections.
    main("blocking_timeout", Time(1), "30s", "The timeout of a blocking operation, such as waiting for the WAL that a backup needs.").reloadable(),
    main("authentication_timeout", Time(1), "5s", "The timeout of connecting and logging in.").reloadable(),
    main("keep_alive", Boolean, "on", "Whether TCP keepalive is on, which probes idle connections.").reloadable(),
    main("nodelay", Boolean, "on", "Whether TCP_NODELAY is on, which sends small packets at once.").reloadable(),
    main("backlog", Integer(0, MAX_BACKLOG), "16", "The length of the queue of connections to accept, listen(2); at least 16 is used.").reloadable(),
    // Backups.
    main("compression", Enum(enums::COMPRESSION), "zstd", "How backups and WAL are compressed.").reloadable(),
    main("compression_level", Level, "auto", "The compression level; auto chooses it for each file. gzip: 1 to 9, zstd: -131072 to 22, lz4: 1 to 12, bzip2: 1 to 9.").reloadable(),
    main("encryption", Enum(enums::ENCRYPTION), "none", "How backups and WAL are encrypted from now on, with the master key; what is stored stays readable."),
    main("workers", Integer(0, 1024), "0", "How many threads compress, encrypt, verify and restore; 0 is one for each CPU."),
    server("workers", Integer(-1, 1024), "-1", "As in [pgmoneta], for this server; -1 inherits that value."),
    main("max_rate", Rate, "0", "The maximum rate of a backup in bytes per second; 0 is no limit.").reloadable(),
    server("max_rate", ServerRate, "-1", "As in [pgmoneta], for this server; -1 inherits that value.").reloadable(),
    both("checkpoint", Enum(enums::CHECKPOINT), "fast", "Whether the checkpoint at the start of a backup is done at once or spread over time.").reloadable(),
    both("create_slot", Boolean, "off", "Whether a missing replication slot is created.").reloadable(),
    both("application_name", Text, "pgmoneta", "The application_name of the connections, which synchronous_standby_names may list."),
    both("wal_receiver_timeout", Time(1), "60s", "How long the WAL receiver waits for a message of the server before it reconnects."),
    both("retention", Retention, "7", "How long backups are kept: days, weeks, months, years; - where there is no rule.").reloadable().planned("the removal of old backups"),
    main("retention_interval", Integer(1, i32::MAX as i64), "300", "How often old backups are removed.").unit("seconds").planned("the removal of old backups"),
    main("verification", Time(0), "0", "How often all backups are verified; 0 is never.").planned("the regular verification"),
    both("workspace", Path, "", "The directory for temporary files.").planned("work that needs temporary files"),
    both("progress", InheritedBoolean, "off", "Whether the progress of backups is kept for the progress command.").reloadable().planned("the progress command"),
    // The log.
    main("log_type", Enum(enums::LOG_TYPE), "console", "Where the log goes."),
    main("log_level", Enum(enums::LOG_LEVEL), "info", "The lowest level of messages that is logged.").reloadable(),
    main("log_path", Path, "pgmoneta.log", "The log file, a strftime pattern.").reloadable(),
    main("log_line_prefix", Pattern, "%Y-%m-%d %H:%M:%S", "The prefix of each line, a strftime pattern.").reloadable(),
    main("log_mode", Enum(enums::LOG_MODE), "append", "Whether an existing log file is appended to or truncated.").reloadable(),
    main("log_rotation_age", Time(0), "0", "The age at which the log file is rotated; 0 is never.").reloadable(),
    main("log_rotation_size", Size, "0", "The size at which the log file is rotated; 0 is never.").reloadable(),
    // Servers.
    server("host", Text, "", "The name or address of the server, or the directory of its Unix socket.").required(),
    server("port", Integer(1, MAX_PORT), "", "The port of the server.").required(),
    server("user", Text, "", "The role with REPLICATION to log in as; its password is in the users file.").required(),
    server("wal_slot", Text, "", "The physical replication slot: lower case letters, digits and _.").required(),
    server("auth", EnumList(enums::AUTH), "scram-sha-256", "How the server may authenticate pgmoneta; scram-sha-256 is always allowed. Where the key is not set, trust and peer are allowed over a Unix socket, and cert with tls = verify and tls_cert_file."),
    server("tls", Enum(enums::TLS), "off", "Whether the connection is encrypted, and the certificate verified; on by default if a tls file is set, verify if tls_ca_file is."),
    server("tls_cert_file", Path, "", "The client certificate for the server, PEM."),
    server("tls_key_file", Path, "", "The key of the certificate, PEM."),
    server("tls_ca_file", Path, "", "The certificate authorities (CA) that sign the certificate of the server, PEM."),
    server("follow", Text, "", "The server whose WAL is received while this one is down.").planned("the take-over from a server that is down"),
    server("wal_shipping", PlainPath, "", "A directory that gets a copy of the WAL.").planned("WAL shipping"),
    server("hot_standby", List(',', 8), "", "Directories that are kept as a copy of the newest backup.").reloadable().planned(HOT_STANDBY),
    server("hot_standby_overrides", List('|', 8), "", "Directories whose files replace those of the copy, for each copy.").reloadable().planned(HOT_STANDBY),
    server("hot_standby_tablespaces", List('|', 8), "", "Where the tablespaces of each copy are: from->to.").reloadable().planned(HOT_STANDBY),
    server("extra", List(',', 64), "", "More files of the server that a backup takes.").reloadable().planned("the backup of extra files"),
    // Services.
    main("metrics", Integer(0, MAX_PORT), "0", "The port of the metrics service; 0 is off.").reloadable().planned(METRICS),
    main("metrics_cache_max_age", Time(0), "0", "How long an answer of the metrics service is used again; 0 is off.").reloadable().planned(METRICS),
    main("metrics_cache_max_size", Size, "0", "The size of the cache of the metrics service.").planned(METRICS),
    main("metrics_cert_file", PlainPath, "", "The certificate of the metrics service, PEM.").planned(METRICS),
    main("metrics_key_file", PlainPath, "", "The key of the certificate, PEM.").planned(METRICS),
    main("metrics_ca_file", PlainPath, "", "The certificate authorities (CA) of its clients, PEM.").planned(METRICS),
    main("nagios", Integer(0, MAX_PORT), "0", "The port of the Nagios service; 0 is off.").planned("the Nagios service"),
    main("console", Integer(0, MAX_PORT), "0", "The port of the web console; 0 is off.").reloadable().planned(CONSOLE),
    main("management", Integer(0, MAX_PORT), "0", "The port of remote management; 0 is off.").reloadable().planned(REMOTE),
    main("tls", Boolean, "off", "Whether remote management is encrypted.").planned(REMOTE),
    main("tls_cert_file", Path, "", "The certificate of remote management, PEM.").planned(REMOTE),
    main("tls_key_file", Path, "", "The key of the certificate, PEM.").planned(REMOTE),
    main("tls_ca_file", Path, "", "The certificate authorities (CA) of its clients, PEM.").planned(REMOTE),
    // Remote storage.
    main("storage_engine", EnumList(enums::STORAGE), "local", "Where backups are kept.").planned(STORAGE),
    main("ssh_hostname", Text, "", "The host that backups are copied to.").planned(STORAGE),
    main("ssh_username", Text, "", "The user on that host.").planned(STORAGE),
    main("ssh_port", Integer(0, MAX_PORT), "0", "The port on that host; 0 is 22.").planned(STORAGE),
    main("ssh_base_dir", Path, "", "The directory on that host.").planned(STORAGE),
    main("ssh_ciphers", Text, "", "The ciphers for that host.").planned(STORAGE),
    main("ssh_public_key_file", Path, "", "The public key for that host.").planned(STORAGE),
    main("ssh_private_key_file", Path, "", "The private key for that host.").planned(STORAGE),
    both("s3_endpoint", Text, "", "The S3 service.").planned(STORAGE),
    both("s3_port", Integer(0, MAX_PORT), "0", "The port of the S3 service; 0 is 443 with TLS, 80 without.").planned(STORAGE),
    both("s3_use_tls", Boolean, "off", "Whether the connection to it is encrypted.").planned(STORAGE),
    both("s3_region", Text, "", "The region of the bucket.").planned(STORAGE),
    both("s3_access_key_id", Text, "", "The access key ID.").planned(STORAGE),
    both("s3_secret_access_key", Text, "", "The key for it.").secret().planned(STORAGE),
    both("s3_bucket", Text, "", "The bucket.").planned(STORAGE),
    both("s3_base_dir", PlainPath, "", "The directory in the bucket.").planned(STORAGE),
    both("s3_storage_class", Text, "", "The storage class of what is stored.").planned(STORAGE),
    main("azure_storage_account", Text, "", "The Azure storage account.").planned(STORAGE),
    main("azure_container", Text, "", "The container in it.").planned(STORAGE),
    main("azure_shared_key", Text, "", "The key for it.").secret().planned(STORAGE),
    main("azure_base_dir", PlainPath, "", "The directory in the container.").planned(STORAGE),
    main("azure_endpoint", Text, "", "Another service that speaks this protocol.").planned(STORAGE),
    main("azure_port", Integer(0, MAX_PORT), "0", "The port of that service; 0 is 443.").planned(STORAGE),
    main("azure_use_tls", Boolean, "off", "Whether the connection to that service is encrypted.").planned(STORAGE),
    // Accepted for compatibility with the C program.
    main("non_blocking", Boolean, "on", "No effect.").reloadable().ignored("no connection here blocks another"),
    main("libev", Enum(enums::LIBEV), "auto", "No effect.").ignored("there is no event library to choose"),
    main("hugepage", Enum(enums::HUGEPAGE), "try", "No effect.").ignored("there is no shared memory"),
    main("direct_io", Enum(enums::DIRECT_IO), "off", "No effect.").ignored("files are synced before anything depends on them"),
    main("update_process_title", Enum(enums::TITLE), "verbose", "No effect.").ignored("there is one process; its threads have names"),
    main("link", Boolean, "on", "No effect.").ignored("unchanged files are always stored once"),
];

/// The row of a key in `[pgmoneta]` (or, for `false`, in the section of a server).
pub(super) fn find(rows: &'static [Setting], key: &str, main: bool) -> Option<&'static Setting> {
    rows.iter()
        .find(|setting| setting.key == key && setting.allowed(main))
}
