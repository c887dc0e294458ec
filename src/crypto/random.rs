//! Cryptographically secure random bytes.

use openssl::error::ErrorStack;

use crate::error::{Error, ErrorKind, Result};

/// Fills `bytes` from the random number generator of OpenSSL, which the kernel seeds.
pub fn fill_random(bytes: &mut [u8]) -> Result<()> {
    openssl::rand::rand_bytes(bytes).map_err(|error| openssl_error("generate random bytes", &error))
}

/// A uniformly distributed random number below `limit`, which is at least 1.
pub fn random_below(limit: u8) -> Result<u8> {
    let limit = limit.max(1);
    // Bytes of the incomplete last interval are rejected: they would make small numbers more
    // probable.
    let max = u8::MAX - (u8::MAX % limit + 1) % limit;
    loop {
        let mut byte = [0];
        fill_random(&mut byte)?;
        let [byte] = byte;
        if byte <= max {
            return Ok(byte % limit);
        }
    }
}

/// An error with the action that failed and the reason from OpenSSL.
pub(super) fn openssl_error(action: &str, error: &ErrorStack) -> Error {
    let reason = error
        .errors()
        .first()
        .and_then(|error| error.reason())
        .unwrap_or("OpenSSL gives no reason");
    Error::new(ErrorKind::Internal, format!("{action}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_the_limit_occurs_and_no_other() {
        for limit in [1u8, 2, 90, 128, 255] {
            let mut seen = [false; 256];
            for _ in 0..20_000 {
                seen[usize::from(random_below(limit).unwrap())] = true;
            }
            for (number, seen) in seen.into_iter().enumerate() {
                assert_eq!(seen, number < usize::from(limit), "{number} of {limit}");
            }
        }
    }
}
