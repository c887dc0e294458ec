//! Checks of passwords and master secrets, and generated passwords.

use crate::crypto::{Secret, random_below};
use crate::error::{Error, ErrorKind, Result};

/// The maximum length of a password or master secret in bytes, as in the C program.
const MAX_PASSWORD: usize = 8191;

/// The minimum length of a master secret in characters.
const MIN_MASTER_SECRET: usize = 8;

/// The 90 characters of generated passwords, as in the C program. None of them ends a line or a
/// record of a users file.
const ALPHABET: &[u8; 90] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!@$%^&*()-_=+[{]}\\|:'\",<.>/?";

/// Fails if a password is empty, longer than 8191 bytes, not UTF-8, or contains a zero byte, which
/// ends it in PostgreSQL.
pub fn check_password(password: &Secret) -> Result<()> {
    check_text(password, "password").map(|_| ())
}

/// Fails like [`check_password`], and for fewer than 8 characters.
pub fn check_master_secret(secret: &Secret) -> Result<()> {
    if check_text(secret, "master key")?.chars().count() < MIN_MASTER_SECRET {
        return Err(invalid("master key", "has fewer than 8 characters"));
    }
    Ok(())
}

fn check_text<'a>(secret: &'a Secret, what: &str) -> Result<&'a str> {
    let bytes = secret.expose();
    if bytes.is_empty() {
        return Err(invalid(what, "is empty"));
    }
    if bytes.len() > MAX_PASSWORD {
        return Err(invalid(what, "is longer than 8191 bytes"));
    }
    if bytes.contains(&0) {
        return Err(invalid(what, "contains a zero byte"));
    }
    std::str::from_utf8(bytes).map_err(|_| invalid(what, "is not valid UTF-8"))
}

fn invalid(what: &str, why: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("the {what} {why}"))
}

/// A random password of `length` characters, each one chosen uniformly out of 90.
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
        let long = "x".repeat(MAX_PASSWORD);
        for good in ["x", "pässwörd", "a b:c#d;e", long.as_str()] {
            check_password(&secret(good)).unwrap();
        }
        let too_long = "x".repeat(MAX_PASSWORD + 1);
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
