//! The signature of a backup, which requires the master key.
//!
//! The last line of `backup.info` is the HMAC of the lines before it. These include the label and
//! the digest of `backup.manifest`, which has the digests of all files, so that the HMAC covers the
//! whole backup.

use crate::crypto::{MasterKey, Sha256, constant_time_eq};
use crate::error::{Error, ErrorKind, Result};
use crate::format::hex;

/// The context of the key derivation for the HMAC.
const KEY_PURPOSE: &str = "pgmoneta backup.info, version 1";

/// The prefix of the last line.
const HMAC_PREFIX: &str = "HMAC=";

/// The result of checking the HMAC of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticity {
    /// It was written with this master key, and `backup.info` was not changed.
    Verified,
    /// It was written with another master key, or `backup.info` was changed.
    Invalid,
    /// There is no HMAC.
    Unsigned,
}

/// An HMAC and the digest that it authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// SHA-256 of the lines before it.
    covered_sha256: [u8; 32],
    hmac: [u8; 32],
}

/// Appends the HMAC line to the text of `backup.info`.
pub(super) fn sign(mut text: String, key: &MasterKey) -> Result<String> {
    let hmac = key.authenticate(KEY_PURPOSE, &Sha256::of(text.as_bytes()))?;
    text.push_str(&format!("{HMAC_PREFIX}{}\n", hex::encode(&hmac)));
    Ok(text)
}

/// The text of `backup.info` without the line of the HMAC, if that is the last one.
pub(super) fn without_hmac(text: &[u8]) -> &[u8] {
    let (covered, last) = split_last_line(text);
    if is_hmac_line(last) { covered } else { text }
}

/// The lines before the last one, and the last one.
fn split_last_line(text: &[u8]) -> (&[u8], &[u8]) {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let start = body.iter().rposition(|byte| *byte == b'\n');
    let start = start.map_or(0, |at| at + 1);
    text.split_at_checked(start).unwrap_or((text, &[]))
}

impl Signature {
    /// Parses the HMAC in the text of `backup.info`; a malformed one, or one that is not the last
    /// line, is [`ErrorKind::Corrupt`].
    pub(super) fn parse(text: &[u8]) -> Result<Option<Signature>> {
        let (covered, last) = split_last_line(text);
        if covered.split(|byte| *byte == b'\n').any(is_hmac_line) {
            let message = "its HMAC is not the last line";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        if !is_hmac_line(last) {
            return Ok(None);
        }
        let digits = last
            .get(HMAC_PREFIX.len()..)
            .unwrap_or_default()
            .trim_ascii();
        let hmac = std::str::from_utf8(digits).ok().and_then(hex::decode_array);
        let hmac =
            hmac.ok_or_else(|| Error::new(ErrorKind::Corrupt, "its last line is no HMAC"))?;
        Ok(Some(Signature {
            covered_sha256: Sha256::of(covered),
            hmac,
        }))
    }

    /// Whether the HMAC is valid for `key`.
    pub(super) fn matches(&self, key: &MasterKey) -> Result<bool> {
        Ok(constant_time_eq(
            &key.authenticate(KEY_PURPOSE, &self.covered_sha256)?,
            &self.hmac,
        ))
    }
}

fn is_hmac_line(line: &[u8]) -> bool {
    line.starts_with(HMAC_PREFIX.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_and_every_other_key_is_detected() {
        let (own, other) = (MasterKey::for_tests(1), MasterKey::for_tests(2));
        let text = sign("STATUS=1\nLABEL=20260101000000\n".to_owned(), &own).unwrap();
        let found = Signature::parse(text.as_bytes()).unwrap().unwrap();
        assert!(found.matches(&own).unwrap() && !found.matches(&other).unwrap());
        for at in 0..text.len() - 1 {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let proven = Signature::parse(&changed)
                .is_ok_and(|found| found.is_some_and(|found| found.matches(&own).unwrap()));
            assert!(!proven, "byte {at}");
        }
    }

    #[test]
    fn text_without_hmac_is_unsigned_and_lines_after_it_are_an_error() {
        assert_eq!(Signature::parse(b"STATUS=1\n").unwrap(), None);
        assert_eq!(Signature::parse(b"").unwrap(), None);
        let text = sign("STATUS=1\n".to_owned(), &MasterKey::for_tests(1)).unwrap();
        for wrong in [
            format!("{text}STATUS=0\n"),
            format!("{text}{}", text.replace('1', "0")),
            "HMAC=12\n".to_owned(),
            "A=1\nHMAC=".to_owned(),
        ] {
            assert!(Signature::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
