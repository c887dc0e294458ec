//! What a WAL receiver is doing.

use std::time::{Duration, Instant};

use crate::unit::{Lsn, PgVersion, Timeline};

/// Where a receiver is in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It has not connected yet.
    #[default]
    Starting,
    /// WAL is arriving.
    Streaming,
    /// The connection is gone; it tries again by itself. The text says what broke it.
    Reconnecting(String),
    /// It cannot go on until somebody acts, and keeps trying meanwhile. The text says why.
    Alarm(String),
    /// It has left.
    Stopped,
}

/// The state of the receiver of one server, and what is known of the server through it.
#[derive(Clone, Debug, Default)]
pub struct ReceiverState {
    /// Where it is in its life.
    pub phase: Phase,
    /// The timeline that it receives.
    pub timeline: Option<Timeline>,
    /// Up to where WAL was received.
    pub received: Lsn,
    /// Up to where WAL is on stable storage here.
    pub flushed: Lsn,
    /// The server's end of WAL, as it last said.
    pub server_end: Lsn,
    /// When the server last said anything.
    pub heard: Option<Instant>,
    /// The server's version, once known.
    pub version: Option<PgVersion>,
    /// Whether the server runs with data checksums, once known.
    pub checksums: Option<bool>,
    /// Whether the server is in recovery (a standby), once known.
    pub in_recovery: Option<bool>,
    /// Which WAL is missing in the archive between the oldest backup and its end, in words; empty if none is.
    pub gaps: Vec<String>,
    /// How many complete segments are not sealed yet.
    pub unsealed: usize,
    /// How many segments were sealed since the start.
    pub sealed: u64,
    /// Whether the next try to connect is to come at once.
    pub hurry: bool,
    /// Whether it goes on after a gap only if somebody says so.
    pub wants_consent: bool,
    /// Why segments cannot be sealed at the moment.
    pub sealing: Option<String>,
}

impl ReceiverState {
    /// Forgets what was known of an archive in whose place another one comes.
    pub fn forget_archive(&mut self) {
        self.timeline = None;
        (self.received, self.flushed, self.server_end) = (Lsn::ZERO, Lsn::ZERO, Lsn::ZERO);
        self.gaps.clear();
        self.unsealed = 0;
        self.sealing = None;
    }

    /// Whether WAL is arriving.
    pub fn is_streaming(&self) -> bool {
        self.phase == Phase::Streaming
    }

    /// How many bytes of the server's WAL are not yet on stable storage here, by what it said last. `None` if that is not
    /// known: it said nothing yet, or what it said last is older than what it wrote since.
    pub fn lag(&self) -> Option<u64> {
        if self.server_end == Lsn::ZERO || self.flushed == Lsn::ZERO {
            return None;
        }
        let lag = self.server_end.since(self.flushed);
        (lag > 0 || self.is_streaming()).then_some(lag)
    }

    /// What somebody must look after, in words. A server that was silent for twice the `timeout` of its connection is in
    /// trouble, or the receiver is; with 0 a server may be silent.
    pub fn problems(&self, timeout: Duration) -> Vec<String> {
        let mut problems = Vec::new();
        match &self.phase {
            Phase::Starting => {}
            Phase::Streaming => {
                let silent = self.heard.map(|heard| heard.elapsed());
                let limit = timeout.saturating_mul(2);
                if let Some(silent) = silent.filter(|silent| !limit.is_zero() && *silent > limit) {
                    let seconds = silent.as_secs();
                    problems.push(format!("nothing was received for {seconds} s"));
                }
            }
            Phase::Reconnecting(why) | Phase::Alarm(why) => {
                problems.push(format!("no WAL is received: {why}"));
            }
            Phase::Stopped => problems.push("the WAL receiver has stopped".to_owned()),
        }
        problems.extend(self.gaps.iter().cloned());
        if let Some(why) = &self.sealing {
            problems.push(format!("WAL segments cannot be sealed: {why}"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_no_lag_of_nothing() {
        let mut state = ReceiverState::default();
        assert_eq!(state.lag(), None);
        state.server_end = Lsn(0x300_0000);
        assert_eq!(state.lag(), None, "nothing is known of the archive");
        state.flushed = Lsn(0x300_0000);
        state.phase = Phase::Streaming;
        assert_eq!(state.lag(), Some(0));
        for phase in [
            Phase::Starting,
            Phase::Reconnecting("gone".to_owned()),
            Phase::Alarm("another timeline".to_owned()),
            Phase::Stopped,
        ] {
            state.phase = phase;
            state.server_end = Lsn(0x300_0000);
            assert_eq!(state.lag(), None, "{:?}", state.phase);
            state.server_end = Lsn(0x300_0010);
            assert_eq!(state.lag(), Some(16), "it is that far behind at least");
        }
    }

    #[test]
    fn problems_are_what_somebody_must_look_after() {
        let timeout = Duration::from_secs(60);
        let mut state = ReceiverState::default();
        assert!(state.problems(timeout).is_empty());
        state.phase = Phase::Streaming;
        state.heard = Some(Instant::now());
        assert!(state.problems(timeout).is_empty());
        state.heard = Instant::now().checked_sub(3 * timeout);
        assert!(state.heard.is_none() || state.problems(timeout).len() == 1);
        assert!(state.problems(Duration::ZERO).is_empty());
        state.phase = Phase::Alarm("another cluster".to_owned());
        state.gaps = vec!["000000010000000000000002 is missing".to_owned()];
        state.sealing = Some("no space".to_owned());
        assert_eq!(state.problems(timeout).len(), 3);
    }
}
