//! Random bytes that nobody can foretell.

use openssl::error::ErrorStack;

use crate::error::{Failure, Kind, Result};

/// Fills `bytes` from OpenSSL's generator, which the kernel seeds.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    openssl::rand::rand_bytes(bytes).map_err(|error| failed("make random bytes", &error))
}

/// A random number below `limit`, each as likely as the others; `limit` is at least 1.
pub fn random_below(limit: u8) -> Result<u8> {
    let limit = limit.max(1);
    // Bytes of the incomplete last round are thrown away: they would favour the small numbers.
    let fair = u8::MAX - (u8::MAX % limit + 1) % limit;
    loop {
        let mut byte = [0];
        fill(&mut byte)?;
        let [byte] = byte;
        if byte <= fair {
            return Ok(byte % limit);
        }
    }
}

/// What OpenSSL says of a failure, after what was being done.
pub(super) fn failed(doing: &str, error: &ErrorStack) -> Failure {
    let reason = error
        .errors()
        .first()
        .and_then(|error| error.reason())
        .unwrap_or("OpenSSL does not say why");
    Failure::new(Kind::Internal, format!("{doing}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_the_limit_comes_and_no_other() {
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
