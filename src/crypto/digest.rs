//! SHA-256, SHA-512, and the digest of a certificate.

use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::x509::X509;

use crate::error::{Error, ErrorKind, Result};

/// An incremental SHA-256 digest (FIPS 180-4).
#[derive(Clone, Default)]
pub struct Sha256(openssl::sha::Sha256);

impl Sha256 {
    /// A digest of no bytes.
    pub fn new() -> Sha256 {
        Sha256::default()
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes that were added.
    pub fn finish(self) -> [u8; 32] {
        self.0.finish()
    }

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> [u8; 32] {
        openssl::sha::sha256(bytes)
    }
}

/// The SHA-512 digest of `bytes`.
pub fn sha512(bytes: &[u8]) -> [u8; 64] {
    openssl::sha::sha512(bytes)
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256")
    }
}

/// An incremental SHA-512 digest (FIPS 180-4).
#[derive(Clone, Default)]
pub struct Sha512(openssl::sha::Sha512);

impl Sha512 {
    /// A digest of no bytes.
    pub fn new() -> Sha512 {
        Sha512::default()
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes that were added.
    pub fn finish(self) -> [u8; 64] {
        self.0.finish()
    }
}

impl std::fmt::Debug for Sha512 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha512")
    }
}

/// Whether two digests are equal, in constant time.
pub fn constant_time_eq(one: &[u8; 32], other: &[u8; 32]) -> bool {
    openssl::memcmp::eq(one, other)
}

/// The digest of a certificate (DER) for SCRAM channel binding (`tls-server-end-point`, RFC 5929
/// section 4.1), with the hash function of the certificate's signature, or SHA-256 where that is
/// MD5 or SHA-1. `None` where the signature algorithm has no separate hash function (Ed25519): then
/// channel binding is not possible.
pub fn certificate_digest(certificate: &[u8]) -> Result<Option<Vec<u8>>> {
    let invalid = |error: openssl::error::ErrorStack| {
        Error::new(
            ErrorKind::Corrupt,
            format!("read the server's certificate: {error}"),
        )
    };
    let parsed = X509::from_der(certificate).map_err(invalid)?;
    let algorithm = parsed.signature_algorithm().object().nid();
    let digest = match algorithm.signature_algorithms().map(|found| found.digest) {
        Some(Nid::MD5 | Nid::SHA1) => Some(MessageDigest::sha256()),
        Some(nid) => MessageDigest::from_nid(nid),
        None => None,
    };
    let Some(digest) = digest else {
        return Ok(None);
    };
    let bytes = hash(digest, certificate).map_err(invalid)?;
    Ok(Some(bytes.to_vec()))
}

/// A self-signed certificate for `localhost` and its key, PEM, for the tests of other modules: only
/// this one uses OpenSSL.
#[cfg(test)]
pub fn certificate_for_tests(name: &str) -> (Vec<u8>, Vec<u8>) {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::x509::X509NameBuilder;
    use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = openssl::pkey::PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key).unwrap();
    let day = |days| openssl::asn1::Asn1Time::days_from_now(days).unwrap();
    builder.set_not_before(&day(0)).unwrap();
    builder.set_not_after(&day(2)).unwrap();
    let end_entity = BasicConstraints::new().critical().build().unwrap();
    builder.append_extension(end_entity).unwrap();
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let certificate = builder.build().to_pem().unwrap();
    (certificate, key.private_key_to_pem_pkcs8().unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::asn1::Asn1Time;
    use openssl::pkey::{PKey, Private};
    use openssl::rsa::Rsa;

    fn certificate(key: &PKey<Private>, digest: MessageDigest) -> Vec<u8> {
        let mut builder = X509::builder().unwrap();
        builder.set_pubkey(key).unwrap();
        let start = Asn1Time::days_from_now(0).unwrap();
        builder.set_not_before(&start).unwrap();
        let end = Asn1Time::days_from_now(1).unwrap();
        builder.set_not_after(&end).unwrap();
        builder.sign(key, digest).unwrap();
        builder.build().to_der().unwrap()
    }

    #[test]
    fn sha_256_of_abc() {
        let mut digest = Sha256::new();
        digest.update(b"a");
        digest.update(b"bc");
        let hex: String = digest.finish().iter().map(|b| format!("{b:02x}")).collect();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex, expected);
    }

    #[test]
    fn sha_512_of_abc() {
        let mut digest = Sha512::new();
        digest.update(b"a");
        digest.update(b"bc");
        let hex: String = digest.finish().iter().map(|b| format!("{b:02x}")).collect();
        assert!(hex.starts_with("ddaf35a193617abacc417349ae204131"), "{hex}");
        assert!(hex.ends_with("454d4423643ce80e2a9ac94fa54ca49f"), "{hex}");
    }

    #[test]
    fn the_hash_function_of_a_certificate_digest_is_that_of_its_signature() {
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        for (signed, bound) in [
            (MessageDigest::sha1(), MessageDigest::sha256()),
            (MessageDigest::sha256(), MessageDigest::sha256()),
            (MessageDigest::sha384(), MessageDigest::sha384()),
        ] {
            let der = certificate(&rsa, signed);
            let found = certificate_digest(&der).unwrap().unwrap();
            assert_eq!(found, hash(bound, &der).unwrap().to_vec());
        }
        let ed25519 = PKey::generate_ed25519().unwrap();
        let der = certificate(&ed25519, MessageDigest::null());
        assert_eq!(certificate_digest(&der).unwrap(), None);
        assert!(certificate_digest(b"no certificate").is_err());
    }
}
