use super::*;
use crate::crypto::Secret;
use crate::error::ErrorKind;

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn users() -> ScramUsers {
    let (one, two) = (secret("pencil"), secret("größe"));
    let users = [("admin", &one), ("other", &two)];
    ScramUsers::derive(secret("random"), users.into_iter()).unwrap()
}

/// The exchange of a client with a server: what the client finds at its end.
fn login(users: &ScramUsers, name: &str, password: &str, permitted: bool) -> Result<(), ErrorKind> {
    let client = ClientFirst::new().unwrap();
    let server = users
        .begin(name, permitted, client.message.as_bytes())
        .unwrap();
    let answer = client
        .answer(&secret(password), server.message.as_bytes())
        .unwrap();
    let end = server
        .finish(answer.message.as_bytes())
        .map_err(|failure| failure.kind())?;
    answer
        .verify(end.message.as_bytes())
        .map_err(|failure| failure.kind())
}

/// RFC 7677, section 3.
#[test]
fn the_client_answers_as_in_the_example_of_the_rfc() {
    let client = ClientFirst::with_nonce("user", "rOprNGfwEbeRWgbNEkqO".to_owned());
    assert_eq!(client.message, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                  s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let answer = client.answer(&secret("pencil"), server.as_bytes()).unwrap();
    assert_eq!(
        answer.message,
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let right = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    answer.verify(right).unwrap();
    for wrong in [
        &b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="[..],
        b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        b"v=",
        b"e=other-error",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=1",
        b"\xff",
        b"",
    ] {
        assert!(answer.verify(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn only_the_right_password_of_a_known_user_is_accepted() {
    let users = users();
    assert_eq!(users.len(), 2);
    login(&users, "admin", "pencil", true).unwrap();
    login(&users, "other", "größe", true).unwrap();
    for (name, password, permitted) in [
        ("admin", "pencil", false),
        ("admin", "Pencil", true),
        ("admin", "größe", true),
        ("Admin", "pencil", true),
        ("", "pencil", true),
        ("nobody", "pencil", true),
    ] {
        let result = login(&users, name, password, permitted);
        assert_eq!(result, Err(ErrorKind::Authentication), "{name} {password}");
    }
    let none = ScramUsers::derive(secret("random"), std::iter::empty()).unwrap();
    assert!(none.is_empty() && login(&none, "admin", "pencil", true).is_err());
}

/// A salt that changes for unknown names only would tell them from the known ones.
#[test]
fn the_salt_of_every_name_is_fixed_for_a_run() {
    let salt = |users: &ScramUsers, name: &str, permitted| {
        let nonce = "n,,n=,r=fyko+d2lbbFgONRv9qkxdawL";
        let first = users.begin(name, permitted, nonce.as_bytes()).unwrap();
        let salt = first.message.split(',').nth(1).unwrap().to_owned();
        assert!(first.message.ends_with(",i=4096") && salt.len() == 2 + 24);
        salt
    };
    let (one, again) = (users(), users());
    for name in ["admin", "other", "nobody", ""] {
        assert_eq!(salt(&one, name, true), salt(&one, name, false));
        assert_eq!(salt(&one, name, true), salt(&again, name, true));
    }
    assert_ne!(salt(&one, "admin", true), salt(&one, "other", true));
    assert_ne!(salt(&one, "nobody", true), salt(&one, "none", true));
}

#[test]
fn nonces_have_the_length_that_the_c_program_requires() {
    let client = ClientFirst::new().unwrap();
    assert_eq!(client.message.len(), "n,,n=,r=".len() + 24);
    let server = users()
        .begin("admin", true, client.message.as_bytes())
        .unwrap();
    let nonce = server.message.split(',').next().unwrap();
    assert_eq!(nonce.len(), 2 + 48);
    let answer = client
        .answer(&secret("pencil"), server.message.as_bytes())
        .unwrap();
    let (without_proof, _) = answer.message.split_once(",p=").unwrap();
    assert_eq!(without_proof.len(), 57, "the C server takes exactly these");
}

#[test]
fn a_malformed_first_message_is_refused() {
    let users = users();
    let long = format!("n,,n=,r={}", "x".repeat(257));
    for message in [
        &b""[..],
        b"n",
        b"n,,",
        b"n,,n=",
        b"n,,n=,r=",
        b"n,,r=abc",
        b"n,,n=,r=a b",
        b"n,,n=,r=a\0b",
        b"n,,n=,r=\xff",
        b"n,,n=,r=abc,x=1",
        b"n,,m=1,n=,r=abc",
        b"n,a=root,n=,r=abc",
        b"p=tls-unique,,n=,r=abc",
        b"x,,n=,r=abc",
        b"N,,n=,r=abc",
        "n,,n=,r=ä".as_bytes(),
        long.as_bytes(),
    ] {
        let failure = users.begin("admin", true, message).err().unwrap();
        assert_eq!(failure.kind(), ErrorKind::Protocol, "{message:?}");
    }
    // psql, over TLS.
    assert!(users.begin("admin", true, b"y,,n=,r=abc").is_ok());
}

#[test]
fn a_malformed_final_message_is_refused() {
    let users = users();
    let client = ClientFirst::with_nonce("", "abc".to_owned());
    let server = users
        .begin_with("admin", true, client.message.as_bytes(), "def")
        .unwrap();
    let answer = client
        .answer(&secret("pencil"), server.message.as_bytes())
        .unwrap();
    let right = answer.message.clone();
    server.finish(right.as_bytes()).unwrap();
    let proof = right.split_once(",p=").unwrap().1;
    for message in [
        String::new(),
        right.replace("biws", "eSws"),
        right.replace("r=abcdef", "r=abc"),
        right.replace("r=abcdef", "r=abcdefg"),
        right.replace("r=abcdef", "r=abcdef,x=1"),
        right.replace("c=biws,", ""),
        right.replace(",p=", ",q="),
        format!("{right},x=1"),
        format!("{right}\0"),
        right.replace(proof, ""),
        right.replace(proof, "AAAA"),
        right.replace(proof, &"A".repeat(100_000)),
    ] {
        assert!(server.finish(message.as_bytes()).is_err(), "{message}");
    }
    assert!(server.finish(b"\xff").is_err());
    for length in 0..right.len() {
        assert!(server.finish(&right.as_bytes()[..length]).is_err());
    }
    // The same header in both messages.
    let signed = right.replace("c=biws", "c=eSws");
    let other = users
        .begin_with("admin", true, b"y,,n=,r=abc", "def")
        .unwrap();
    let failure = other.finish(signed.as_bytes()).err().unwrap();
    assert_eq!(
        failure.kind(),
        ErrorKind::Authentication,
        "another message was signed"
    );
}

#[test]
fn a_hostile_server_gets_no_proof() {
    let client = ClientFirst::with_nonce("", "abc".to_owned());
    for message in [
        "",
        "r=abc,s=QUJD,i=4096",
        "r=xbcdef,s=QUJD,i=4096",
        "r=abcdef,s=,i=4096",
        "r=abcdef,s=%,i=4096",
        "r=abcdef,s=QUJD,i=0",
        "r=abcdef,s=QUJD,i=100001",
        "r=abcdef,s=QUJD,i=+1",
        "r=abcdef,s=QUJD,i=99999999999999999999",
        "r=abcdef,s=QUJD",
        "r=abcdef,s=QUJD,i=1,x=1",
        "e=other-error",
    ] {
        assert!(
            client.answer(&secret("x"), message.as_bytes()).is_err(),
            "{message}"
        );
    }
}
