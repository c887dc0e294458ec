//! The signature of a backup: what nobody can make who has not the master key.
//!
//! The last line of `backup.info` is the HMAC of the lines before it. One of those is the label, another one the digest of
//! `backup.manifest`, which has the digests of all files: so it covers the whole backup, and `backup.info` can be rewritten
//! as one file when something is noted in it.

use crate::crypto::{MasterKey, Sha256, equal};
use crate::error::{Failure, Kind, Result};
use crate::format::hex;

/// What the key of the HMAC is derived for.
const PURPOSE: &str = "pgmoneta backup.info, version 1";

/// How the last line begins.
const LINE: &str = "HMAC=";

/// What is known of where a backup comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticity {
    /// It was written with this master key, and `backup.info` is as it was.
    Proven,
    /// It was written with another master key, or `backup.info` was changed.
    Refuted,
    /// Nothing proves it: there is no HMAC.
    Unsigned,
}

/// An HMAC, and what it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// SHA-256 of the lines before it.
    covered: [u8; 32],
    hmac: [u8; 32],
}

/// The text of `backup.info` with its last line.
pub(super) fn signed(mut text: String, key: &MasterKey) -> Result<String> {
    let hmac = key.authenticate(PURPOSE, &Sha256::of(text.as_bytes()))?;
    text.push_str(&format!("{LINE}{}\n", hex::encode(&hmac)));
    Ok(text)
}

impl Signature {
    /// Finds it in the text of `backup.info`; an HMAC that is not the last line, or is none, is [`Kind::Corrupt`].
    pub(super) fn find(text: &[u8]) -> Result<Option<Signature>> {
        let body = text.strip_suffix(b"\n").unwrap_or(text);
        let start = body.iter().rposition(|byte| *byte == b'\n');
        let start = start.map_or(0, |at| at + 1);
        let (covered, last) = text.split_at_checked(start).unwrap_or((text, &[]));
        if covered.split(|byte| *byte == b'\n').any(is_line) {
            let message = "its HMAC is not the last line";
            return Err(Failure::new(Kind::Corrupt, message));
        }
        if !is_line(last) {
            return Ok(None);
        }
        let digits = last.get(LINE.len()..).unwrap_or_default().trim_ascii();
        let hmac = std::str::from_utf8(digits).ok().and_then(hex::decode_array);
        let hmac = hmac.ok_or_else(|| Failure::new(Kind::Corrupt, "its last line is no HMAC"))?;
        Ok(Some(Signature {
            covered: Sha256::of(covered),
            hmac,
        }))
    }

    /// Whether it was made with `key`.
    pub(super) fn is_of(&self, key: &MasterKey) -> Result<bool> {
        Ok(equal(
            &key.authenticate(PURPOSE, &self.covered)?,
            &self.hmac,
        ))
    }
}

fn is_line(line: &[u8]) -> bool {
    line.starts_with(LINE.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_and_every_other_key_is_noticed() {
        let (own, other) = (MasterKey::quick(1), MasterKey::quick(2));
        let text = signed("STATUS=1\nLABEL=20260101000000\n".to_owned(), &own).unwrap();
        let found = Signature::find(text.as_bytes()).unwrap().unwrap();
        assert!(found.is_of(&own).unwrap() && !found.is_of(&other).unwrap());
        for at in 0..text.len() - 1 {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let proven = Signature::find(&changed)
                .is_ok_and(|found| found.is_some_and(|found| found.is_of(&own).unwrap()));
            assert!(!proven, "byte {at}");
        }
    }

    #[test]
    fn a_text_without_it_is_unsigned_and_one_that_goes_on_behind_it_is_damaged() {
        assert_eq!(Signature::find(b"STATUS=1\n").unwrap(), None);
        assert_eq!(Signature::find(b"").unwrap(), None);
        let text = signed("STATUS=1\n".to_owned(), &MasterKey::quick(1)).unwrap();
        for wrong in [
            format!("{text}STATUS=0\n"),
            format!("{text}{}", text.replace('1', "0")),
            "HMAC=12\n".to_owned(),
            "A=1\nHMAC=".to_owned(),
        ] {
            assert!(Signature::find(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
