//! Names in other encodings than UTF-8, and files with times before 1970 or far in the future.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pgmoneta::pg::{ClusterObjects, Mode, ServerInfo};

use super::by_hand::check_sums;
use crate::harness::{Cluster, Daemon, SUPERUSER, Scratch, client, run, user};
use crate::pg::setup::{login, open};

/// Runs an SQL script without conversion; with psql, as the crate `postgres` knows UTF-8 only.
fn script(scratch: &Scratch, cluster: &Cluster, sql: &[u8]) {
    let path = scratch.write("script.sql", sql);
    run(user()
        .command(client("psql"))
        .env("PGCLIENTENCODING", "SQL_ASCII")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h"])
        .arg(cluster.sockets())
        .args(["-p", &cluster.port().to_string()])
        .args(["-U", SUPERUSER, "-d", "postgres", "-f"])
        .arg(path));
}

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn directory(scratch: &Scratch, name: &[u8]) -> PathBuf {
    let path = scratch.join(OsStr::from_bytes(name));
    fs::create_dir(&path).unwrap();
    user().chown(&path);
    path
}

/// Sets modification times that do not fit into the octal digits of a tar header.
fn set_times(data: &Path) -> Vec<(PathBuf, SystemTime)> {
    let dates = [
        (
            "PG_VERSION",
            SystemTime::UNIX_EPOCH - Duration::from_secs(315_619_200),
        ),
        (
            "global/pg_filenode.map",
            SystemTime::UNIX_EPOCH - Duration::from_secs(1),
        ),
        (
            "pg_ident.conf",
            SystemTime::UNIX_EPOCH + Duration::from_secs(10_000_000_000),
        ),
    ];
    for (name, time) in dates {
        let file = File::options().append(true).open(data.join(name)).unwrap();
        file.set_modified(time).unwrap();
    }
    dates.map(|(name, time)| (name.into(), time)).to_vec()
}

/// Creates two tablespaces with an object in each.
fn create_tablespaces(scratch: &Scratch, cluster: &Cluster) {
    let latin1 = directory(scratch, b"donn\xe9es");
    let plain = directory(scratch, b"plain");
    let location = |path: &Path| bytes(&[b"LOCATION '", path.as_os_str().as_bytes(), b"';\n"]);
    let sql = bytes(&[
        b"CREATE TABLESPACE \"caf\xe9\" ",
        &location(&latin1),
        b"CREATE TABLESPACE \"a/b\" ",
        &location(&plain),
        b"CREATE DATABASE \"d\xe9p\xf4t\" TABLESPACE \"caf\xe9\";\n",
        b"CREATE TABLE t TABLESPACE \"a/b\" AS SELECT g FROM generate_series(1, 1000) g;\n",
    ]);
    script(scratch, cluster, &sql);
}

#[test]
fn names_that_are_not_utf8_and_files_from_before_1970_are_kept() {
    let scratch = Scratch::new("nottext");
    let cluster = Cluster::builder(&scratch)
        .encoding("SQL_ASCII")
        .template_databases()
        .start();
    create_tablespaces(&scratch, &cluster);
    let name = OsStr::from_bytes(b"odd \xff");
    fs::write(cluster.data().join(name), "odd").unwrap();
    user().chown(&cluster.data().join(name));
    let dates = set_times(cluster.data());
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start_streaming();
    let label = daemon.backup("primary");
    daemon.cli(&["verify", "primary", &label]).ok();
    check_sums(&daemon.backups("primary").join(&label));

    let info = daemon
        .cli(&["--format", "json", "info", "primary", &label])
        .ok();
    let tablespaces = info.json()["Response"]["Tablespaces"].clone();
    let [cafe, a_b] = &tablespaces.as_array().unwrap()[..] else {
        panic!("{tablespaces}")
    };
    assert_eq!(cafe["TablespaceName"], "tblspc_caf\\xe9");
    assert_eq!(a_b["TablespaceName"], "tblspc_a\\x2fb");
    let path = cafe["TablespacePath"].as_str().unwrap();
    assert!(path.ends_with("/donn\\xe9es"), "{path}");

    let (target, mapped) = (scratch.directory("r"), scratch.directory("mapped"));
    let option = format!("caf\\xe9={}", mapped.display());
    let target = target.to_str().unwrap();
    let arguments = [
        "restore",
        "primary",
        &label,
        target,
        "--tablespace",
        &option,
    ];
    daemon.cli(&arguments).ok();
    let data = Path::new(target).join(format!("primary-{label}"));
    let beside = Path::new(target).join(format!("primary-{label}-tblspc_a\\x2fb"));
    let link = |tablespace: &serde_json::Value| {
        let oid = tablespace["TablespaceOid"].to_string();
        fs::read_link(data.join("pg_tblspc").join(oid)).unwrap()
    };
    assert_eq!((link(cafe), link(a_b)), (mapped, beside));
    assert_eq!(fs::read(data.join(name)).unwrap(), b"odd");
    for (name, time) in dates {
        let found = fs::metadata(data.join(&name)).unwrap().modified().unwrap();
        assert_eq!(found, time, "{}", name.display());
    }
    let mut restored = Cluster::adopt(&scratch, cluster.major(), data);
    restored.start();
    restored.wait_primary(60);
    assert_eq!(restored.count("t"), 1000);
}

#[test]
fn names_are_read_from_servers_with_other_encodings() {
    let scratch = Scratch::new("encodings");
    // There is no conversion between MULE_INTERNAL and UTF-8.
    for (encoding, name, expected) in [
        ("LATIN1", &b"d\xe9p\xf4t"[..], "dépôt".as_bytes()),
        ("SQL_ASCII", b"d\xe9p\xf4t", b"d\xe9p\xf4t"),
        ("MULE_INTERNAL", b"depot", b"depot"),
    ] {
        let cluster = Cluster::builder(&scratch)
            .name(encoding)
            .encoding(encoding)
            .template_databases()
            .start();
        let sql = bytes(&[b"CREATE DATABASE \"", name, b"\";"]);
        script(&scratch, &cluster, &sql);
        let mut connection = open(&login(&cluster), Mode::Sql).unwrap();
        ServerInfo::read(&mut connection).unwrap();
        let objects = ClusterObjects::read(&mut connection).unwrap();
        let names = objects.databases.iter().map(|found| found.name.as_slice());
        let found: Vec<&[u8]> = names.filter(|name| name.starts_with(b"d")).collect();
        assert_eq!(found, [expected], "{encoding}");
        open(&login(&cluster), Mode::Replication)
            .unwrap()
            .identify_system()
            .unwrap();
    }
}
