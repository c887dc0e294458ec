//! The recovery target of a restore, as the user specifies it.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::job::replay::TimelineChoice;
use crate::unit::{Lsn, Timestamp, escaped};

/// The maximum length in bytes of the name of a restore point (`MAXFNAMELEN` without the NUL).
const MAX_NAME_LENGTH: usize = 63;

/// `FirstNormalTransactionId`: the lower ones are reserved.
const FIRST_NORMAL_XID: u64 = 3;

/// Where recovery ends, and what the server does then. Written as `key[=value]`, separated by
/// commas: at most one of `current`, `immediate`, `name=`, `xid=`, `lsn=`, `time=`, then
/// `timeline=`, `inclusive=`, `action=`, and `primary` or `replica`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryTarget {
    pub(super) kind: TargetKind,
    /// Whether the record at the target is replayed (`recovery_target_inclusive`).
    pub(super) inclusive: bool,
    pub(super) timeline: TimelineChoice,
    pub(super) action: Action,
    pub(super) role: Role,
}

/// The end of the backup, where an independent primary is promoted.
impl Default for RecoveryTarget {
    fn default() -> Self {
        RecoveryTarget {
            kind: TargetKind::Immediate,
            inclusive: true,
            timeline: TimelineChoice::default(),
            action: Action::Promote,
            role: Role::Primary,
        }
    }
}

/// The point at which recovery ends, like PostgreSQL's `RecoveryTargetType`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TargetKind {
    /// As soon as the backup is consistent (`recovery_target = 'immediate'`).
    Immediate,
    /// At the end of the received WAL.
    Current,
    /// At the first restore point with this name, which need not be UTF-8.
    Name(Vec<u8>),
    /// At the commit or abort of this transaction.
    Xid(u64),
    /// At this WAL position.
    Lsn(Lsn),
    /// At this time.
    Time(Timestamp),
}

/// What the server does at the target (`recovery_target_action`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Promote,
    Pause,
    Shutdown,
}

/// The role of the restored server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// An independent primary, on a new timeline.
    #[default]
    Primary,
    /// A standby of the server that was backed up.
    Replica,
}

/// The values that were specified so far.
#[derive(Default)]
struct TargetBuilder {
    kind: Option<TargetKind>,
    inclusive: Option<bool>,
    timeline: Option<TimelineChoice>,
    action: Option<Action>,
    role: Option<Role>,
}

impl RecoveryTarget {
    /// Parses a target; the default is the end of the backup, for a replica the end of the received
    /// WAL.
    pub fn parse(text: Option<&str>) -> Result<RecoveryTarget> {
        let mut builder = TargetBuilder::default();
        for token in tokens(text.unwrap_or_default()) {
            builder.parse_token(&token)?;
        }
        builder.build()
    }

    /// Whether the server follows its primary after the replay of the received WAL: a standby
    /// without a target.
    pub(super) fn follows_primary(&self) -> bool {
        self.role == Role::Replica && self.kind == TargetKind::Current
    }

    /// Whether recovery stays on the specified timeline, and ignores later ones.
    pub(super) fn has_fixed_timeline(&self) -> bool {
        matches!(
            self.timeline,
            TimelineChoice::Current | TimelineChoice::Number(_)
        )
    }
}

/// The words and keys of a target.
const KEYS: [&str; 11] = [
    "current",
    "immediate",
    "primary",
    "replica",
    "name",
    "xid",
    "lsn",
    "time",
    "timeline",
    "inclusive",
    "action",
];

/// Splits the text at commas. The name of a restore point may have commas: it extends to the next
/// known word, and `\,` is always part of it.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let last = text.strip_suffix(',').filter(|rest| !escapes(rest));
    for part in last.unwrap_or(text).split(',') {
        let key = part.split_once('=').map_or(part, |(key, _)| key).trim();
        match tokens.last_mut().filter(|last| is_name(last)) {
            Some(name) if escapes(name) || !KEYS.contains(&key) => {
                name.push(',');
                name.push_str(part);
            }
            _ => tokens.push(part.to_owned()),
        }
    }
    tokens.retain(|token| !token.trim().is_empty());
    tokens
}

fn is_name(token: &str) -> bool {
    let key = token.split_once('=').map(|(key, _)| key.trim());
    key == Some("name")
}

/// Whether a following comma is escaped: after an odd number of backslashes.
fn escapes(text: &str) -> bool {
    let backslashes = text.bytes().rev().take_while(|byte| *byte == b'\\');
    backslashes.count() % 2 == 1
}

impl TargetBuilder {
    fn parse_token(&mut self, token: &str) -> Result<()> {
        if let Some((_, text)) = token.split_once('=').filter(|_| is_name(token)) {
            // A name may begin or end with a blank.
            return set_once(&mut self.kind, name(text)?, TARGET);
        }
        let token = token.trim();
        let (key, value) = match token.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim())),
            None => (token, None),
        };
        match (key, value) {
            ("current", None) => set_once(&mut self.kind, TargetKind::Current, TARGET),
            ("immediate", None) => set_once(&mut self.kind, TargetKind::Immediate, TARGET),
            ("primary", None) => set_once(&mut self.role, Role::Primary, "role"),
            ("replica", None) => set_once(&mut self.role, Role::Replica, "role"),
            ("xid", Some(value)) => set_once(&mut self.kind, xid(value)?, TARGET),
            ("lsn", Some(value)) => {
                set_once(&mut self.kind, TargetKind::Lsn(value.parse()?), TARGET)
            }
            ("time", Some(value)) => {
                set_once(&mut self.kind, TargetKind::Time(value.parse()?), TARGET)
            }
            ("timeline", Some(value)) => set_once(&mut self.timeline, timeline(value)?, "timeline"),
            ("inclusive", Some(value)) => {
                set_once(&mut self.inclusive, boolean(value)?, "inclusive")
            }
            ("action", Some(value)) => set_once(&mut self.action, action(value)?, "action"),
            _ => Err(unknown_word(token)),
        }
    }

    fn build(self) -> Result<RecoveryTarget> {
        let role = self.role.unwrap_or_default();
        let kind = self.kind.unwrap_or(match role {
            Role::Primary => TargetKind::Immediate,
            Role::Replica => TargetKind::Current,
        });
        let exact = matches!(
            kind,
            TargetKind::Xid(_) | TargetKind::Lsn(_) | TargetKind::Time(_)
        );
        if self.inclusive == Some(false) && !exact {
            return Err(invalid("inclusive=off needs xid=, lsn= or time="));
        }
        if role == Role::Replica && kind == TargetKind::Current && self.action.is_some() {
            return Err(invalid(
                "action= needs a target: recovery of a replica without one does not end",
            ));
        }
        Ok(RecoveryTarget {
            kind,
            inclusive: self.inclusive.unwrap_or(true),
            timeline: self.timeline.unwrap_or_default(),
            action: self.action.unwrap_or(match role {
                Role::Primary => Action::Promote,
                Role::Replica => Action::Pause,
            }),
            role,
        })
    }
}

const TARGET: &str = "target";

fn set_once<T>(field: &mut Option<T>, value: T, what: &str) -> Result<()> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(invalid(&format!("more than one {what}"))),
    }
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("invalid position: {what}")).with_hint(
        "a position is one of current, immediate, name=, xid=, lsn=, time=; then, after commas, \
         timeline=, inclusive=, action=, primary or replica",
    )
}

fn unknown_word(token: &str) -> Error {
    let quoted: String = token.chars().take(60).collect();
    invalid(&format!("{quoted:?} is not known"))
}

fn name(text: &str) -> Result<TargetKind> {
    let name = unescaped(text.as_bytes());
    if name.is_empty() || name.len() > MAX_NAME_LENGTH {
        let what = format!("the name of a restore point must have 1 to {MAX_NAME_LENGTH} bytes");
        return Err(invalid(&what));
    }
    if name.contains(&0) {
        return Err(invalid(
            "the name of a restore point cannot contain a NUL byte",
        ));
    }
    Ok(TargetKind::Name(name))
}

/// The bytes of a name: `\xHH` is a byte, `\,` a comma and `\\` a backslash; any other backslash is
/// literal.
fn unescaped(mut text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((&first, rest)) = text.split_first() {
        let (byte, rest) = match (first, rest) {
            (b'\\', [b'x', high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (first, rest),
            },
            (b'\\', [escaped @ (b',' | b'\\'), rest @ ..]) => (*escaped, rest),
            _ => (first, rest),
        };
        bytes.push(byte);
        text = rest;
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

fn xid(text: &str) -> Result<TargetKind> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit());
    let xid = text.parse().ok().filter(|_| number);
    // Of a 64-bit ID from pg_current_xact_id() PostgreSQL uses the lower 32 bits.
    xid.filter(|xid| xid & 0xFFFF_FFFF >= FIRST_NORMAL_XID)
        .map(TargetKind::Xid)
        .ok_or_else(|| invalid(&format!("{text:?} is not a transaction ID")))
}

fn timeline(text: &str) -> Result<TimelineChoice> {
    match text {
        "latest" => Ok(TimelineChoice::Latest),
        "current" => Ok(TimelineChoice::Current),
        _ => text.parse().map(TimelineChoice::Number),
    }
}

fn boolean(text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(invalid(&format!("inclusive={text} is neither on nor off"))),
    }
}

fn action(text: &str) -> Result<Action> {
    match text {
        "promote" => Ok(Action::Promote),
        "pause" => Ok(Action::Pause),
        "shutdown" => Ok(Action::Shutdown),
        _ => Err(invalid(&format!(
            "action={text} must be promote, pause or shutdown"
        ))),
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetKind::Immediate => f.write_str("the end of the backup"),
            TargetKind::Current => f.write_str("the end of the received WAL"),
            TargetKind::Name(name) => match std::str::from_utf8(name) {
                Ok(name) => write!(f, "the restore point {name:?}"),
                Err(_) => write!(f, "the restore point \"{}\"", escaped(name)),
            },
            TargetKind::Xid(xid) => write!(f, "transaction {xid}"),
            TargetKind::Lsn(lsn) => write!(f, "position {lsn}"),
            TargetKind::Time(time) => time.fmt(f),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Promote => "promote",
            Action::Pause => "pause",
            Action::Shutdown => "shutdown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Timeline;

    fn parse(text: &str) -> RecoveryTarget {
        RecoveryTarget::parse(Some(text)).unwrap()
    }

    #[test]
    fn the_default_is_the_end_of_the_backup() {
        let target = RecoveryTarget::parse(None).unwrap();
        assert_eq!(target, RecoveryTarget::default());
        assert_eq!(target.kind, TargetKind::Immediate);
        assert_eq!(target.role, Role::Primary);
        assert_eq!(target.action, Action::Promote);
        assert_eq!(target.timeline, TimelineChoice::Followed);
        assert_eq!(parse("timeline=latest").timeline, TimelineChoice::Latest);
        assert_eq!(parse(""), target);
        assert_eq!(parse("immediate,primary"), target);
    }

    #[test]
    fn targets_and_modifiers_are_parsed() {
        assert_eq!(parse("current,primary").kind, TargetKind::Current);
        assert_eq!(parse("replica").kind, TargetKind::Current);
        assert_eq!(parse("xid=4294968296").kind, TargetKind::Xid(4_294_968_296));
        assert_eq!(parse("lsn=1/A0").kind, TargetKind::Lsn(Lsn(0x1_0000_00A0)));
        let name = parse("name=it's = \"here\", action=pause");
        assert_eq!(name.kind, TargetKind::Name(b"it's = \"here\"".to_vec()));
        assert_eq!(name.action, Action::Pause);
        let time =
            parse("time=2026-11-22 14:03:00.5+01,timeline=3,inclusive=off,action=shutdown,replica");
        assert!(matches!(
         time.kind,
         TargetKind::Time(time) if time.utc() == "2026-11-22 13:03:00.500000+00"
        ));
        assert_eq!(
            time.timeline,
            TimelineChoice::Number(Timeline::new(3).unwrap())
        );
        assert!(!time.inclusive);
        assert_eq!(time.action, Action::Shutdown);
        assert_eq!(time.role, Role::Replica);
        assert_eq!(
            parse("lsn=0/1,timeline=current").timeline,
            TimelineChoice::Current
        );
        assert_eq!(parse("immediate,replica").action, Action::Pause);
    }

    #[test]
    fn every_restore_point_name_can_be_written() {
        for (text, name) in [
            ("name=a,b", &b"a,b"[..]),
            ("name=a,b,c=d,,e", b"a,b,c=d,,e"),
            ("name= a ", b" a "),
            ("name=a,", b"a"),
            ("name=a\\,action=pause", b"a,action=pause"),
            (r"name=caf\xE9\x2c \x", b"caf\xE9, \\x"),
            (r#"name=it's \"here\" = now"#, br#"it's \"here\" = now"#),
            (r"name=a\\,replica", br"a\"),
            (r"name=\", br"\"),
            ("name=ü\\xzz", "ü\\xzz".as_bytes()),
        ] {
            assert_eq!(parse(text).kind, TargetKind::Name(name.to_vec()), "{text}");
        }
        let name = parse(" name=a, b ,timeline=3, action=pause");
        assert_eq!(name.kind, TargetKind::Name(b"a, b ".to_vec()));
        assert_eq!(name.action, Action::Pause);
        let bytes = TargetKind::Name(b"caf\xE9".to_vec());
        assert_eq!(bytes.to_string(), r#"the restore point "caf\xe9""#);
    }

    #[test]
    fn invalid_targets_are_refused() {
        for text in [
            "newest",
            "current,immediate",
            "xid=5,lsn=0/5",
            "current=1",
            "primary,replica",
            "name=",
            "xid=",
            "xid=0x10",
            "xid=2",
            "xid=-5",
            "xid=99999999999999999999",
            "lsn=5",
            "time=yesterday",
            "timeline=0",
            "timeline=oldest",
            "inclusive=maybe",
            "inclusive",
            "action=stop",
            "current,inclusive=off",
            "name=x,inclusive=off",
            "replica,action=promote",
            "recovery_target=immediate",
            "name=a,action=stop",
            "name=a,xid=5",
            r"name=\x00",
        ] {
            assert_eq!(
                RecoveryTarget::parse(Some(text)).unwrap_err().kind(),
                ErrorKind::Usage,
                "{text}"
            );
        }
        let long = format!("name={}", "x".repeat(64));
        assert!(RecoveryTarget::parse(Some(&long)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(
            text in ".*",
            key in proptest::sample::select(vec![
                "time=", "lsn=", "xid=", "name=", "timeline=", "inclusive=", "",
            ]),
            date in proptest::sample::select(vec![
                "", "2026-11-22 14:03:00", "2026-11-22T14:03", "2026-11-22 1",
            ]),
        ) {
            let _ = RecoveryTarget::parse(Some(&format!("{key}{date}{text}")));
        }
    }
}
