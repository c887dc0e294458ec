//! Logins to real servers, and the errors and hints of those that fail.

use pgmoneta::config::{AuthMethods, Host};
use pgmoneta::error::ErrorKind;
use pgmoneta::pg::{Mode, ServerInfo, ServerState, Slot};
use pgmoneta::unit::Lsn;

use super::setup::{hint_contains, login, open, refused, secret};
use crate::harness::{Cluster, MAJORS, REPLICATION_USER, Scratch, installed};

#[test]
fn scram_works_over_tcp_and_over_the_unix_socket() {
    let scratch = Scratch::new("pg-scram");
    let mut cluster = Cluster::builder(&scratch).create();
    cluster.hba(
        "local all postgres trust\nlocal all,replication all scram-sha-256\n\
         host all,replication all 127.0.0.1/32 scram-sha-256\n",
    );
    cluster.start();
    let tcp = login(&cluster);
    let mut unix = tcp.clone();
    unix.host = Host::Unix(cluster.sockets().to_owned());
    for login in [tcp, unix] {
        let mut sql = open(&login, Mode::Sql).unwrap();
        let rows = sql
            .query("SELECT current_user, 1; SELECT NULL, 'x'")
            .unwrap();
        assert_eq!(rows.len(), 1);
        assert!(rows[0].text(0).is_err());
        assert_eq!(rows[0].text(1).unwrap(), "x");
        let mut replication = open(&login, Mode::Replication).unwrap();
        replication.identify_system().unwrap();

        let mut wrong = login.clone();
        wrong.password = Some(secret("wrong"));
        let failure = refused(&wrong, Mode::Sql);
        assert_eq!(failure.kind(), ErrorKind::Authentication);
        assert_eq!(failure.code(), Some("28P01"));
        assert!(hint_contains(&failure, "pgmoneta-admin"), "{failure:?}");

        wrong.password = None;
        let failure = refused(&wrong, Mode::Sql);
        assert_eq!(failure.kind(), ErrorKind::Authentication);
        assert!(hint_contains(&failure, "pgmoneta-admin"), "{failure:?}");
    }
}

#[test]
fn an_error_leaves_the_connection_usable() {
    let scratch = Scratch::new("pg-error");
    let cluster = Cluster::builder(&scratch).start();
    let mut sql = open(&login(&cluster), Mode::Sql).unwrap();
    let failure = sql.query("SELECT 1/0").unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Server);
    assert_eq!(failure.code(), Some("22012"));
    assert_eq!(sql.query("SELECT 2").unwrap()[0].text(0).unwrap(), "2");
}

#[test]
fn md5_and_clear_text_passwords_must_be_permitted() {
    let scratch = Scratch::new("pg-md5");
    let mut cluster = Cluster::builder(&scratch)
        .major(15)
        .conf("password_encryption = md5")
        .create();
    cluster.hba(
        "local all postgres trust\nhost all old 127.0.0.1/32 md5\n\
         host all bare 127.0.0.1/32 password\n",
    );
    cluster.start();
    cluster.execute("CREATE ROLE old LOGIN PASSWORD 'p'");
    cluster.execute("CREATE ROLE bare LOGIN PASSWORD 'p'");
    for (user, permitted) in [
        (
            "old",
            AuthMethods {
                md5: true,
                ..AuthMethods::default()
            },
        ),
        (
            "bare",
            AuthMethods {
                password: true,
                ..AuthMethods::default()
            },
        ),
    ] {
        let mut login = login(&cluster);
        login.user = user.to_owned();
        login.password = Some(secret("p"));
        let other = AuthMethods {
            md5: !permitted.md5,
            password: !permitted.password,
            trust: true,
            peer: true,
            cert: true,
        };
        for auth in [AuthMethods::default(), other] {
            login.auth = auth;
            let failure = refused(&login, Mode::Sql);
            assert_eq!(failure.kind(), ErrorKind::Authentication);
            assert!(hint_contains(&failure, "auth = "), "{failure:?}");
        }
        login.auth = permitted;
        let mut sql = open(&login, Mode::Sql).unwrap();
        let rows = sql.query("SELECT current_user").unwrap();
        assert_eq!(rows[0].text(0).unwrap(), user);
        login.password = Some(secret("q"));
        assert_eq!(refused(&login, Mode::Sql).code(), Some("28P01"));
    }
}

#[test]
fn trust_authentication_must_be_permitted() {
    let scratch = Scratch::new("pg-trust");
    let mut cluster = Cluster::builder(&scratch).create();
    cluster.hba("local all,replication all trust\nhost all,replication all 127.0.0.1/32 trust\n");
    cluster.start();
    let tcp = login(&cluster);
    let mut unix = tcp.clone();
    unix.host = Host::Unix(cluster.sockets().to_owned());
    for mut login in [tcp, unix] {
        for cert in [false, true] {
            login.auth = AuthMethods {
                md5: true,
                password: true,
                cert,
                trust: false,
                peer: false,
            };
            let failure = refused(&login, Mode::Replication);
            assert_eq!(failure.kind(), ErrorKind::Authentication);
            assert!(failure.message().contains("without asking"), "{failure:?}");
            assert!(hint_contains(&failure, "auth = trust"), "{failure:?}");
        }
        login.auth = AuthMethods {
            trust: true,
            ..AuthMethods::default()
        };
        open(&login, Mode::Replication).unwrap();
    }
}

#[test]
fn a_role_without_replication_gets_a_hint() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("pg-role");
        let cluster = Cluster::builder(&scratch).major(major).start();
        cluster.execute(&format!("ALTER ROLE {REPLICATION_USER} NOREPLICATION"));
        let failure = refused(&login(&cluster), Mode::Replication);
        assert_eq!(failure.code(), Some("42501"), "{major}: {failure:?}");
        assert!(
            hint_contains(&failure, "ALTER ROLE"),
            "{major}: {failure:?}"
        );
    }
}

#[test]
fn an_unknown_role_or_one_missing_in_pg_hba_conf_gets_a_hint() {
    let scratch = Scratch::new("pg-hba");
    let mut cluster = Cluster::builder(&scratch).create();
    cluster.hba("local all postgres trust\n");
    cluster.start();
    let failure = refused(&login(&cluster), Mode::Sql);
    assert_eq!(failure.kind(), ErrorKind::Authentication);
    assert!(hint_contains(&failure, "pg_hba.conf"), "{failure:?}");
}

#[test]
fn server_info_needs_only_the_login_privilege() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("pg-info");
        let mut cluster = Cluster::builder(&scratch)
            .major(major)
            .without_checksums()
            .wal_segment_mib(32)
            .start();
        let login = login(&cluster);
        let mut sql = open(&login, Mode::Sql).unwrap();
        let info = ServerInfo::read(&mut sql).unwrap();
        let state = ServerState::read(&mut sql).unwrap();
        assert!(state.wal_end > Lsn::ZERO && !state.summarizes_wal && state.fips.is_none());
        assert_eq!(state.extensions[0][0], "plpgsql");
        let identity = open(&login, Mode::Replication)
            .unwrap()
            .identify_system()
            .unwrap();
        assert_eq!(info.version.major, major);
        assert_eq!(info.system_identifier, identity.system_identifier);
        assert_eq!(info.segment_size.bytes(), 32 << 20);
        assert_eq!(info.wal_level, "replica");
        assert_eq!(
            (info.block_size, info.relation_segment_size),
            (8192, 1 << 30)
        );
        assert!(!info.checksums && !info.in_recovery);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_micros() as i64;
        assert!((now - info.now_micros).abs() < 60_000_000, "{info:?}");

        cluster.configure("wal_level = minimal\nmax_wal_senders = 0");
        cluster.restart();
        let failure = ServerInfo::read(&mut open(&login, Mode::Sql).unwrap()).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Configuration);
        assert!(
            hint_contains(&failure, "wal_level = replica"),
            "{failure:?}"
        );
    }
}

#[test]
fn slots_are_created_read_and_found() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("pg-slot");
        let cluster = Cluster::builder(&scratch).major(major).start();
        let login = login(&cluster);
        let mut sql = open(&login, Mode::Sql).unwrap();
        let mut replication = open(&login, Mode::Replication).unwrap();
        assert_eq!(Slot::find(&mut sql, "archive").unwrap(), None);
        assert_eq!(Slot::find(&mut sql, "a'b\\").unwrap(), None);
        replication.create_replication_slot("archive").unwrap();
        let slot = Slot::find(&mut sql, "archive").unwrap().unwrap();
        assert!(slot.physical && slot.active_pid.is_none(), "{slot:?}");
        assert_eq!(slot.wal_status.as_deref(), Some("reserved"));
        assert!(slot.restart_lsn.is_some());
        if major >= 15 {
            let restart = replication
                .read_replication_slot("archive")
                .unwrap()
                .unwrap();
            assert_eq!(
                (restart.timeline.number(), Some(restart.lsn)),
                (1, slot.restart_lsn)
            );
            assert_eq!(replication.read_replication_slot("no_such").unwrap(), None);
        }
        let failure = replication.create_replication_slot("archive").unwrap_err();
        assert_eq!(failure.code(), Some("42710"));
        // An invalid slot name reaches the server as a single name, or not at all.
        let failure = replication
            .create_replication_slot("x LOGICAL y")
            .unwrap_err();
        assert_eq!(failure.code(), Some("42602"), "{failure:?}");
        let failure = replication
            .create_replication_slot("x\" LOGICAL y")
            .unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Usage, "{failure:?}");
        replication.identify_system().unwrap();
    }
}

#[test]
fn a_role_without_pg_control_system_gets_the_grant_as_hint() {
    let scratch = Scratch::new("pg-grant");
    let cluster = Cluster::builder(&scratch).start();
    cluster.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    let mut sql = open(&login(&cluster), Mode::Sql).unwrap();
    let failure = ServerInfo::read(&mut sql).unwrap_err();
    assert_eq!(failure.code(), Some("42501"));
    assert!(hint_contains(&failure, "GRANT EXECUTE"), "{failure:?}");
}

#[test]
fn without_the_database_postgres_template1_is_used() {
    let scratch = Scratch::new("pg-nodatabase");
    let cluster = Cluster::builder(&scratch).template_databases().start();
    cluster.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC");
    let info = || ServerInfo::read(&mut open(&login(&cluster), Mode::Sql).unwrap()).unwrap();
    info();
    let mut client = cluster.connect("template1");
    // FORCE, as the connection for other statements is kept.
    client
        .batch_execute("DROP DATABASE postgres WITH (FORCE)")
        .unwrap();
    info();
    open(&login(&cluster), Mode::Replication).unwrap();
    client
        .batch_execute("REVOKE CONNECT ON DATABASE template1 FROM PUBLIC")
        .unwrap();
    let failure = refused(&login(&cluster), Mode::Sql);
    assert_eq!(failure.code(), Some("3D000"));
    assert!(hint_contains(&failure, "template1"), "{failure:?}");
}
