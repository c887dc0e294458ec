//! The side of the server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::attributes::{check_nonce, decode_digest, end, malformed, new_nonce, take, text};
use super::keys::{ITERATIONS, SALT_LENGTH, SaltedPassword, hmac, stored_key, xor};
use crate::crypto::{Secret, constant_time_eq, fill_random};
use crate::error::{Error, ErrorKind, Result};

/// The maximum length of a client's nonce.
const MAX_NONCE: usize = 256;

/// The users who may log in. A login does the same for a name that is not among them as for a wrong
/// password.
pub struct ScramUsers {
    /// From which the salt of each name follows, known or not, so that it is the same each time.
    secret: Secret,
    users: Vec<(NameTag, Keys)>,
    /// In place of the keys of an unknown name; they verify no proof.
    nobody: Keys,
}

/// Identifies a name: compared in constant time.
type NameTag = [u8; 32];

/// What the server keeps of a password.
#[derive(Clone)]
struct Keys {
    stored: [u8; 32],
    server: Zeroizing<[u8; 32]>,
}

impl ScramUsers {
    /// Derives the keys of users with these names and passwords, which takes about a millisecond
    /// for each. The salts are the same for the same `secret`, which must be random.
    pub fn derive<'a>(
        secret: Secret,
        users: impl Iterator<Item = (&'a str, &'a Secret)>,
    ) -> Result<ScramUsers> {
        let mut nobody = Keys {
            stored: [0; 32],
            server: Zeroizing::new([0; 32]),
        };
        fill_random(&mut nobody.stored)?;
        fill_random(&mut *nobody.server)?;
        let mut derived = ScramUsers {
            secret,
            users: Vec::new(),
            nobody,
        };
        for (name, password) in users {
            let salted = SaltedPassword::derive(password, &derived.salt(name), ITERATIONS);
            let keys = Keys {
                stored: stored_key(&salted.client_key()),
                server: salted.server_key(),
            };
            let tag = derived.tag(name);
            derived.users.push((tag, keys));
        }
        Ok(derived)
    }

    /// The number of users.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    fn salt(&self, name: &str) -> [u8; SALT_LENGTH] {
        let code = hmac(self.secret.expose(), format!("salt {name}").as_bytes());
        let mut salt = [0; SALT_LENGTH];
        salt.iter_mut().zip(code).for_each(|(to, from)| *to = from);
        salt
    }

    fn tag(&self, name: &str) -> NameTag {
        hmac(self.secret.expose(), format!("name {name}").as_bytes())
    }

    /// The keys of a name, and whether it is known. All names are compared, in constant time.
    fn keys(&self, name: &str) -> (bool, Keys) {
        let tag = self.tag(name);
        let mut found = (false, &self.nobody);
        for (known, keys) in &self.users {
            if constant_time_eq(known, &tag) {
                found = (true, keys);
            }
        }
        (found.0, found.1.clone())
    }

    /// Answers the first message of the client who wants to log in by this name. `permitted` is
    /// false if the login is refused in any case, which shows only at its end.
    pub fn begin(&self, name: &str, permitted: bool, message: &[u8]) -> Result<ServerFirst> {
        self.begin_with(name, permitted, message, &new_nonce()?)
    }

    pub(super) fn begin_with(
        &self,
        name: &str,
        permitted: bool,
        message: &[u8],
        server_nonce: &str,
    ) -> Result<ServerFirst> {
        let message = text(message)?;
        let (header, bare) = gs2_header(message)?;
        let mut rest = bare;
        // The name of the login counts, and not this one.
        take(&mut rest, 'n')?;
        let nonce = take(&mut rest, 'r')?;
        end(rest)?;
        check_nonce(nonce)?;
        if nonce.len() > MAX_NONCE {
            return Err(malformed("the nonce is too long"));
        }
        let nonce = format!("{nonce}{server_nonce}");
        let salt = STANDARD.encode(self.salt(name));
        let message = format!("r={nonce},s={salt},i={ITERATIONS}");
        let (known, keys) = self.keys(name);
        Ok(ServerFirst {
            exchange: format!("{bare},{message}"),
            message,
            header: STANDARD.encode(header),
            nonce,
            permitted: known && permitted,
            keys,
        })
    }
}

/// The header of the first message, and the rest. The client must neither bind the exchange to the
/// channel, which is not offered, nor ask for the rights of another user.
fn gs2_header(message: &str) -> Result<(&str, &str)> {
    for header in ["n,,", "y,,"] {
        if let Some(bare) = message.strip_prefix(header) {
            return Ok((header, bare));
        }
    }
    Err(malformed("its header is neither \"n,,\" nor \"y,,\""))
}

/// The first message of the server.
pub struct ServerFirst {
    /// The message.
    pub message: String,
    /// What both messages contribute to that which is signed.
    exchange: String,
    /// The header of the client, base64.
    header: String,
    nonce: String,
    permitted: bool,
    keys: Keys,
}

/// The final message of the server: the client has proven that it knows the password.
pub struct ServerFinal {
    /// The message.
    pub message: String,
}

impl ServerFirst {
    /// Verifies the final message of the client. Fails with [`ErrorKind::Authentication`] for a
    /// wrong proof, an unknown user and a login that is not permitted, in the same time.
    pub fn finish(&self, message: &[u8]) -> Result<ServerFinal> {
        let message = text(message)?;
        // The proof is the last attribute: what is before it is signed.
        let (without_proof, proof) = message
            .rsplit_once(",p=")
            .ok_or_else(|| malformed("attribute p is missing"))?;
        let mut rest = without_proof;
        if take(&mut rest, 'c')? != self.header {
            return Err(malformed(
                "attribute c is not the header of the first message",
            ));
        }
        if take(&mut rest, 'r')? != self.nonce {
            return Err(malformed("it has another nonce"));
        }
        end(rest)?;
        let proof = decode_digest(proof)?;
        let signed = format!("{},{without_proof}", self.exchange);
        let client_key = xor(&proof, &hmac(&self.keys.stored, signed.as_bytes()));
        let right = constant_time_eq(&stored_key(&client_key), &self.keys.stored);
        let signature = hmac(&*self.keys.server, signed.as_bytes());
        // Both are known by now, and neither has saved any work.
        if !(right & self.permitted) {
            let refused = "unknown user, wrong password or wrong database";
            return Err(Error::new(ErrorKind::Authentication, refused));
        }
        Ok(ServerFinal {
            message: format!("v={}", STANDARD.encode(signature)),
        })
    }
}
