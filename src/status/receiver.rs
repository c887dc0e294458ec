//! The state of a WAL receiver.

use std::time::{Duration, Instant};

use crate::unit::{Lsn, PgVersion, Timeline};

/// What a WAL receiver is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It has not connected yet.
    #[default]
    Starting,
    /// WAL is arriving.
    Streaming,
    /// The connection was lost; it reconnects by itself. The text is the cause.
    Reconnecting(String),
    /// It cannot continue until the operator acts, and keeps trying meanwhile. The text is the
    /// cause.
    Alarm(String),
    /// Its thread has ended.
    Stopped,
}

/// The state of the WAL receiver of one server, and what it knows of the server and the archive.
#[derive(Clone, Debug, Default)]
pub struct ReceiverState {
    /// Set by the receiver thread.
    pub phase: Phase,
    /// The timeline that it receives; `None` before the first connection.
    pub timeline: Option<Timeline>,
    /// The end of the received WAL.
    pub received: Lsn,
    /// The end of the WAL that is flushed to disk in the archive.
    pub flushed: Lsn,
    /// The end of WAL on the server, from its last message.
    pub server_end: Lsn,
    /// When the last message of the server arrived.
    pub last_message_at: Option<Instant>,
    /// The server's version, once known.
    pub version: Option<PgVersion>,
    /// Whether the server runs with data checksums, once known.
    pub checksums: Option<bool>,
    /// Whether the server is in recovery (a standby), once known.
    pub in_recovery: Option<bool>,
    /// The WAL that is missing in the archive after the start of the oldest backup, one text for
    /// each gap.
    pub gaps: Vec<String>,
    /// When the check began that found `gaps`.
    pub gaps_as_of: Option<Instant>,
    /// How many complete segments are not sealed yet.
    pub unsealed: usize,
    /// How many segments were sealed since the start.
    pub sealed: u64,
    /// Requests a connection attempt without the delay between attempts.
    pub reconnect_now: bool,
    /// Whether it has stopped at a gap and continues only after the command `wal begin`.
    pub awaits_wal_begin: bool,
    /// Why the last segment could not be sealed; `None` after a success.
    pub seal_error: Option<String>,
    /// Whether it cannot go on because the disk or the quota is full.
    pub no_space: bool,
    /// Since when the disk or the quota has no room for a whole segment, if it has none: WAL goes
    /// into a file that grows as it is written.
    pub segments_grow_since: Option<Instant>,
}

impl ReceiverState {
    /// Resets what describes the archive, when another one replaces it.
    pub fn reset_archive(&mut self) {
        self.timeline = None;
        (self.received, self.flushed, self.server_end) = (Lsn::ZERO, Lsn::ZERO, Lsn::ZERO);
        // The result of a check that is running is of the archive before.
        (self.gaps, self.gaps_as_of) = (Vec::new(), Some(Instant::now()));
        self.unsealed = 0;
        self.seal_error = None;
        self.segments_grow_since = None;
    }

    /// Whether it is connected and receives WAL.
    pub fn is_streaming(&self) -> bool {
        self.phase == Phase::Streaming
    }

    /// How many bytes of WAL the archive is behind the server, by its last message. `None` if not
    /// known: there was no message, or the connection is lost and the archive had caught up with
    /// the last one.
    pub fn lag(&self) -> Option<u64> {
        if self.server_end == Lsn::ZERO || self.flushed == Lsn::ZERO {
            return None;
        }
        let lag = self.server_end.since(self.flushed);
        (lag > 0 || self.is_streaming()).then_some(lag)
    }

    /// The problems that need the operator, one text for each. No message of the server for twice
    /// its `timeout` is one; 0 disables the timeout.
    pub fn problems(&self, timeout: Duration) -> Vec<String> {
        let mut problems = Vec::new();
        match &self.phase {
            Phase::Starting => {}
            Phase::Streaming => {
                let silent = self.last_message_at.map(|at| at.elapsed());
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
        if self.segments_grow_since.is_some() {
            let text = "the disk has no room for a whole WAL segment: WAL is received to its last \
                        byte only";
            problems.push(text.to_owned());
        }
        problems.extend(self.gaps.iter().cloned());
        if let Some(why) = &self.seal_error {
            problems.push(format!("WAL segments cannot be sealed: {why}"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_lag_is_not_zero() {
        let mut state = ReceiverState::default();
        assert_eq!(state.lag(), None);
        state.server_end = Lsn(0x300_0000);
        assert_eq!(
            state.lag(),
            None,
            "the position of the archive is not known"
        );
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
            assert_eq!(state.lag(), Some(16), "the lag is at least this");
        }
    }

    #[test]
    fn problems_are_those_that_need_the_operator() {
        let timeout = Duration::from_secs(60);
        let mut state = ReceiverState::default();
        assert!(state.problems(timeout).is_empty());
        state.phase = Phase::Streaming;
        state.last_message_at = Some(Instant::now());
        assert!(state.problems(timeout).is_empty());
        state.last_message_at = Instant::now().checked_sub(3 * timeout);
        assert!(state.last_message_at.is_none() || state.problems(timeout).len() == 1);
        assert!(state.problems(Duration::ZERO).is_empty());
        state.phase = Phase::Alarm("another cluster".to_owned());
        state.gaps = vec!["000000010000000000000002 is missing".to_owned()];
        state.seal_error = Some("no space".to_owned());
        assert_eq!(state.problems(timeout).len(), 3);
    }
}
