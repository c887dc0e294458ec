//! The position that a restore is asked for.

use std::fmt;

use crate::error::{Failure, Kind, Result};
use crate::job::replay::TimelineChoice;
use crate::unit::{Lsn, Timestamp, escaped};

/// How many bytes PostgreSQL takes for the name of a restore point (`MAXFNAMELEN` without its zero byte).
const LONGEST_NAME: usize = 63;

/// The first transaction that is not one of PostgreSQL's own (`FirstNormalTransactionId`).
const FIRST_XID: u64 = 3;

/// Where recovery is to end, and what comes then. Written as `key[=value]`, separated by commas: at most one of
/// `current`, `immediate`, `name=`, `xid=`, `lsn=`, `time=`, then `timeline=`, `inclusive=`, `action=`, and `primary` or
/// `replica`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub target: Target,
    /// Whether what is at the target is still replayed.
    pub inclusive: bool,
    pub timeline: TimelineChoice,
    pub action: Action,
    pub role: Role,
}

/// Where recovery is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// As soon as the backup is consistent.
    Immediate,
    /// At the end of everything that was received.
    Current,
    /// At the first restore point of that name, which need not be UTF-8.
    Name(Vec<u8>),
    /// At the end of that transaction.
    Xid(u64),
    /// At that position.
    Lsn(Lsn),
    /// At that moment.
    Time(Timestamp),
}

/// What the server does at the target (`recovery_target_action`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Promote,
    Pause,
    Shutdown,
}

/// What the restored server becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// A server of its own, on a new timeline.
    #[default]
    Primary,
    /// A standby of the server that was backed up.
    Replica,
}

/// What was said so far; `None` where nothing was.
#[derive(Default)]
struct Said {
    target: Option<Target>,
    inclusive: Option<bool>,
    timeline: Option<TimelineChoice>,
    action: Option<Action>,
    role: Option<Role>,
}

impl Position {
    /// Reads a position; `None` is the end of the backup, for a replica everything that was received.
    pub fn parse(text: Option<&str>) -> Result<Position> {
        let mut said = Said::default();
        for token in tokens(text.unwrap_or_default()) {
            said.take(&token)?;
        }
        said.finish()
    }

    /// Whether the server goes on when it has replayed what was received: a standby without a target.
    pub fn goes_on(&self) -> bool {
        self.role == Role::Replica && self.target == Target::Current
    }

    /// Whether recovery stays on the timeline that was said, whatever timelines come later.
    pub fn stays(&self) -> bool {
        matches!(
            self.timeline,
            TimelineChoice::Current | TimelineChoice::Number(_)
        )
    }
}

/// The words that a position may have, and their keys.
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

/// Splits a position at its commas. The name of a restore point may have commas: it goes on to the next word that a position
/// may have, and `\,` is part of it whatever follows.
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

/// Whether a comma that follows is escaped: after an odd number of backslashes.
fn escapes(text: &str) -> bool {
    let backslashes = text.bytes().rev().take_while(|byte| *byte == b'\\');
    backslashes.count() % 2 == 1
}

impl Said {
    fn take(&mut self, token: &str) -> Result<()> {
        if let Some((_, text)) = token.split_once('=').filter(|_| is_name(token)) {
            // A name may begin or end with a blank.
            return once(&mut self.target, name(text)?, TARGETS);
        }
        let token = token.trim();
        let (key, value) = match token.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim())),
            None => (token, None),
        };
        match (key, value) {
            ("current", None) => once(&mut self.target, Target::Current, TARGETS),
            ("immediate", None) => once(&mut self.target, Target::Immediate, TARGETS),
            ("primary", None) => once(&mut self.role, Role::Primary, "role"),
            ("replica", None) => once(&mut self.role, Role::Replica, "role"),
            ("xid", Some(value)) => once(&mut self.target, xid(value)?, TARGETS),
            ("lsn", Some(value)) => once(&mut self.target, Target::Lsn(value.parse()?), TARGETS),
            ("time", Some(value)) => once(&mut self.target, Target::Time(value.parse()?), TARGETS),
            ("timeline", Some(value)) => once(&mut self.timeline, timeline(value)?, "timeline"),
            ("inclusive", Some(value)) => once(&mut self.inclusive, boolean(value)?, "inclusive"),
            ("action", Some(value)) => once(&mut self.action, action(value)?, "action"),
            _ => Err(unknown(token)),
        }
    }

    fn finish(self) -> Result<Position> {
        let role = self.role.unwrap_or_default();
        let target = self.target.unwrap_or(match role {
            Role::Primary => Target::Immediate,
            Role::Replica => Target::Current,
        });
        let exact = matches!(target, Target::Xid(_) | Target::Lsn(_) | Target::Time(_));
        if self.inclusive == Some(false) && !exact {
            return Err(usage("inclusive=off goes with xid=, lsn= and time= only"));
        }
        if role == Role::Replica && target == Target::Current && self.action.is_some() {
            return Err(usage(
                "action= needs a target: a replica without one goes on for ever",
            ));
        }
        Ok(Position {
            target,
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

const TARGETS: &str = "target";

fn once<T>(place: &mut Option<T>, value: T, what: &str) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(usage(&format!("more than one {what}"))),
    }
}

fn usage(what: &str) -> Failure {
    Failure::new(Kind::Usage, format!("the position is wrong: {what}")).hint(
        "a position is one of current, immediate, name=, xid=, lsn=, time=; then, after commas, timeline=, inclusive=, \
         action=, primary or replica",
    )
}

fn unknown(token: &str) -> Failure {
    let shown: String = token.chars().take(60).collect();
    usage(&format!("{shown:?} is not known"))
}

fn name(text: &str) -> Result<Target> {
    let name = unescaped(text.as_bytes());
    if name.is_empty() || name.len() > LONGEST_NAME {
        let what = format!("the name of a restore point has 1 to {LONGEST_NAME} bytes");
        return Err(usage(&what));
    }
    if name.contains(&0) {
        return Err(usage("a name cannot have a zero byte"));
    }
    Ok(Target::Name(name))
}

/// The bytes of a name: `\xHH` is a byte, `\,` a comma and `\\` a backslash; any other backslash stands for itself.
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

fn xid(text: &str) -> Result<Target> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit());
    let xid = text.parse().ok().filter(|_| number);
    // Of a 64-bit one, as pg_current_xact_id() says it, PostgreSQL looks at the lower half.
    xid.filter(|xid| xid & 0xFFFF_FFFF >= FIRST_XID)
        .map(Target::Xid)
        .ok_or_else(|| usage(&format!("{text:?} is no transaction")))
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
        _ => Err(usage(&format!("inclusive={text} is neither on nor off"))),
    }
}

fn action(text: &str) -> Result<Action> {
    match text {
        "promote" => Ok(Action::Promote),
        "pause" => Ok(Action::Pause),
        "shutdown" => Ok(Action::Shutdown),
        _ => Err(usage(&format!(
            "action={text} is none of promote, pause, shutdown"
        ))),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Immediate => f.write_str("the end of the backup"),
            Target::Current => f.write_str("the end of what was received"),
            Target::Name(name) => match std::str::from_utf8(name) {
                Ok(name) => write!(f, "the restore point {name:?}"),
                Err(_) => write!(f, "the restore point \"{}\"", escaped(name)),
            },
            Target::Xid(xid) => write!(f, "transaction {xid}"),
            Target::Lsn(lsn) => write!(f, "position {lsn}"),
            Target::Time(time) => time.fmt(f),
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

    fn parse(text: &str) -> Position {
        Position::parse(Some(text)).unwrap()
    }

    #[test]
    fn nothing_is_the_end_of_the_backup() {
        let position = Position::parse(None).unwrap();
        assert_eq!(position.target, Target::Immediate);
        assert_eq!(position.role, Role::Primary);
        assert_eq!(position.action, Action::Promote);
        assert_eq!(position.timeline, TimelineChoice::Followed);
        assert_eq!(parse("timeline=latest").timeline, TimelineChoice::Latest);
        assert_eq!(parse(""), position);
        assert_eq!(parse("immediate,primary"), position);
    }

    #[test]
    fn targets_and_modifiers() {
        assert_eq!(parse("current,primary").target, Target::Current);
        assert_eq!(parse("replica").target, Target::Current);
        assert_eq!(parse("xid=4294968296").target, Target::Xid(4_294_968_296));
        assert_eq!(parse("lsn=1/A0").target, Target::Lsn(Lsn(0x1_0000_00A0)));
        let name = parse("name=it's = \"here\", action=pause");
        assert_eq!(name.target, Target::Name(b"it's = \"here\"".to_vec()));
        assert_eq!(name.action, Action::Pause);
        let time =
            parse("time=2026-11-22 14:03:00.5+01,timeline=3,inclusive=off,action=shutdown,replica");
        assert!(
            matches!(time.target, Target::Time(time) if time.utc() == "2026-11-22 13:03:00.500000+00")
        );
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
    fn every_restore_point_can_be_named() {
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
            assert_eq!(parse(text).target, Target::Name(name.to_vec()), "{text}");
        }
        let name = parse(" name=a, b ,timeline=3, action=pause");
        assert_eq!(name.target, Target::Name(b"a, b ".to_vec()));
        assert_eq!(name.action, Action::Pause);
        let bytes = Target::Name(b"caf\xE9".to_vec());
        assert_eq!(bytes.to_string(), r#"the restore point "caf\xe9""#);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
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
                Position::parse(Some(text)).unwrap_err().kind(),
                Kind::Usage,
                "{text}"
            );
        }
        let long = format!("name={}", "x".repeat(64));
        assert!(Position::parse(Some(&long)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(
            text in ".*",
            key in proptest::sample::select(vec!["time=", "lsn=", "xid=", "name=", "timeline=", "inclusive=", ""]),
            date in proptest::sample::select(vec!["", "2026-11-22 14:03:00", "2026-11-22T14:03", "2026-11-22 1"]),
        ) {
            let _ = Position::parse(Some(&format!("{key}{date}{text}")));
        }
    }
}
