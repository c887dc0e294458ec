//! The state of a WAL receiver.

use std::time::{Duration, Instant};

use crate::unit::{Lsn, PgVersion, SegmentSize, Timeline};

/// How long a server without new WAL is silent at most: it is asked for an answer every 10 s.
const MAX_SILENCE: Duration = Duration::from_secs(12);

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
    /// The end of WAL on the server at an earlier message, up to which WAL is not durable here yet,
    /// and when that message arrived.
    pub awaited: Option<(Lsn, Instant)>,
    /// The last moment of which it is known that all WAL that the server had then is durable here.
    pub covered_at: Option<Instant>,
    /// `wal_segment_size` of the server, once known.
    pub segment_size: Option<SegmentSize>,
    /// Whether the settings of the server allow backups, once known.
    pub settings_fit: Option<bool>,
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
        (self.awaited, self.covered_at) = (None, None);
        // The result of a check that is running is of the archive before.
        (self.gaps, self.gaps_as_of) = (Vec::new(), Some(Instant::now()));
        self.unsealed = 0;
        self.seal_error = None;
        self.segments_grow_since = None;
    }

    /// Records a message of the server, which has WAL up to `server_end`.
    pub fn heard(&mut self, server_end: Lsn, now: Instant) {
        self.server_end = server_end;
        self.last_message_at = Some(now);
        if self.flushed >= server_end {
            (self.awaited, self.covered_at) = (None, Some(now));
        } else if self.awaited.is_none() {
            // A server sends WAL as soon as it has some: until now there was none.
            let was_alive = self.covered_at.filter(|at| is_recent(*at, now));
            self.covered_at = was_alive.map(|_| now).or(self.covered_at);
            self.awaited = Some((server_end, now));
        }
    }

    /// Records that WAL up to `flushed` is durable; that never goes back.
    pub fn is_durable(&mut self, flushed: Lsn) {
        self.flushed = self.flushed.max(flushed);
        let Some((end, at)) = self.awaited.filter(|(end, _)| *end <= self.flushed) else {
            return;
        };
        if self.flushed >= self.server_end {
            (self.awaited, self.covered_at) = (None, self.last_message_at);
        } else {
            self.covered_at = Some(at);
            let next = self.last_message_at.filter(|_| end < self.server_end);
            self.awaited = next.map(|at| (self.server_end, at));
        }
    }

    /// How old the state of the server is that would be left if it was lost now: 0 while WAL is
    /// received, all of it is durable, and the server is not silent for longer than
    /// [`MAX_SILENCE`]. `None` if that was never the case.
    pub fn exposure(&self, now: Instant) -> Option<Duration> {
        let covered_at = self.covered_at?;
        let is_covered = self.is_streaming() && self.awaited.is_none();
        if is_covered && is_recent(covered_at, now) {
            return Some(Duration::ZERO);
        }
        Some(now.saturating_duration_since(covered_at))
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

    /// How many bytes of WAL of the server are not durable here and would be lost with it, if
    /// known. `wal_end` is the end that it has named when it was asked last: it may answer although
    /// nothing arrives.
    pub fn at_risk(&self, wal_end: Lsn) -> Option<u64> {
        if self.is_streaming() {
            return self.lag();
        }
        let lost = self.server_end.max(wal_end).since(self.flushed);
        (lost > 0 && self.flushed > Lsn::ZERO).then_some(lost)
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) <= MAX_SILENCE
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
    fn the_exposure_is_the_age_of_the_last_state_that_is_durable_here() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut state = ReceiverState {
            phase: Phase::Streaming,
            ..ReceiverState::default()
        };
        let exposure =
            |state: &ReceiverState, now| state.exposure(at(now)).map(|age| age.as_secs());
        state.heard(Lsn(100), at(1));
        assert_eq!(exposure(&state, 1), None, "nothing is durable yet");
        state.heard(Lsn(200), at(3));
        state.heard(Lsn(300), at(4));
        state.is_durable(Lsn(100));
        assert_eq!(exposure(&state, 5), Some(4), "the state of second 1");
        state.is_durable(Lsn(250));
        assert_eq!(exposure(&state, 5), Some(4), "300 was not reached");
        state.is_durable(Lsn(300));
        assert_eq!(exposure(&state, 6), Some(0));
        state.heard(Lsn(300), at(14));
        assert_eq!(exposure(&state, 26), Some(0), "idle");
        assert_eq!(exposure(&state, 27), Some(13), "and silent");
        state.heard(Lsn(400), at(24));
        assert_eq!(
            exposure(&state, 25),
            Some(1),
            "WAL that just came is not durable yet"
        );
        state.is_durable(Lsn(400));
        assert_eq!(exposure(&state, 25), Some(0));
        state.heard(Lsn(500), at(40));
        assert_eq!(
            exposure(&state, 41),
            Some(17),
            "it may be older, after the silence"
        );
        state.is_durable(Lsn(500));
        state.phase = Phase::Reconnecting("gone".to_owned());
        assert_eq!(
            exposure(&state, 100),
            Some(60),
            "nobody knows what it wrote since"
        );
    }
}
