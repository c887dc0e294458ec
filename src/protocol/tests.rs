//! Frames, documents and requests: encoding, decoding and invalid input.

use std::time::Duration;

use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::VERSION;
use crate::codec::Compression;
use crate::crypto::MasterKey;
use crate::error::{Error, ErrorKind};
use crate::unit::{Encryption, PgVersion};

const LIMITS: FrameLimits = FrameLimits::RESPONSE;

fn key() -> MasterKey {
    MasterKey::for_tests(1)
}

fn read(bytes: &[u8]) -> crate::error::Result<Frame> {
    let mut rest = bytes;
    let read = &mut |buffer: &mut [u8]| Ok(std::io::Read::read(&mut rest, buffer)?);
    Frame::read(read, LIMITS)
}

fn envelope(command: u16, request: Value) -> Envelope {
    let text = json!({"Header": {"Command": command}, "Request": request}).to_string();
    Envelope::read(&text).unwrap()
}

fn parse_request(command: u16, request: Value) -> crate::error::Result<Request> {
    let envelope = envelope(command, request);
    Request::read(envelope.command().unwrap(), envelope.request())
}

#[test]
fn a_frame_is_decoded_as_its_header_says() {
    let frame = Frame::encode("{}", Codec::PLAIN, None).unwrap();
    assert_eq!(frame.bytes().unwrap(), b"\0\0\0\0\0\x02{}");
    assert_eq!(read(b"\0\0\0\0\0\x02{}rest").unwrap(), frame);
}

#[test]
fn invalid_frames_are_errors() {
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
        assert!(frame.decode(None, LIMITS).is_err(), "{bytes:?}");
    }
}

#[test]
fn every_codec_restores_the_document() {
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
            assert_eq!(frame.decode(Some(&key), LIMITS).unwrap(), text);
            if encryption != Encryption::None {
                assert!(
                    frame.decode(None, LIMITS).is_err(),
                    "decoding needs the key"
                );
                let other = MasterKey::for_tests(2);
                assert!(
                    frame.decode(Some(&other), LIMITS).is_err(),
                    "decoding needs the same key"
                );
            }
        }
    }
}

/// The buffer of the C program for a decompressed bzip2 payload is twenty times the compressed
/// length.
#[test]
fn a_bzip2_payload_that_exceeds_the_buffer_of_the_c_program_is_sent_uncompressed() {
    let codec = Codec {
        compression: Compression::Bzip2,
        encryption: Encryption::None,
    };
    let text = format!("{{\"a\":\"{}\"}}", "x".repeat(10_000));
    let frame = Frame::encode(&text, codec, None).unwrap();
    assert_eq!(frame.codec().unwrap(), Codec::PLAIN);
    assert_eq!(frame.decode(None, LIMITS).unwrap(), text);
}

/// 60 MiB of zero bytes have some kilobytes when they are compressed.
#[test]
fn a_request_that_grows_when_it_is_decompressed_is_refused() {
    let bomb = vec![0; 60 << 20];
    for compression in Compression::ALL.into_iter().skip(1) {
        let packed = crate::codec::compress_message(&bomb, compression).unwrap();
        let frame = Frame {
            compression: compression.code(),
            encryption: 0,
            payload: base64::Engine::encode(&STANDARD, packed).into_bytes(),
        };
        let read = frame.decode(None, LIMITS);
        assert_eq!(
            read.unwrap().len(),
            bomb.len(),
            "{compression}: as a response"
        );
        let failure = frame.decode(None, FrameLimits::REQUEST).unwrap_err();
        assert!(
            failure.message().contains("after decompression"),
            "{failure}"
        );
    }
    let plain = Frame {
        payload: vec![b' '; FrameLimits::REQUEST.document + 1],
        ..Frame::default()
    };
    assert!(plain.decode(None, FrameLimits::REQUEST).is_err());
    assert!(plain.decode(None, LIMITS).is_ok());
}

#[test]
fn the_dialect_of_the_c_program_is_read() {
    let text = "{\"Header\":{\"Command\":18},\"Request\":{\"Server\":\"o\\'neil\",\
                \"Backup\":\"a\\\\\\\"b\tc\"}}\0rest";
    let envelope = Envelope::read(text).unwrap();
    assert_eq!(
        Request::read(&INFO, envelope.request()).unwrap(),
        Request::Info(InfoRequest {
            server: "o'neil".to_owned(),
            backup: "a\\\"b\tc".to_owned()
        })
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
        "{\n  \"a\": {\n    \"x\": 4.000000\n  },\n  \"b\": {},\n  \
         \"c\": \"o'neil \\\"\\\\\\n\\t\\r\\bé/\",\n  \"z\": null\n}\n"
    );
}

#[test]
fn invalid_documents_are_errors() {
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
            ErrorKind::Protocol,
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
fn members_of_the_wrong_type_are_protocol_errors() {
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
        let failure = parse_request(command, request.clone()).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Protocol, "{request}");
    }
    let failure = parse_request(2, json!({"Server": "a", "Sort": "up"})).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Usage);
}

#[test]
fn the_daemon_decodes_the_requests_of_the_client() {
    let server = || "primary".to_owned();
    let requests = [
        Request::Ping,
        Request::Shutdown,
        Request::Status,
        Request::StatusDetails,
        Request::Backup(BackupRequest {
            server: server(),
            backup: None,
        }),
        Request::ListBackup(ListBackupRequest {
            server: server(),
            sort: Sort::Descending,
        }),
        Request::Info(InfoRequest {
            server: server(),
            backup: "newest".to_owned(),
        }),
        Request::Verify(VerifyRequest {
            directory: Some("/tmp/v".to_owned()),
            server: server(),
            backup: "oldest".to_owned(),
            files: Files::All,
        }),
        Request::Progress(ProgressRequest {
            server: server(),
            command: "backup".to_owned(),
        }),
        Request::WalBegin(WalBeginRequest { server: server() }),
        Request::Restore(RestoreRequest {
            server: server(),
            backup: "newest".to_owned(),
            position: Some("current,primary".to_owned()),
            directory: "/restore".to_owned(),
            tablespaces: [("16384".to_owned(), "/ts".to_owned())].into(),
            keep_synchronous: true,
            archive_mode: ArchiveMode::Off,
            dry_run: true,
        }),
    ];
    for request in requests {
        let envelope = Envelope::new(
            request.command(),
            request.members().unwrap(),
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
fn the_response_to_ping_is_that_of_the_c_program_byte_for_byte() {
    let header = concat!(
        r#""Header":{"ClientVersion":"0.22.0","Command":9,"Compression":0,"#,
        r#""Encryption":0,"Output":0,"Timestamp":"20261122083323"}"#,
    );
    let request = format!("{{{header},\"Request\":{{}}}}");
    let frame = read(&[b"\0\0\0\0\0\x85".as_slice(), request.as_bytes()].concat()).unwrap();
    let envelope = Envelope::read(&frame.decode(None, LIMITS).unwrap()).unwrap();
    assert_eq!(envelope.text().unwrap(), request);
    let response = Response::success(
        &envelope,
        Duration::from_micros(72_345_678),
        Some(Members::new()),
    );
    assert_eq!(
        response.text().unwrap(),
        format!(
            "{{{header},\"Outcome\":{{\"Status\":true,\"Time\":\"00:01:12.3456\"}},\
             \"Request\":{{}},\"Response\":{{\"ServerVersion\":\"{VERSION}\"}}}}"
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
fn a_failed_response_has_error_code_message_and_hint() {
    let envelope = envelope(18, json!({"Server": "primary", "Backup": "20200101000000"}));
    let failure =
        Error::new(ErrorKind::NotFound, "no such backup").with_hint("list-backup lists them");
    let response = Response::failure(Some(&envelope), &failure.into());
    assert_eq!(
        response.text().unwrap(),
        "{\"Header\":{\"Command\":18},\"Outcome\":{\"Error\":2200,\
         \"Hint\":\"list-backup lists them\",\
         \"Message\":\"no such backup\",\"Status\":false,\"Workflow\":\"info\"},\
         \"Request\":{\"Backup\":\"20200101000000\",\"Server\":\"primary\"},\
         \"Response\":{\"Server\":\"primary\",\"ServerVersion\":\"0.1.0\"}}"
    );
    let error = RequestError {
        cause: Cause::Undecodable,
        failure: Error::new(ErrorKind::Protocol, "it is no JSON"),
    };
    assert_eq!(
        Response::failure(None, &error).text().unwrap(),
        "{\"Outcome\":{\"Error\":1,\"Message\":\"it is no JSON\",\"Status\":false,\
         \"Workflow\":\"main\"},\
         \"Response\":{\"Server\":null,\"ServerVersion\":\"0.1.0\"}}"
    );
}

#[test]
fn an_unknown_version_is_sent_as_zero() {
    assert_eq!(
        Value::from(members(&ServerMembers::new("primary", None)).unwrap()),
        json!({"Server": "primary", "MajorVersion": 0, "MinorVersion": 0})
    );
    let version = PgVersion {
        major: 17,
        minor: 10,
    };
    let server = ServerMembers::new("primary", Some(version));
    assert_eq!(members(&server).unwrap()["MajorVersion"], 17);
    assert_eq!(server.version(), Some(version));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(frame) = read(&bytes) {
            let _ = frame.decode(None, LIMITS);
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = Envelope::read(&text);
        let _ = Response::read(&text);
    }

    #[test]
    fn every_string_survives_encoding_and_decoding(text in ".*") {
        let server = text.replace('\0', "");
        let request = Request::Info(InfoRequest { server, backup: "x".to_owned() });
        prop_assume!(matches!(&request, Request::Info(info) if !info.server.is_empty()));
        let envelope = Envelope::new(&INFO, request.members().unwrap(), Codec::PLAIN, Output::Text);
        let read = Envelope::read(&envelope.text().unwrap()).unwrap();
        prop_assert_eq!(Request::read(&INFO, read.request()).unwrap(), request);
    }
}

#[test]
fn printed_json_has_no_control_characters_and_the_same_content() {
    let text = "a\u{1b}[2J\u{9b}31m\u{7f}\u{80}\u{9f}\u{a0}ü \u{85}\n\"";
    let fields = json!({ text: text });
    let fields = fields.as_object().unwrap();
    let printed = json::pretty(fields).unwrap();
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!printed.chars().any(control), "{printed:?}");
    assert_eq!(&json::parse(&printed).unwrap(), fields);
}

#[test]
fn every_command_has_one_row_whose_requests_are_its_own() {
    for (index, row) in COMMANDS.iter().enumerate() {
        assert_eq!(Command::find(COMMANDS, row.code.into()), Some(*row));
        for other in &COMMANDS[..index] {
            assert_ne!(row.code, other.code, "{row} {other}");
            assert_ne!(row.words, other.words, "{row} {other}");
        }
        let request = Request::read(row, &Members::new()).unwrap();
        assert_eq!(request.command(), *row);
        assert_eq!(matches!(request, Request::Other { .. }), !row.implemented);
        assert_ne!(error_code(Some(row), Cause::Unsupported), 0, "{row}");
        let groups = GROUPS.iter().filter(|(word, _)| *word == row.words.0);
        let alone = COMMANDS
            .iter()
            .any(|other| other.words == (row.words.0, None));
        assert_eq!(groups.count(), usize::from(!alone), "{row} has one parent");
    }
    for code in [0, -1, 65_536 + 9] {
        assert_eq!(Command::find(COMMANDS, code), None);
    }
}
