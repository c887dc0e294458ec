//! What every byte of a frame may do.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::crypto::MasterKey;
use crate::error::{Failure, Kind};
use crate::unit::{Compression, Encryption, PgVersion};

fn key() -> MasterKey {
    MasterKey::quick(1)
}

fn read(bytes: &[u8]) -> crate::error::Result<Frame> {
    let mut rest = bytes;
    Frame::read(&mut |buffer| Ok(std::io::Read::read(&mut rest, buffer)?))
}

fn envelope(command: u16, request: Value) -> Envelope {
    let text = json!({"Header": {"Command": command}, "Request": request}).to_string();
    Envelope::read(&text).unwrap()
}

fn typed(command: u16, request: Value) -> crate::error::Result<Request> {
    let envelope = envelope(command, request);
    Request::read(envelope.command().unwrap(), envelope.request())
}

#[test]
fn a_frame_is_what_it_says() {
    let frame = Frame::encode("{}", Codec::PLAIN, None).unwrap();
    assert_eq!(frame.bytes().unwrap(), b"\0\0\0\0\0\x02{}");
    assert_eq!(read(b"\0\0\0\0\0\x02{}rest").unwrap(), frame);
}

#[test]
fn hostile_frames_are_failures() {
    for bytes in [
        &b""[..],
        b"\0",
        b"\0\0\0\0\0",
        b"\0\0\0\0\0\x03{}",
        b"\0\0\xff\xff\xff\xff",
        b"\0\0\x04\0\0\x01xxxx",
    ] {
        assert!(read(bytes).is_err(), "{bytes:?}");
    }
    for bytes in [
        &b"\x05\0\0\0\0\0"[..],
        b"\x12\0\0\0\0\0",
        b"\0\x04\0\0\0\0",
        b"\x02\0\0\0\0\0",
        b"\x01\0\0\0\0\x04AAA=",
        b"\x01\0\0\0\0\x04!!!!",
        b"\0\x01\0\0\0\x04AAA=",
        b"\0\0\0\0\0\x02\xff\xfe",
    ] {
        let frame = read(bytes).unwrap();
        assert!(frame.decode(None).is_err(), "{bytes:?}");
    }
}

#[test]
fn every_codec_returns_the_text() {
    let key = key();
    for compression in Compression::ALL {
        for encryption in Encryption::ALL {
            let codec = Codec {
                compression,
                encryption,
            };
            let text = r#"{"Header":{"Command":9},"Request":{}}"#;
            let frame = Frame::encode(text, codec, Some(&key)).unwrap();
            assert_eq!(
                (frame.compression, frame.encryption),
                (compression.code(), encryption.code())
            );
            let bytes = frame.bytes().unwrap();
            let frame = read(&bytes).unwrap();
            assert_eq!(frame.codec().unwrap(), codec);
            assert_eq!(frame.decode(Some(&key)).unwrap(), text);
            if encryption != Encryption::None {
                assert!(frame.decode(None).is_err(), "no key, no text");
                let other = MasterKey::quick(2);
                assert!(frame.decode(Some(&other)).is_err(), "another key, no text");
            }
        }
    }
}

/// The C program gives a bzip2 payload twenty times its room when it decompresses it.
#[test]
fn what_bzip2_packs_too_well_goes_as_it_is() {
    let codec = Codec {
        compression: Compression::Bzip2,
        encryption: Encryption::None,
    };
    let text = format!("{{\"a\":\"{}\"}}", "x".repeat(10_000));
    let frame = Frame::encode(&text, codec, None).unwrap();
    assert_eq!(frame.codec().unwrap(), Codec::PLAIN);
    assert_eq!(frame.decode(None).unwrap(), text);
}

#[test]
fn the_dialect_of_the_c_program_is_read() {
    let text = "{\"Header\":{\"Command\":18},\"Request\":{\"Server\":\"o\\'neil\",\"Backup\":\"a\\\\\\\"b\tc\"}}\0rest";
    let envelope = Envelope::read(text).unwrap();
    assert_eq!(
        Request::read(Command::Info, envelope.request()).unwrap(),
        Request::Info {
            server: "o'neil".to_owned(),
            backup: "a\\\"b\tc".to_owned()
        }
    );
}

#[test]
fn the_dialect_of_the_c_program_is_written() {
    let fields = json!({"z": "", "b": [], "a": {"x": 4.0}, "c": "o'neil \"\\\n\t\r\u{8}é/"});
    let Value::Object(fields) = fields else {
        panic!()
    };
    assert_eq!(
        json::compact(&fields).unwrap(),
        "{\"a\":{\"x\":4.000000},\"b\":{},\"c\":\"o'neil \\\"\\\\\\n\\t\\r\u{8}é/\",\"z\":null}"
    );
    assert_eq!(
        json::pretty(&fields).unwrap(),
        "{\n  \"a\": {\n    \"x\": 4.000000\n  },\n  \"b\": {},\n  \"c\": \"o'neil \\\"\\\\\\n\\t\\r\\bé/\",\n  \"z\": null\n}\n"
    );
}

#[test]
fn broken_documents_are_failures() {
    for text in [
        "",
        "{",
        "[]",
        "1",
        "nonsense",
        "{\"Header\":1}",
        "{\"Header\":[]}",
        "{\"Header\":{\"Command\":\"9\"}}",
        "{\"Header\":{\"Command\":9.5}}",
        "{\"Header\":{\"Command\":9},\"Request\":\"x\"}",
        "{\"Header\":{\"Command\":9},\"Request\":{}}x",
    ] {
        assert_eq!(
            Envelope::read(text).unwrap_err().kind(),
            Kind::Protocol,
            "{text}"
        );
    }
    let deep = "{\"Header\":".repeat(100_000);
    assert!(Envelope::read(&deep).is_err());
    assert_eq!(
        Envelope::read("{}").unwrap().command(),
        None,
        "no header is command 0"
    );
}

#[test]
fn wrong_types_are_failures_of_the_protocol() {
    for (command, request) in [
        (1, json!({"Server": 1})),
        (1, json!({"Server": "a", "Backup": {}})),
        (2, json!({"Server": "a", "Sort": 1})),
        (3, json!({"Server": "a", "Directory": []})),
        (3, json!({"Server": "a", "DryRun": "yes"})),
        (3, json!({"Server": "a", "ArchiveMode": "on"})),
        (3, json!({"Server": "a", "Tablespaces": ["x"]})),
        (3, json!({"Server": "a", "Tablespaces": {"x": 1}})),
        (18, json!({"Server": true})),
        (19, json!({"Server": "a", "Files": 7})),
        (25, json!({"Server": 1.5})),
        (18, json!({"Server": "x".repeat(5000)})),
    ] {
        let failure = typed(command, request.clone()).unwrap_err();
        assert_eq!(failure.kind(), Kind::Protocol, "{request}");
    }
    let failure = typed(2, json!({"Server": "a", "Sort": "up"})).unwrap_err();
    assert_eq!(failure.kind(), Kind::Usage);
}

#[test]
fn what_our_client_asks_is_what_the_daemon_reads() {
    let server = || "primary".to_owned();
    let requests = [
        Request::Ping,
        Request::Shutdown,
        Request::Status,
        Request::StatusDetails,
        Request::Backup {
            server: server(),
            parent: None,
        },
        Request::ListBackup {
            server: server(),
            sort: Sort::Descending,
        },
        Request::Info {
            server: server(),
            backup: "newest".to_owned(),
        },
        Request::Verify {
            directory: Some("/tmp/v".to_owned()),
            server: server(),
            backup: "oldest".to_owned(),
            all: true,
        },
        Request::Progress {
            server: server(),
            command: "backup".to_owned(),
        },
        Request::WalBegin { server: server() },
        Request::Restore(Restore {
            server: server(),
            backup: "newest".to_owned(),
            position: Some("current,primary".to_owned()),
            directory: "/restore".to_owned(),
            tablespaces: vec![("16384".to_owned(), "/ts".to_owned())],
            keep_synchronous: true,
            archive_off: true,
            dry_run: true,
        }),
    ];
    for request in requests {
        let envelope = Envelope::new(
            request.command(),
            request.members(),
            Codec::PLAIN,
            Output::Json,
        );
        let read = Envelope::read(&envelope.text().unwrap()).unwrap();
        assert_eq!(read, envelope);
        assert_eq!(
            Request::read(read.command().unwrap(), read.request()).unwrap(),
            request
        );
    }
}

/// The exact request and response of the C program, with the version and the time replaced.
#[test]
fn a_ping_is_answered_byte_for_byte() {
    let header = r#""Header":{"ClientVersion":"0.22.0","Command":9,"Compression":0,"Encryption":0,"Output":0,"Timestamp":"20261122083323"}"#;
    let request = format!("{{{header},\"Request\":{{}}}}");
    let frame = read(&[b"\0\0\0\0\0\x85".as_slice(), request.as_bytes()].concat()).unwrap();
    let envelope = Envelope::read(&frame.decode(None).unwrap()).unwrap();
    assert_eq!(envelope.text().unwrap(), request);
    let response = Response::success(
        &envelope,
        Duration::from_micros(72_345_678),
        Some(Fields::new()),
    );
    assert_eq!(
        response.text().unwrap(),
        format!(
            "{{{header},\"Outcome\":{{\"Status\":true,\"Time\":\"00:01:12.3456\"}},\"Request\":{{}},\
             \"Response\":{{\"ServerVersion\":\"{VERSION}\"}}}}"
        )
    );
    let response = Response::success(&envelope, Duration::from_secs(36_000), None);
    assert!(!response.document().contains_key("Response"));
    assert_eq!(
        response.outcome().unwrap().time.as_deref(),
        Some("10:00:0.0000")
    );
}

#[test]
fn a_failure_says_so_in_numbers_and_in_words() {
    let envelope = envelope(18, json!({"Server": "primary", "Backup": "20200101000000"}));
    let failure = Failure::new(Kind::NotFound, "no such backup").hint("list-backup lists them");
    let response = Response::failure(Some(&envelope), &failure.into());
    assert_eq!(
        response.text().unwrap(),
        "{\"Header\":{\"Command\":18},\"Outcome\":{\"Error\":2200,\"Hint\":\"list-backup lists them\",\
         \"Message\":\"no such backup\",\"Status\":false,\"Workflow\":\"info\"},\
         \"Request\":{\"Backup\":\"20200101000000\",\"Server\":\"primary\"},\
         \"Response\":{\"Server\":\"primary\",\"ServerVersion\":\"0.1.0\"}}"
    );
    let refusal = Refusal {
        cause: Cause::Undecodable,
        failure: Failure::new(Kind::Protocol, "it is no JSON"),
    };
    assert_eq!(
        Response::failure(None, &refusal).text().unwrap(),
        "{\"Outcome\":{\"Error\":1,\"Message\":\"it is no JSON\",\"Status\":false,\"Workflow\":\"main\"},\
         \"Response\":{\"Server\":null,\"ServerVersion\":\"0.1.0\"}}"
    );
}

#[test]
fn a_server_of_unknown_version_is_zero() {
    let fields = Fields::of_server("primary", None);
    assert_eq!(
        Value::from(fields),
        json!({"Server": "primary", "MajorVersion": 0, "MinorVersion": 0})
    );
    let version = PgVersion {
        major: 17,
        minor: 10,
    };
    let fields = Value::from(Fields::of_server("primary", Some(version)));
    assert_eq!(fields["MajorVersion"], 17);
}

proptest! {
    #[test]
    fn no_bytes_make_us_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(frame) = read(&bytes) {
            let _ = frame.decode(None);
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = Envelope::read(&text);
        let _ = Response::read(&text);
    }

    #[test]
    fn every_text_survives_the_wire(text in ".*") {
        let request = Request::Info { server: text.replace('\0', ""), backup: "x".to_owned() };
        prop_assume!(matches!(&request, Request::Info { server, .. } if !server.is_empty()));
        let envelope = Envelope::new(Command::Info, request.members(), Codec::PLAIN, Output::Text);
        let read = Envelope::read(&envelope.text().unwrap()).unwrap();
        prop_assert_eq!(Request::read(Command::Info, read.request()).unwrap(), request);
    }
}

#[test]
fn what_is_printed_does_nothing_to_a_terminal_and_says_the_same() {
    let text = "a\u{1b}[2J\u{9b}31m\u{7f}\u{80}\u{9f}\u{a0}ü \u{85}\n\"";
    let fields = json!({ text: text });
    let fields = fields.as_object().unwrap();
    let printed = json::pretty(fields).unwrap();
    let strange = |c: char| c.is_control() && c != '\n';
    assert!(!printed.chars().any(strange), "{printed:?}");
    assert_eq!(&json::parse(&printed).unwrap(), fields);
}
