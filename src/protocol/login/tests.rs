use super::*;
use crate::error::ErrorKind;

#[test]
fn messages_have_the_bytes_of_the_c_program() {
    assert_eq!(ssl_request(), [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
    let first = startup("moneta").unwrap();
    let expected = b"\0\0\0\x3e\0\x03\0\0user\0moneta\0database\0admin\0\
                     application_name\0pgmoneta\0\0";
    assert_eq!(first, expected);
    assert_eq!(sasl_offer(), b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0");
    let nonce = "n,,n=,r=fyko+d2lbbFgONRv9qkxdawL";
    let initial = sasl_initial_response(nonce);
    assert_eq!(initial[..5], *b"p\0\0\0\x36", "54");
    assert_eq!(initial[5..23], *b"SCRAM-SHA-256\0\0\0\0\x20");
    assert_eq!(initial[5 + 21 - 3..], *nonce.as_bytes());
    let signature = format!("v={}", "A".repeat(44));
    let last = authentication_ok(&signature);
    assert_eq!(last[..9], *b"R\0\0\0\x36\0\0\0\x0c");
    assert_eq!(last[55..], *b"R\0\0\0\x08\0\0\0\0");
    let refused = error_response("connection refused");
    assert_eq!(refused.len(), 46 + 1);
    assert_eq!(
        refused,
        b"E\0\0\0\x2dSFATAL\0VFATAL\0C53300\0Mconnection refused\0\0"
    );
}

#[test]
fn each_side_reads_what_the_other_one_sends() {
    let read = |bytes: &[u8]| {
        let length = startup_length(bytes[..4].try_into().unwrap()).unwrap();
        assert_eq!(length, bytes.len() - 4);
        StartupPacket::read(&bytes[4..]).unwrap()
    };
    assert_eq!(
        read(&ssl_request()),
        StartupPacket::Encryption { tls: true }
    );
    let login = StartupPacket::Login {
        user: "größe".to_owned(),
        database: "admin".to_owned(),
    };
    assert_eq!(read(&startup("größe").unwrap()), login);
    assert!(admits("admin") && !admits("Admin") && !admits(""));
    let rest = |bytes: &[u8], tag: u8| {
        let header = bytes[..5].try_into().unwrap();
        let (found, length) = message_length(header).unwrap();
        assert_eq!(found, tag);
        bytes[5..5 + length].to_vec()
    };
    let initial = rest(&sasl_initial_response("n,,n=,r=x"), b'p');
    assert_eq!(initial_response(&initial).unwrap(), b"n,,n=,r=x");
    let ask = |bytes: &[u8]| LoginRequest::read(b'R', &rest(bytes, b'R')).unwrap();
    assert_eq!(ask(&sasl_offer()), LoginRequest::Sasl);
    assert_eq!(
        ask(&sasl_continue("x")),
        LoginRequest::Continue(b"x".to_vec())
    );
    let last = authentication_ok("v=x");
    assert_eq!(ask(&last), LoginRequest::Final(b"v=x".to_vec()));
    assert_eq!(ask(&last[last.len() - 9..]), LoginRequest::Done);
    let refused = rest(&error_response("no"), b'E');
    let failure = LoginRequest::read(b'E', &refused).unwrap_err();
    assert_eq!(
        (failure.kind(), failure.message()),
        (ErrorKind::Authentication, "no")
    );
}

#[test]
fn malformed_messages_are_errors() {
    for length in [0_u32, 3, 4, 7, 10_001, u32::MAX] {
        assert!(startup_length(length.to_be_bytes()).is_err(), "{length}");
    }
    for length in [0_u32, 3, 4101, u32::MAX] {
        let [a, b, c, d] = length.to_be_bytes();
        assert!(message_length([b'p', a, b, c, d]).is_err(), "{length}");
    }
    for packet in [
        &b""[..],
        b"\0\x03\0",
        b"\0\x03\0\0",
        b"\0\x03\0\0user",
        b"\0\x03\0\0user\0",
        b"\0\x03\0\0user\0x",
        b"\0\x03\0\0user\0x\0",
        b"\0\x03\0\0user\0x\0\0y",
    ] {
        assert!(StartupPacket::read(packet).is_err(), "{packet:?}");
    }
    for (packet, version) in [
        (&b"\0\x02\0\0"[..], 131_072),
        (b"\x04\xd2\x16\x2e", 80_877_102),
        (b"\x04\xd2\x16\x2fx", 80_877_103),
    ] {
        let found = StartupPacket::read(packet).unwrap();
        assert_eq!(found, StartupPacket::Other(version));
    }
    // A user name that is missing or not UTF-8 is one that nobody has.
    let anonymous = StartupPacket::read(b"\0\x03\0\0database\0admin\0\0").unwrap();
    assert!(matches!(anonymous, StartupPacket::Login { user, .. } if user.is_empty()));
    assert!(StartupPacket::read(b"\0\x03\0\0user\0\xff\0\0").is_ok());
    for rest in [
        &b""[..],
        b"SCRAM-SHA-256",
        b"SCRAM-SHA-256\0",
        b"SCRAM-SHA-256\0\0\0\0\x02x",
        b"SCRAM-SHA-256\0\0\0\0\0x",
        b"SCRAM-SHA-256\0\xff\xff\xff\xffx",
        b"SCRAM-SHA-256-PLUS\0\0\0\0\x01x",
        b"MD5\0\0\0\0\x01x",
    ] {
        assert!(initial_response(rest).is_err(), "{rest:?}");
    }
    for (tag, rest) in [
        (b'R', &b""[..]),
        (b'R', b"\0\0\0\x03"),
        (b'R', b"\0\0\0\x0aMD5\0\0"),
        (b'R', b"\0\0\0\x0aMD5"),
        (b'R', b"\0\0\0\0x"),
        (b'H', b"TTP"),
    ] {
        let failure = LoginRequest::read(tag, rest).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Protocol, "{rest:?}");
    }
    for fields in [&b""[..], b"M", b"Mx", b"\0\0\0"] {
        let failure = LoginRequest::read(b'E', fields).unwrap_err();
        assert_eq!(failure.message(), "connection refused");
    }
    assert!(startup("").is_err() && startup("a\0b").is_err());
}
