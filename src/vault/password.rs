//! What a password must be, and passwords that nobody thought of.

use crate::crypto::{Secret, random_below};
use crate::error::{Failure, Kind, Result};

/// The longest password or master secret in bytes, as in the C program.
const LONGEST: usize = 8191;

/// The fewest characters of a master secret.
const SHORTEST_MASTER: usize = 8;

/// What generated passwords consist of: 90 characters, as in the C program. None of them ends a line or a record of
/// a users file.
const ALPHABET: &[u8; 90] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!@$%^&*()-_=+[{]}\\|:'\",<.>/?";

/// Refuses what cannot be a password: no bytes, more than 8191, no UTF-8, or a byte 0, which ends it for PostgreSQL.
pub fn check_password(password: &Secret) -> Result<()> {
    text(password, "password").map(|_| ())
}

/// Refuses what cannot be a master secret: as [`check_password`], and fewer than 8 characters.
pub fn check_master_secret(secret: &Secret) -> Result<()> {
    if text(secret, "master key")?.chars().count() < SHORTEST_MASTER {
        return Err(wrong("master key", "has fewer than 8 characters"));
    }
    Ok(())
}

fn text<'a>(secret: &'a Secret, what: &str) -> Result<&'a str> {
    let bytes = secret.expose();
    if bytes.is_empty() {
        return Err(wrong(what, "is empty"));
    }
    if bytes.len() > LONGEST {
        return Err(wrong(what, "is longer than 8191 bytes"));
    }
    if bytes.contains(&0) {
        return Err(wrong(what, "contains a byte 0"));
    }
    std::str::from_utf8(bytes).map_err(|_| wrong(what, "is not valid UTF-8"))
}

fn wrong(what: &str, why: &str) -> Failure {
    Failure::new(Kind::Usage, format!("the {what} {why}"))
}

/// A password of `length` characters, each one out of 90 with the same chance.
pub fn generate_password(length: usize) -> Result<Secret> {
    let count = u8::try_from(ALPHABET.len()).unwrap_or(u8::MAX);
    let mut password = zeroize::Zeroizing::new(Vec::with_capacity(length));
    for _ in 0..length {
        let at = usize::from(random_below(count)?);
        password.extend(ALPHABET.get(at));
    }
    Ok(Secret::new(std::mem::take(&mut *password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: impl AsRef<[u8]>) -> Secret {
        Secret::new(text.as_ref().to_vec())
    }

    #[test]
    fn bad_passwords_are_refused() {
        let long = "x".repeat(LONGEST);
        for fine in ["x", "pässwörd", "a b:c#d;e", long.as_str()] {
            check_password(&secret(fine)).unwrap();
        }
        let too_long = "x".repeat(LONGEST + 1);
        for bad in [b"".as_slice(), b"a\0b", b"\xff", too_long.as_bytes()] {
            assert!(check_password(&secret(bad)).is_err());
        }
        check_master_secret(&secret("12345678")).unwrap();
        check_master_secret(&secret("ääääääää")).unwrap();
        assert!(check_master_secret(&secret("1234567")).is_err());
        assert!(check_master_secret(&secret("äääääää")).is_err());
    }

    #[test]
    fn generated_passwords_have_the_length_and_the_alphabet() {
        let mut distinct = ALPHABET.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 90);
        assert!(!ALPHABET.iter().any(|byte| b"#;~`\n".contains(byte)));
        for length in [1, 64, 1024] {
            let password = generate_password(length).unwrap();
            assert_eq!(password.expose().len(), length);
            assert!(password.expose().iter().all(|byte| ALPHABET.contains(byte)));
        }
        assert_ne!(
            generate_password(64).unwrap().expose(),
            generate_password(64).unwrap().expose()
        );
    }
}
