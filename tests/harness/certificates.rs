//! Certificate authorities and certificates for the tests.

use std::path::PathBuf;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};

use super::scratch::Scratch;

/// A certificate and its private key.
pub struct Certificate {
    pub certificate: X509,
    pub key: PKey<Private>,
}

impl Certificate {
    /// A self-signed authority.
    pub fn authority(name: &str) -> Certificate {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut builder = draft(name, &key);
        builder.set_issuer_name(&subject(name)).unwrap();
        let authority = BasicConstraints::new().critical().ca().build().unwrap();
        builder.append_extension(authority).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Certificate {
            certificate: builder.build(),
            key,
        }
    }

    /// A certificate signed by this authority, for a name and an address.
    pub fn sign(&self, name: &str, address: &str) -> Certificate {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut builder = draft(name, &key);
        builder
            .set_issuer_name(self.certificate.subject_name())
            .unwrap();
        let mut names = SubjectAlternativeName::new();
        names.dns(name).ip(address);
        let names = names
            .build(&builder.x509v3_context(Some(&self.certificate), None))
            .unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&self.key, MessageDigest::sha384()).unwrap();
        Certificate {
            certificate: builder.build(),
            key,
        }
    }

    /// Writes both as PEM files.
    pub fn write(&self, scratch: &Scratch, name: &str) -> (PathBuf, PathBuf) {
        let pem = self.certificate.to_pem().unwrap();
        let key = self.key.private_key_to_pem_pkcs8().unwrap();
        (
            scratch.write(&format!("{name}.crt"), pem),
            scratch.write(&format!("{name}.key"), key),
        )
    }
}

fn subject(name: &str) -> X509Name {
    let mut builder = X509Name::builder().unwrap();
    builder.append_entry_by_text("CN", name).unwrap();
    builder.build()
}

fn draft(name: &str, key: &PKey<Private>) -> X509Builder {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = [0; 8];
    openssl::rand::rand_bytes(&mut serial).unwrap();
    serial[0] &= 0x7f;
    let serial = BigNum::from_slice(&serial).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&subject(name)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(2).unwrap())
        .unwrap();
    builder
}
