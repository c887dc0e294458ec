//! Who is let in, and what the others are told.

use pgmoneta::config::{AuthMethods, Host};
use pgmoneta::error::Kind;
use pgmoneta::pg::{Facts, Mode, Slot};

use super::setup::{advises, login, open, refused, secret};
use crate::harness::{Cluster, MAJORS, REPLICATION_USER, Scratch, installed};

#[test]
fn scram_works_over_tcp_and_over_the_unix_socket() {
    let scratch = Scratch::new("pg-scram");
    let mut cluster = Cluster::builder(&scratch).create();
    cluster.hba("local all postgres trust\nlocal all,replication all scram-sha-256\nhost all,replication all 127.0.0.1/32 scram-sha-256\n");
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
        assert_eq!(failure.kind(), Kind::Authentication);
        assert_eq!(failure.code(), Some("28P01"));
        assert!(advises(&failure, "pgmoneta-admin"), "{failure:?}");

        wrong.password = None;
        let failure = refused(&wrong, Mode::Sql);
        assert_eq!(failure.kind(), Kind::Authentication);
        assert!(advises(&failure, "pgmoneta-admin"), "{failure:?}");
    }
}

#[test]
fn an_error_leaves_the_connection_usable() {
    let scratch = Scratch::new("pg-error");
    let cluster = Cluster::builder(&scratch).start();
    let mut sql = open(&login(&cluster), Mode::Sql).unwrap();
    let failure = sql.query("SELECT 1/0").unwrap_err();
    assert_eq!(failure.kind(), Kind::Server);
    assert_eq!(failure.code(), Some("22012"));
    assert_eq!(sql.query("SELECT 2").unwrap()[0].text(0).unwrap(), "2");
}

#[test]
fn md5_and_the_bare_password_need_permission() {
    let scratch = Scratch::new("pg-md5");
    let mut cluster = Cluster::builder(&scratch)
        .major(15)
        .conf("password_encryption = md5")
        .create();
    cluster.hba("local all postgres trust\nhost all old 127.0.0.1/32 md5\nhost all bare 127.0.0.1/32 password\n");
    cluster.start();
    cluster.sql("CREATE ROLE old LOGIN PASSWORD 'p'");
    cluster.sql("CREATE ROLE bare LOGIN PASSWORD 'p'");
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
            cert: true,
        };
        for auth in [AuthMethods::default(), other] {
            login.auth = auth;
            let failure = refused(&login, Mode::Sql);
            assert_eq!(failure.kind(), Kind::Authentication);
            assert!(advises(&failure, "auth = "), "{failure:?}");
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
fn a_server_that_asks_nothing_needs_permission() {
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
            };
            let failure = refused(&login, Mode::Replication);
            assert_eq!(failure.kind(), Kind::Authentication);
            assert!(failure.message().contains("without asking"), "{failure:?}");
            assert!(advises(&failure, "auth = trust"), "{failure:?}");
        }
        login.auth = AuthMethods {
            trust: true,
            ..AuthMethods::default()
        };
        open(&login, Mode::Replication).unwrap();
    }
}

#[test]
fn a_role_without_replication_is_told_what_it_lacks() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("pg-role");
        let cluster = Cluster::builder(&scratch).major(major).start();
        cluster.sql(&format!("ALTER ROLE {REPLICATION_USER} NOREPLICATION"));
        let failure = refused(&login(&cluster), Mode::Replication);
        assert_eq!(failure.code(), Some("42501"), "{major}: {failure:?}");
        assert!(advises(&failure, "ALTER ROLE"), "{major}: {failure:?}");
    }
}

#[test]
fn a_role_that_is_unknown_or_not_in_pg_hba_conf_is_told_so() {
    let scratch = Scratch::new("pg-hba");
    let mut cluster = Cluster::builder(&scratch).create();
    cluster.hba("local all postgres trust\n");
    cluster.start();
    let failure = refused(&login(&cluster), Mode::Sql);
    assert_eq!(failure.kind(), Kind::Authentication);
    assert!(advises(&failure, "pg_hba.conf"), "{failure:?}");
}

#[test]
fn facts_need_no_more_than_a_login() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("pg-facts");
        let mut cluster = Cluster::builder(&scratch)
            .major(major)
            .without_checksums()
            .wal_segment_mib(32)
            .start();
        let login = login(&cluster);
        let facts = Facts::read(&mut open(&login, Mode::Sql).unwrap()).unwrap();
        let identity = open(&login, Mode::Replication)
            .unwrap()
            .identify_system()
            .unwrap();
        assert_eq!(facts.version.major, major);
        assert_eq!(facts.system_identifier, identity.system_identifier);
        assert_eq!(facts.segment_size.bytes(), 32 << 20);
        assert_eq!(facts.wal_level, "replica");
        assert_eq!(
            (facts.block_size, facts.relation_segment_size),
            (8192, 1 << 30)
        );
        assert!(!facts.checksums && !facts.in_recovery);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_micros() as i64;
        assert!((now - facts.now_micros).abs() < 60_000_000, "{facts:?}");

        cluster.configure("wal_level = minimal\nmax_wal_senders = 0");
        cluster.restart();
        let failure = Facts::read(&mut open(&login, Mode::Sql).unwrap()).unwrap_err();
        assert_eq!(failure.kind(), Kind::Configuration);
        assert!(advises(&failure, "wal_level = replica"), "{failure:?}");
    }
}

#[test]
fn slots_are_made_read_and_found() {
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
        assert!(slot.physical && slot.active.is_none(), "{slot:?}");
        assert_eq!(slot.wal_status.as_deref(), Some("reserved"));
        assert!(slot.restart.is_some());
        if major >= 15 {
            let (timeline, restart) = replication
                .read_replication_slot("archive")
                .unwrap()
                .unwrap();
            assert_eq!((timeline.number(), Some(restart)), (1, slot.restart));
            assert_eq!(replication.read_replication_slot("no_such").unwrap(), None);
        }
        let failure = replication.create_replication_slot("archive").unwrap_err();
        assert_eq!(failure.code(), Some("42710"));
        // What is no name of a slot is one name for the server too, or does not reach it.
        let failure = replication
            .create_replication_slot("x LOGICAL y")
            .unwrap_err();
        assert_eq!(failure.code(), Some("42602"), "{failure:?}");
        let failure = replication
            .create_replication_slot("x\" LOGICAL y")
            .unwrap_err();
        assert_eq!(failure.kind(), Kind::Usage, "{failure:?}");
        replication.identify_system().unwrap();
    }
}

#[test]
fn a_role_that_may_not_ask_for_the_identity_is_told_the_grant() {
    let scratch = Scratch::new("pg-grant");
    let cluster = Cluster::builder(&scratch).start();
    cluster.sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    let mut sql = open(&login(&cluster), Mode::Sql).unwrap();
    let failure = Facts::read(&mut sql).unwrap_err();
    assert_eq!(failure.code(), Some("42501"));
    assert!(advises(&failure, "GRANT EXECUTE"), "{failure:?}");
}

#[test]
fn without_the_database_postgres_another_one_is_asked() {
    let scratch = Scratch::new("pg-nodatabase");
    let cluster = Cluster::builder(&scratch).start();
    cluster.sql("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC");
    let facts = || Facts::read(&mut open(&login(&cluster), Mode::Sql).unwrap()).unwrap();
    facts();
    cluster.sql_in("template1", "DROP DATABASE postgres");
    facts();
    open(&login(&cluster), Mode::Replication).unwrap();
    cluster.sql_in(
        "template1",
        "REVOKE CONNECT ON DATABASE template1 FROM PUBLIC",
    );
    let failure = refused(&login(&cluster), Mode::Sql);
    assert_eq!(failure.code(), Some("3D000"));
    assert!(advises(&failure, "template1"), "{failure:?}");
}
