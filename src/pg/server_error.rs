//! The errors and notices of the server, with a hint for known errors.

use super::wire::Body;
use crate::error::{Error, ErrorKind, Result};

/// The fields of an ErrorResponse or a NoticeResponse (PostgreSQL documentation, "Error and Notice
/// Message Fields").
#[derive(Debug, Default)]
pub(super) struct ServerError {
    /// `ERROR`, `FATAL`, `PANIC`, `WARNING` …, not localized.
    pub severity: String,
    pub code: String,
    pub message: String,
    /// The function in PostgreSQL's source that reported it, not localized.
    pub routine: String,
    pub detail: String,
    pub hint: String,
}

/// Longer fields are cut here, characters.
const MAX_FIELD_CHARS: usize = 2000;

/// Text from the server with control characters replaced, for one log line.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_FIELD_CHARS).map(plain).collect()
}

impl ServerError {
    pub fn parse(body: &[u8]) -> Result<ServerError> {
        let mut error = ServerError::default();
        let mut translated = String::new();
        let mut body = Body(body);
        loop {
            let field = match body.u8()? {
                0 => break,
                b'V' => &mut error.severity,
                b'S' => &mut translated,
                b'C' => &mut error.code,
                b'M' => &mut error.message,
                b'D' => &mut error.detail,
                b'H' => &mut error.hint,
                b'R' => &mut error.routine,
                _ => {
                    body.cstr()?;
                    continue;
                }
            };
            *field = printable(body.cstr()?);
        }
        body.end()?;
        if error.severity.is_empty() {
            error.severity = translated;
        }
        Ok(error)
    }

    /// The error that callers see.
    pub fn to_error(&self) -> Error {
        let mut message = format!("{}: {}", self.severity, self.message);
        if !self.detail.is_empty() {
            message = format!("{message} ({})", self.detail);
        }
        let failure = Error::new(self.kind(), message).with_code(&self.code);
        match self.hint_for_code() {
            Some(hint) => failure.with_hint(hint),
            None if self.hint.is_empty() => failure,
            None => failure.with_hint(&self.hint),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self.code.as_str() {
            "28000" | "28P01" => ErrorKind::Authentication,
            // admin_shutdown, crash_shutdown, cannot_connect_now: the server shuts down or starts
            // up.
            "57P01" | "57P02" | "57P03" => ErrorKind::Network,
            _ => ErrorKind::Server,
        }
    }

    /// The hint for a known SQLSTATE: the message may be localized.
    fn hint_for_code(&self) -> Option<&'static str> {
        let mentions = |what: &str| self.message.contains(what) || self.detail.contains(what);
        Some(match self.code.as_str() {
            "28P01" => {
                "set its password in the users file (pgmoneta-admin -f FILE -U USER user edit) \
                 and restart the daemon, which reads that file at its start, or change it on the \
                 server (ALTER ROLE … PASSWORD, and VALID UNTIL if it has expired)"
            }
            "28000" if mentions("channel binding") => {
                "the received certificate is not the server's own: a proxy in between decrypts \
                 the connection"
            }
            "28000" => {
                "the role must exist and be allowed to log in, and pg_hba.conf of the server must \
                 let it in from here, for database postgres and for replication"
            }
            "42501"
                if mentions("WAL sender") || mentions("walsender") || mentions("eplication") =>
            {
                "give the role the right to replicate: ALTER ROLE … REPLICATION"
            }
            "42501" if mentions("pg_control_system") => {
                "let the role call it: GRANT EXECUTE ON FUNCTION pg_control_system() TO …"
            }
            "3D000" => {
                "create the database postgres, or let the role connect to template1: nothing is \
                 written to either"
            }
            "53300" => {
                "end other connections, or raise max_wal_senders (replication) or max_connections \
                 on the server"
            }
            "57P03" => "wait until the server accepts connections",
            "55006" => {
                "another receiver streams from this slot: every receiver needs a slot of its own \
                 (wal_slot)"
            }
            "58P01" if mentions("WAL segment") || mentions("WAL-Segment") => WAL_REMOVED_HINT,
            "55000" if mentions("slot") => WAL_REMOVED_HINT,
            "55000" if mentions("wal_level") || mentions("WAL level") => {
                "set wal_level = replica on the server and restart it"
            }
            "42704" if mentions("slot") => {
                "set create_slot = on for this server and restart the daemon, or create the slot: \
                 SELECT pg_create_physical_replication_slot('…', true)"
            }
            _ => return None,
        })
    }
}

const WAL_REMOVED_HINT: &str = "the server has removed WAL that the archive still needs: drop the \
    slot, let it be created again, and take a full backup; a larger max_slot_wal_keep_size on the \
    server avoids this";

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fields: &[(u8, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (tag, text) in fields {
            bytes.push(*tag);
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn a_server_error_becomes_one_line_with_code_and_hint() {
        let fields = [
            (b'S', "FATAL"),
            (b'V', "FATAL"),
            (b'C', "42501"),
            (b'M', "permission denied to start WAL sender"),
            (b'D', "Only roles with the REPLICATION\nattribute"),
            (b'R', "InitPostgres"),
        ];
        let report = ServerError::parse(&body(&fields)).unwrap();
        let failure = report.to_error();
        assert_eq!(
            failure.message(),
            "FATAL: permission denied to start WAL sender (Only roles with the REPLICATION \
             attribute)"
        );
        assert_eq!(failure.code(), Some("42501"));
        assert!(failure.hint().unwrap().contains("ALTER ROLE"));
    }

    #[test]
    fn the_hint_of_the_server_is_used_for_unknown_codes() {
        let fields = [
            (b'S', "ERROR"),
            (b'C', "99999"),
            (b'M', "x"),
            (b'H', "try y"),
        ];
        let failure = ServerError::parse(&body(&fields)).unwrap().to_error();
        assert_eq!(failure.hint(), Some("try y"));
        assert_eq!(failure.kind(), ErrorKind::Server);
    }

    #[test]
    fn a_server_shutdown_is_a_network_error() {
        for code in ["57P01", "57P02", "57P03"] {
            let fields = [(b'S', "FATAL"), (b'C', code), (b'M', "x")];
            let failure = ServerError::parse(&body(&fields)).unwrap().to_error();
            assert_eq!(failure.kind(), ErrorKind::Network);
        }
    }

    #[test]
    fn malformed_bodies_are_rejected() {
        let whole = body(&[(b'S', "ERROR"), (b'C', "99999"), (b'M', "x")]);
        for cut in 0..whole.len() {
            assert!(ServerError::parse(&whole[..cut]).is_err(), "{cut}");
        }
        let mut long = whole;
        long.push(b'x');
        assert!(ServerError::parse(&long).is_err());
    }
}
