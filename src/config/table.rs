//! The option table: every key of `pgmoneta.conf`, in the order in which the manual page has them.

use super::option::Kind::{
    Boolean, InheritedBoolean, Integer, Level, List, Path, Pattern, PlainPath, Rate, Retention,
    ServerRate, Size, Text, Time, Word, WordList,
};
use super::option::Scope::{Both, Main, Server};
use super::option::Setting;
use super::words;

const fn main(
    key: &'static str,
    kind: super::option::Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting::new(Main, key, kind, default, help)
}

const fn server(
    key: &'static str,
    kind: super::option::Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting::new(Server, key, kind, default, help)
}

const fn both(
    key: &'static str,
    kind: super::option::Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting::new(Both, key, kind, default, help)
}

const COUNT: i64 = 1 << 16;
const PORT: i64 = u16::MAX as i64;

const METRICS: &str = "the metrics service";
const CONSOLE: &str = "the web console";
const REMOTE: &str = "remote management";
const STORAGE: &str = "remote storage";
const HOT_STANDBY: &str = "the hot standby";

/// The key, kind, default and meaning of every option.
#[rustfmt::skip] // A row is a line.
pub const OPTIONS: &[Setting] = &[
    // Where things are.
    main("host", Text, "", "The address on which TCP services listen, * for all; also part of the default name of the pid file.").required(),
    main("unix_socket_dir", Path, "", "The directory of the management socket .s.pgmoneta; it must exist.").required(),
    main("base_dir", Path, "", "The directory that holds the backups and the WAL of all servers; pgmoneta-admin repository create makes it.").required(),
    main("pidfile", Path, "", "The pid file; by default pgmoneta.HOST.pid in unix_socket_dir, with all in place of *."),
    // Connections.
    main("blocking_timeout", Time(1), "30s", "The longest wait for a blocking operation, such as WAL that a backup needs.").reloadable(),
    main("authentication_timeout", Time(1), "5s", "The longest wait for a connection and a log-in.").reloadable(),
    main("keep_alive", Boolean, "on", "Whether idle connections are probed.").reloadable(),
    main("nodelay", Boolean, "on", "Whether small packets are sent at once.").reloadable(),
    main("backlog", Integer(0, COUNT), "16", "How many connections may wait to be accepted; at least 16 are.").reloadable(),
    // Backups.
    main("compression", Word(words::COMPRESSION), "zstd", "How backups and WAL are compressed.").reloadable(),
    main("compression_level", Level, "auto", "How hard; auto chooses for each file. gzip: 1 to 9, zstd: -131072 to 22, lz4: 1 to 12, bzip2: 1 to 9.").reloadable(),
    main("encryption", Word(words::ENCRYPTION), "none", "How backups and WAL are encrypted from now on, with the master key; what is stored stays readable."),
    main("workers", Integer(0, 1024), "0", "How many threads compress, encrypt, verify and restore; 0 is one for each CPU."),
    server("workers", Integer(-1, 1024), "-1", "As in [pgmoneta], for this server; -1 takes that value."),
    main("max_rate", Rate, "0", "The most bytes a second a backup takes from a server; 0 is no limit.").reloadable(),
    server("max_rate", ServerRate, "-1", "As in [pgmoneta], for this server; -1 takes that value.").reloadable(),
    both("checkpoint", Word(words::CHECKPOINT), "fast", "Whether the checkpoint at the start of a backup is done at once or spread over time.").reloadable(),
    both("create_slot", Boolean, "off", "Whether a replication slot that is missing is created.").reloadable(),
    both("application_name", Text, "pgmoneta", "The name of our connections, which synchronous_standby_names may list."),
    both("wal_receiver_timeout", Time(1), "60s", "How long the WAL receiver waits for a sign of life before it connects anew."),
    both("retention", Retention, "7", "How long backups are kept: days, weeks, months, years; - where there is no rule.").reloadable().later("the removal of old backups"),
    main("retention_interval", Integer(1, i32::MAX as i64), "300", "How often old backups are looked for.").unit("seconds").later("the removal of old backups"),
    main("verification", Time(0), "0", "How often all backups are verified; 0 is never.").later("the regular verification"),
    both("workspace", Path, "", "The directory for temporary files.").later("work that needs temporary files"),
    both("progress", InheritedBoolean, "off", "Whether the progress of backups is kept for the progress command.").reloadable().later("the progress command"),
    // The log.
    main("log_type", Word(words::LOG_TYPE), "console", "Where the log goes."),
    main("log_level", Word(words::LOG_LEVEL), "info", "The least important messages that are logged.").reloadable(),
    main("log_path", Path, "pgmoneta.log", "The log file, a strftime pattern.").reloadable(),
    main("log_line_prefix", Pattern, "%Y-%m-%d %H:%M:%S", "The front of each line, a strftime pattern.").reloadable(),
    main("log_mode", Word(words::LOG_MODE), "append", "Whether an existing log file is continued or begun anew.").reloadable(),
    main("log_rotation_age", Time(0), "0", "The age at which the log file is opened anew; 0 is never.").reloadable(),
    main("log_rotation_size", Size, "0", "The size at which the log file is opened anew; 0 is never.").reloadable(),
    // Servers.
    server("host", Text, "", "The name or address of the server, or the directory of its Unix socket.").required(),
    server("port", Integer(1, PORT), "", "Its port.").required(),
    server("user", Text, "", "The role with REPLICATION to log in as; its password is in the users file.").required(),
    server("wal_slot", Text, "", "The physical replication slot: lower case letters, digits and _.").required(),
    server("auth", WordList(words::AUTH), "scram-sha-256", "How the server may let us in; scram-sha-256 always. Where the key is not set, trust and peer are allowed over a Unix socket, and cert with tls = verify and tls_cert_file."),
    server("tls", Word(words::TLS), "off", "Whether the connection is encrypted, and the certificate verified; on by default if a tls file is set, verify if tls_ca_file is."),
    server("tls_cert_file", Path, "", "Our certificate for the server, PEM."),
    server("tls_key_file", Path, "", "Its key, PEM."),
    server("tls_ca_file", Path, "", "The authorities that may have signed the certificate of the server, PEM."),
    server("follow", Text, "", "The server whose WAL is received while this one is down.").later("the take-over from a server that is down"),
    server("wal_shipping", PlainPath, "", "A directory that gets a copy of the WAL.").later("WAL shipping"),
    server("hot_standby", List(',', 8), "", "Directories that are kept as a copy of the newest backup.").reloadable().later(HOT_STANDBY),
    server("hot_standby_overrides", List('|', 8), "", "Directories whose files replace those of the copy, for each copy.").reloadable().later(HOT_STANDBY),
    server("hot_standby_tablespaces", List('|', 8), "", "Where the tablespaces of each copy are: from->to.").reloadable().later(HOT_STANDBY),
    server("extra", List(',', 64), "", "More files of the server that a backup takes.").reloadable().later("the backup of extra files"),
    // Services.
    main("metrics", Integer(0, PORT), "0", "The port of the metrics service; 0 is off.").reloadable().later(METRICS),
    main("metrics_cache_max_age", Time(0), "0", "How long an answer of the metrics service is used again; 0 is off.").reloadable().later(METRICS),
    main("metrics_cache_max_size", Size, "0", "The size of the cache of the metrics service.").later(METRICS),
    main("metrics_cert_file", PlainPath, "", "The certificate of the metrics service, PEM.").later(METRICS),
    main("metrics_key_file", PlainPath, "", "Its key, PEM.").later(METRICS),
    main("metrics_ca_file", PlainPath, "", "The authorities of its clients, PEM.").later(METRICS),
    main("nagios", Integer(0, PORT), "0", "The port of the Nagios service; 0 is off.").later("the Nagios service"),
    main("console", Integer(0, PORT), "0", "The port of the web console; 0 is off.").reloadable().later(CONSOLE),
    main("management", Integer(0, PORT), "0", "The port of remote management; 0 is off.").reloadable().later(REMOTE),
    main("tls", Boolean, "off", "Whether remote management is encrypted.").later(REMOTE),
    main("tls_cert_file", Path, "", "The certificate of remote management, PEM.").later(REMOTE),
    main("tls_key_file", Path, "", "Its key, PEM.").later(REMOTE),
    main("tls_ca_file", Path, "", "The authorities of its clients, PEM.").later(REMOTE),
    // Storage elsewhere.
    main("storage_engine", WordList(words::STORAGE), "local", "Where backups are kept.").later(STORAGE),
    main("ssh_hostname", Text, "", "The host that backups are copied to.").later(STORAGE),
    main("ssh_username", Text, "", "The user on that host.").later(STORAGE),
    main("ssh_port", Integer(0, PORT), "0", "The port on that host; 0 is 22.").later(STORAGE),
    main("ssh_base_dir", Path, "", "The directory on that host.").later(STORAGE),
    main("ssh_ciphers", Text, "", "The ciphers for that host.").later(STORAGE),
    main("ssh_public_key_file", Path, "", "Our public key for that host.").later(STORAGE),
    main("ssh_private_key_file", Path, "", "Our private key for that host.").later(STORAGE),
    both("s3_endpoint", Text, "", "The S3 service.").later(STORAGE),
    both("s3_port", Integer(0, PORT), "0", "Its port; 0 is 443 with TLS, 80 without.").later(STORAGE),
    both("s3_use_tls", Boolean, "off", "Whether the connection to it is encrypted.").later(STORAGE),
    both("s3_region", Text, "", "The region of the bucket.").later(STORAGE),
    both("s3_access_key_id", Text, "", "The identity of the key for it.").later(STORAGE),
    both("s3_secret_access_key", Text, "", "The key for it.").secret().later(STORAGE),
    both("s3_bucket", Text, "", "The bucket.").later(STORAGE),
    both("s3_base_dir", PlainPath, "", "The directory in the bucket.").later(STORAGE),
    both("s3_storage_class", Text, "", "The storage class of what is stored.").later(STORAGE),
    main("azure_storage_account", Text, "", "The Azure storage account.").later(STORAGE),
    main("azure_container", Text, "", "The container in it.").later(STORAGE),
    main("azure_shared_key", Text, "", "The key for it.").secret().later(STORAGE),
    main("azure_base_dir", PlainPath, "", "The directory in the container.").later(STORAGE),
    main("azure_endpoint", Text, "", "Another service that speaks this protocol.").later(STORAGE),
    main("azure_port", Integer(0, PORT), "0", "The port of that service; 0 is 443.").later(STORAGE),
    main("azure_use_tls", Boolean, "off", "Whether the connection to that service is encrypted.").later(STORAGE),
    // Known for the sake of files that have them.
    main("non_blocking", Boolean, "on", "Nothing.").reloadable().no_effect("no connection here blocks another"),
    main("libev", Word(words::LIBEV), "auto", "Nothing.").no_effect("there is no event library to choose"),
    main("hugepage", Word(words::HUGEPAGE), "try", "Nothing.").no_effect("there is no shared memory"),
    main("direct_io", Word(words::DIRECT_IO), "off", "Nothing.").no_effect("files are synced before anything depends on them"),
    main("update_process_title", Word(words::TITLE), "verbose", "Nothing.").no_effect("there is one process; its threads have names"),
    main("link", Boolean, "on", "Nothing.").no_effect("unchanged files are always stored once"),
];

/// The row of a key in `[pgmoneta]` (or, for `false`, in the section of a server).
pub(super) fn find(rows: &'static [Setting], key: &str, main: bool) -> Option<&'static Setting> {
    rows.iter()
        .find(|setting| setting.key == key && setting.allowed(main))
}
