//! Base backups.

use std::io::Read;
use std::thread::JoinHandle;

use proptest::prelude::*;

use super::super::*;
use super::server::*;
use crate::config::Checkpoint;
use crate::error::{ErrorKind, Result};
use crate::sys::Stop;
use crate::unit::{Lsn, Timeline};

/// A base backup of a data directory and tablespace 77; `copy` is what the server sends.
fn base_backup(version: &'static str, copy: Vec<u8>) -> (BaseBackup, JoinHandle<Vec<u8>>) {
    let (login, thread) = server(move |socket| {
        accept_login(socket, version);
        assert_eq!(receive(socket).0, b'Q');
        let answer = [
            message(b'T', b"\0\0"),
            message(b'D', b"\0\x02\0\0\0\x090/2000028\0\0\0\x011"),
            message(b'C', b"SELECT\0"),
            message(b'T', b"\0\0"),
            message(b'D', b"\0\x03\0\0\0\x0277\0\0\0\x04/spc\0\0\0\x011"),
            message(b'D', b"\0\x03\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x012"),
            message(b'C', b"SELECT\0"),
            copy,
        ];
        send(socket, &answer.concat());
        socket.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let connection = Connection::open(&login, Mode::Replication, &Stop::new().unwrap()).unwrap();
    let options = BaseBackupOptions {
        label: "x".to_owned(),
        checkpoint: Checkpoint::Fast,
        max_rate: None,
    };
    let backup = BaseBackup::start(connection, &options).unwrap();
    assert_eq!(backup.start_position(), Timeline::FIRST.at(Lsn(0x200_0028)));
    assert_eq!(backup.tablespaces().len(), 2);
    assert_eq!(backup.tablespaces()[1].size, Some(2048));
    (backup, thread)
}

/// The size limit for the manifest in the tests.
const MAX_MANIFEST: usize = 1000;

/// The OID and the bytes of an archive.
type ReceivedArchive = (Option<u32>, Vec<u8>);

/// Reads a base backup to its end: each archive, and the manifest.
fn read(mut backup: BaseBackup) -> Result<(Vec<ReceivedArchive>, Vec<u8>)> {
    let mut archives = Vec::new();
    while let Some(mut archive) = backup.next_archive()? {
        let mut bytes = Vec::new();
        archive.read_to_end(&mut bytes)?;
        archives.push((archive.1.oid, bytes));
    }
    let manifest = backup.manifest(MAX_MANIFEST)?;
    assert_eq!(backup.finish()?.0, Timeline::FIRST.at(Lsn(0x200_0100)));
    Ok((archives, manifest))
}

fn end() -> Vec<u8> {
    [
        message(b'T', b"\0\0"),
        message(b'D', b"\0\x02\0\0\0\x090/2000100\0\0\0\x011"),
        message(b'C', b"SELECT\0"),
        message(b'C', b"BASE_BACKUP\0"),
        READY.to_vec(),
    ]
    .concat()
}

fn begin() -> Vec<u8> {
    message(b'H', b"\0\0\0")
}

fn typed(parts: &[&[u8]]) -> Vec<u8> {
    let data: Vec<u8> = parts.iter().flat_map(|part| message(b'd', part)).collect();
    [begin(), data, message(b'c', b""), end()].concat()
}

#[test]
fn both_formats_of_a_base_backup_give_the_same_result() {
    let parts: [&[u8]; 9] = [
        b"n77.tar\0/spc\0",
        b"dab",
        b"p\0\0\0\0\0\0\0\x01",
        b"d",
        b"dc",
        b"nbase.tar\0\0",
        b"dmain",
        b"m",
        b"d{}",
    ];
    let one = |data: &[u8]| [begin(), message(b'd', data), message(b'c', b"")].concat();
    let copies = [one(b"abc"), one(b"main"), one(b"{}"), end()].concat();
    for (version, copy) in [
        ("15.1", typed(&parts)),
        ("18.0", typed(&parts)),
        ("14.9", copies),
    ] {
        let (backup, thread) = base_backup(version, copy);
        let (archives, manifest) = read(backup).unwrap();
        let expected = [(Some(77), b"abc".to_vec()), (None, b"main".to_vec())];
        assert_eq!(archives, expected, "{version}");
        assert_eq!(manifest, b"{}", "{version}");
        thread.join().unwrap();
    }
}

#[test]
fn an_endless_manifest_is_an_error() {
    let long = [b"d", &vec![b' '; MAX_MANIFEST + 1][..]].concat();
    let parts: [&[u8]; 4] = [b"n77.tar\0/spc\0", b"nbase.tar\0\0", b"m", &long];
    let (backup, thread) = base_backup("17.2", typed(&parts));
    let failure = read(backup).unwrap_err();
    assert!(failure.message().contains("longer than"), "{failure:?}");
    thread.join().unwrap();
}

#[test]
fn archives_out_of_order_are_rejected() {
    let wrong: [&[&[u8]]; 9] = [
        &[b"nbase.tar\0\0", b"dx", b"m", b"d{}"],
        &[b"nbase.tar\0\0", b"nbase.tar\0\0"],
        &[b"n78.tar\0/other\0"],
        &[b"nbase.tar"],
        &[b"dx"],
        &[b"m"],
        &[b"?"],
        &[b""],
        &[b"n77.tar\0/spc\0", b"dx", b"nbase.tar\0\0", b"dy"],
    ];
    for parts in wrong {
        let (backup, thread) = base_backup("17.2", typed(parts));
        let failure = read(backup).unwrap_err();
        assert_eq!(
            failure.kind(),
            ErrorKind::Protocol,
            "{parts:?}: {failure:?}"
        );
        thread.join().unwrap();
    }
}

#[test]
fn an_error_or_the_end_within_an_archive_is_an_error() {
    let start = [
        begin(),
        message(b'd', b"n77.tar\0/spc\0"),
        message(b'd', b"dab"),
    ]
    .concat();
    let gone = message(b'E', b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0");
    let error = message(b'E', b"SERROR\0VERROR\0C58030\0Mcould not read file\0\0");
    for (tail, kind) in [
        (Vec::new(), ErrorKind::Network),
        (gone, ErrorKind::Network),
        (error, ErrorKind::Server),
        (message(b'c', b""), ErrorKind::Protocol),
    ] {
        let (backup, thread) = base_backup("17.2", [start.clone(), tail].concat());
        let failure = read(backup).unwrap_err();
        assert_eq!(failure.kind(), kind, "{failure:?}");
        thread.join().unwrap();
    }
}

#[test]
fn an_archive_must_be_read_to_its_end() {
    let parts: [&[u8]; 6] = [
        b"n77.tar\0/spc\0",
        b"dab\0\0",
        b"d\0\0",
        b"nbase.tar\0\0",
        b"m",
        b"d{}",
    ];
    for (count, whole) in [(1, false), (2, true), (3, true)] {
        let (mut backup, thread) = base_backup("17.2", typed(&parts));
        let mut archive = backup.next_archive().unwrap().unwrap();
        archive.read_exact(&mut vec![0; count]).unwrap();
        let next = backup
            .next_archive()
            .map(|archive| archive.map(|archive| archive.1.oid));
        match next {
            Ok(oid) => assert!(whole && oid == Some(None)),
            Err(failure) => assert!(!whole && failure.kind() == ErrorKind::Internal),
        }
        drop(backup);
        thread.join().unwrap();
    }
}

#[test]
fn calls_out_of_order_are_rejected() {
    let parts: [&[u8]; 4] = [b"n77.tar\0/spc\0", b"nbase.tar\0\0", b"m", b"d{}"];
    let (mut backup, thread) = base_backup("17.2", typed(&parts));
    assert_eq!(
        backup.manifest(MAX_MANIFEST).unwrap_err().kind(),
        ErrorKind::Internal
    );
    assert_eq!(backup.finish().unwrap_err().kind(), ErrorKind::Internal);
    thread.join().unwrap();
}

proptest! {
    #[test]
    fn parsers_never_panic(bytes: Vec<u8>) {
        let _ = server_error::ServerError::parse(&bytes);
        let _ = query::data_row_text(&bytes);
        let mut body = wire::Body(&bytes);
        while body.cstr().is_ok() {}
    }
}
