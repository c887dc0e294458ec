//! What the server says in errors and notices, and what to do about it.

use super::wire::Body;
use crate::error::{Failure, Kind, Result};

/// The fields of an ErrorResponse or a NoticeResponse (PostgreSQL documentation, "Error and Notice Message Fields").
#[derive(Debug, Default)]
pub(super) struct Report {
    /// `ERROR`, `FATAL`, `PANIC`, `WARNING` …, not translated.
    pub severity: String,
    pub code: String,
    pub message: String,
    /// The function of PostgreSQL's source that it comes from, not translated.
    pub routine: String,
    pub detail: String,
    pub hint: String,
}

/// The longest text of one field that is passed on, in characters.
const LONGEST: usize = 2000;

/// Text of the peer's, fit for one line of a log.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(LONGEST).map(plain).collect()
}

impl Report {
    pub fn parse(body: &[u8]) -> Result<Report> {
        let mut report = Report::default();
        let mut translated = String::new();
        let mut body = Body(body);
        loop {
            let field = match body.u8()? {
                0 => break,
                b'V' => &mut report.severity,
                b'S' => &mut translated,
                b'C' => &mut report.code,
                b'M' => &mut report.message,
                b'D' => &mut report.detail,
                b'H' => &mut report.hint,
                b'R' => &mut report.routine,
                _ => {
                    body.cstr()?;
                    continue;
                }
            };
            *field = printable(body.cstr()?);
        }
        body.end()?;
        if report.severity.is_empty() {
            report.severity = translated;
        }
        Ok(report)
    }

    /// The failure that it is for us.
    pub fn failure(&self) -> Failure {
        let mut message = format!("{}: {}", self.severity, self.message);
        if !self.detail.is_empty() {
            message = format!("{message} ({})", self.detail);
        }
        let failure = Failure::new(self.kind(), message).sqlstate(&self.code);
        match self.advice() {
            Some(advice) => failure.hint(advice),
            None if self.hint.is_empty() => failure,
            None => failure.hint(&self.hint),
        }
    }

    fn kind(&self) -> Kind {
        match self.code.as_str() {
            "28000" | "28P01" => Kind::Authentication,
            // admin_shutdown, crash_shutdown, cannot_connect_now: the server goes or is not there yet.
            "57P01" | "57P02" | "57P03" => Kind::Network,
            _ => Kind::Server,
        }
    }

    /// What to do, by SQLSTATE: the text of a message may be translated.
    fn advice(&self) -> Option<&'static str> {
        let says = |what: &str| self.message.contains(what) || self.detail.contains(what);
        Some(match self.code.as_str() {
            "28P01" => {
                "set its password in the users file (pgmoneta-admin -f FILE -U USER user edit) and restart the daemon, which reads \
                 that file at its start, or change it on the server (ALTER ROLE … PASSWORD, and VALID UNTIL if it has expired)"
            }
            "28000" if says("channel binding") => {
                "the certificate that we see is not the server's own: something in between decrypts the connection"
            }
            "28000" => {
                "the role must exist and be allowed to log in, and pg_hba.conf of the server must let it in from here, \
                 for database postgres and for replication"
            }
            "42501" if says("WAL sender") || says("walsender") || says("eplication") => {
                "give the role the right to replicate: ALTER ROLE … REPLICATION"
            }
            "42501" if says("pg_control_system") => {
                "let the role call it: GRANT EXECUTE ON FUNCTION pg_control_system() TO …"
            }
            "3D000" => {
                "create the database postgres, or let the role connect to template1: nothing is written to either"
            }
            "53300" => {
                "end other connections, or raise max_wal_senders (replication) or max_connections on the server"
            }
            "57P03" => "wait until the server accepts connections",
            "55006" => {
                "someone else streams from this slot: every receiver needs a slot of its own (wal_slot)"
            }
            "58P01" if says("WAL segment") || says("WAL-Segment") => REMOVED,
            "55000" if says("slot") => REMOVED,
            "55000" if says("wal_level") || says("WAL level") => {
                "set wal_level = replica on the server and restart it"
            }
            "42704" if says("slot") => {
                "set create_slot = on for this server and restart the daemon, or make the slot: \
                 SELECT pg_create_physical_replication_slot('…', true)"
            }
            _ => return None,
        })
    }
}

const REMOVED: &str = "the server has removed WAL that the archive still needs: drop the slot, let it be made anew, and take \
     a full backup; a larger max_slot_wal_keep_size on the server avoids this";

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
    fn an_error_becomes_one_line_with_its_code_and_advice() {
        let fields = [
            (b'S', "FATAL"),
            (b'V', "FATAL"),
            (b'C', "42501"),
            (b'M', "permission denied to start WAL sender"),
            (b'D', "Only roles with the REPLICATION\nattribute"),
            (b'R', "InitPostgres"),
        ];
        let report = Report::parse(&body(&fields)).unwrap();
        let failure = report.failure();
        assert_eq!(
            failure.message(),
            "FATAL: permission denied to start WAL sender (Only roles with the REPLICATION attribute)"
        );
        assert_eq!(failure.code(), Some("42501"));
        assert!(failure.advice().unwrap().contains("ALTER ROLE"));
    }

    #[test]
    fn the_hint_of_the_server_is_passed_on_where_we_have_none() {
        let fields = [
            (b'S', "ERROR"),
            (b'C', "99999"),
            (b'M', "x"),
            (b'H', "try y"),
        ];
        let failure = Report::parse(&body(&fields)).unwrap().failure();
        assert_eq!(failure.advice(), Some("try y"));
        assert_eq!(failure.kind(), Kind::Server);
    }

    #[test]
    fn a_shutdown_is_a_failure_of_the_connection() {
        for code in ["57P01", "57P02", "57P03"] {
            let fields = [(b'S', "FATAL"), (b'C', code), (b'M', "x")];
            let failure = Report::parse(&body(&fields)).unwrap().failure();
            assert_eq!(failure.kind(), Kind::Network);
        }
    }

    #[test]
    fn broken_bodies_are_refused() {
        let whole = body(&[(b'S', "ERROR"), (b'C', "99999"), (b'M', "x")]);
        for cut in 0..whole.len() {
            assert!(Report::parse(&whole[..cut]).is_err(), "{cut}");
        }
        let mut long = whole;
        long.push(b'x');
        assert!(Report::parse(&long).is_err());
    }
}
